"""Which timesteps are visited, and how noisy each is.

Two conventions meet here:

    paper      variance preserving    x_t = alpha_t x_0 + sigma_t n,  alpha_t^2 + sigma_t^2 = 1
    ComfyUI    variance exploding     y = x / alpha = x_0 + S n,      S = sigma / alpha

ComfyUI calls S sigma, and so does this package: all its `sigmas` are S.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Protocol

import torch
from torch import Tensor

TRAINING_TIMESTEPS = 1000
"""Timesteps of the noise schedule that SDXL and SD1.5 were trained on."""

FEWEST_STEPS = 2
"""Smallest number of steps: one could not be spaced."""

FIRST_TIMESTEP = 1
"""The cleanest timestep visited; the last step leads from it to t = 0."""


def noisiest_timestep(denoise: float, total: int = TRAINING_TIMESTEPS) -> Fraction:
    """The timestep at which sampling starts, before truncation: total * denoise - 1.

    Args:
        denoise: part of the schedule that is not skipped, in (0, 1]; 0.3 is the paper's skip of 0.7.
        total: timesteps of the schedule.
    """
    # Decimal fractions such as 0.57 have no exact float; the user wrote the short decimal.
    return Fraction(str(round(denoise, 6))) * total - 1


def largest_steps(denoise: float, total: int = TRAINING_TIMESTEPS) -> int:
    """The largest number of steps for which `timesteps` visits no timestep twice."""
    return math.floor(noisiest_timestep(denoise, total))


def timesteps(steps: int, denoise: float, total: int = TRAINING_TIMESTEPS, cleanest: int = FIRST_TIMESTEP) -> list[int]:
    """N timesteps, evenly spaced from total * denoise - 1 down to 1 and truncated to integers.

    The arithmetic is exact, so rounding never truncates an integer to its lower neighbour.

    Args:
        steps: N, 2 or more.
        denoise: part of the schedule that is not skipped, in (0, 1].
        total: timesteps of the schedule.
        cleanest: the last timestep instead of 1. Where so few timesteps lie above it that two would be equal, the last
            one is the highest that leaves N different ones.

    Returns:
        N different integers, descending.

    Raises:
        ValueError: N is below 2, denoise is outside (0, 1], or two timesteps would be equal, so that the solver
            would divide by zero.
    """
    if not 0.0 < denoise <= 1.0:
        raise ValueError(f"denoise is {denoise}; expected a value above 0 and at most 1")
    largest = largest_steps(denoise, total)
    if largest < FEWEST_STEPS:
        raise ValueError(
            f"denoise is {denoise}, which leaves fewer than two of {total} timesteps to visit; "
            f"use {math.ceil(3 / total * 1e6) / 1e6} or more"
        )
    if steps < FEWEST_STEPS:
        raise ValueError(f"steps is {steps}; expected {FEWEST_STEPS} to {largest} at denoise {denoise}")
    if steps > largest:
        raise ValueError(
            f"{steps} steps at denoise {denoise} would visit a timestep twice; the largest number of steps "
            f"at this denoise is {largest}. Use fewer steps or a higher denoise"
        )
    start = noisiest_timestep(denoise, total)
    spacing = (start - min(cleanest, math.floor(start) - (steps - 1))) / (steps - 1)
    return [math.floor(start - k * spacing) for k in range(steps)]


def visited_sigmas(schedule: Tensor, visited: Sequence[int]) -> Tensor:
    """Noise levels S at the visited timesteps and, last, at t = 0.

    The last level is not S = 0: there the noise has no weight, so nothing could be reconstructed from it.

    Args:
        schedule: float [T], S of every timestep of the model, ascending.
        visited: N timesteps, descending.

    Returns:
        float32 [N + 1] on the CPU, descending.
    """
    return schedule.detach().cpu().float()[[*visited, 0]]


def alpha(sigma: float) -> float:
    """alpha_t = 1 / sqrt(1 + S^2), the scale between the two conventions: x = alpha y."""
    return 1.0 / math.sqrt(1.0 + sigma * sigma)


class Noise(Protocol):
    """The noise n of the noisy copies by level: number from 0 (noisiest) to N - 1 -> float32 [1, C, h, w].

    The tensor of `timestep_noise` is one, `NoiseDraws` is another.
    """

    def __getitem__(self, i: int, /) -> Tensor: ...


def timestep_noise(shape: Sequence[int], steps: int, seed: int) -> Tensor:
    """The noise n of the noisy copies: independent normal draws in the authors' order.

    One float32 CPU generator, seeded once, makes one draw a timestep, from the least noisy to the noisiest. Every
    latent of a batch gets the same draw, so that a batch gives the same results as its latents one by one.

    Args:
        shape: [C, h, w] of one latent.
        steps: N.
        seed: of the generator.

    Returns:
        float32 [N, 1, C, h, w] on the CPU, in order of generation: noisiest first.
    """
    generator = torch.Generator().manual_seed(seed)
    draws = [torch.randn(1, *shape, generator=generator, dtype=torch.float32) for _ in range(steps)]
    return torch.stack(draws[::-1])


class NoiseDraws:
    """`timestep_noise` without its memory: each draw is made again when it is asked for.

    The draws are used in the reverse of the order in which the generator makes them. A few of the generator's states
    are kept, and a draw starts from the nearest one before it, so the memory does not grow with the steps.

    Args:
        shape: [C, h, w] of one latent.
        steps: N.
        seed: of the generator.
    """

    STATES = 16
    """States kept, 5 KB each; up to this many steps, a draw costs one draw, at 100 steps four on average."""

    def __init__(self, shape: Sequence[int], steps: int, seed: int) -> None:
        self._shape = (1, *shape)
        self._steps = steps
        self._spacing = math.ceil(steps / self.STATES)
        self._generator = torch.Generator().manual_seed(seed)
        self._states: list[Tensor] = []
        for number in range(steps):
            if number % self._spacing == 0:
                self._states.append(self._generator.get_state())
            self._draw()

    def __getitem__(self, i: int, /) -> Tensor:
        if not 0 <= i < self._steps:
            raise IndexError(f"level {i} has no noise of its own; expected 0 to {self._steps - 1}")
        number = self._steps - 1 - i
        state, further = divmod(number, self._spacing)
        self._generator.set_state(self._states[state])
        for _ in range(further):
            self._draw()
        return self._draw()

    def _draw(self) -> Tensor:
        return torch.randn(self._shape, generator=self._generator, dtype=torch.float32)
