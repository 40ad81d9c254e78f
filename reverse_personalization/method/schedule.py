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

import torch
from torch import Tensor

TRAINING_TIMESTEPS = 1000
"""Timesteps of the noise schedule that SDXL and SD1.5 were trained on."""

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


def timesteps(steps: int, denoise: float, total: int = TRAINING_TIMESTEPS) -> list[int]:
    """N timesteps, evenly spaced from total * denoise - 1 down to 1 and truncated to integers.

    The arithmetic is exact, so rounding never truncates an integer to its lower neighbour.

    Args:
        steps: N, 2 or more.
        denoise: part of the schedule that is not skipped, in (0, 1].
        total: timesteps of the schedule.

    Returns:
        N different integers, descending, the last one 1.

    Raises:
        ValueError: N is below 2, denoise is outside (0, 1], or two timesteps would be equal, so that the solver
            would divide by zero.
    """
    if not 0.0 < denoise <= 1.0:
        raise ValueError(f"denoise is {denoise}; expected a value above 0 and at most 1")
    largest = largest_steps(denoise, total)
    if largest < 2:
        raise ValueError(
            f"denoise is {denoise}, which leaves fewer than two of {total} timesteps to visit; "
            f"use {math.ceil(3 / total * 1e6) / 1e6} or more"
        )
    if steps < 2:
        raise ValueError(f"steps is {steps}; expected 2 to {largest} at denoise {denoise}")
    if steps > largest:
        raise ValueError(
            f"{steps} steps at denoise {denoise} would visit a timestep twice; the largest number of steps "
            f"at this denoise is {largest}. Use fewer steps or a higher denoise"
        )
    start = noisiest_timestep(denoise, total)
    spacing = (start - FIRST_TIMESTEP) / (steps - 1)
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
