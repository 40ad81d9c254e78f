"""The loop of every training, which can be stopped at any point and resumes there."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from miniature.files import whole_file

SAVE_SECONDS = 120.0
REPORT_STEPS = 100
WARM_UP = 100
"""Steps over which the learning rate rises from 0."""


@dataclass(frozen=True)
class Workshop:
    """Where trainings work, and at what size.

    Attributes:
        directory: folder for rendered data and states, needed until the training is done; takes about 5 GB.
        models: models folder for the finished files, in ComfyUI's layout.
        smoke: train for seconds on a handful of pictures, to test the whole training.
        threads: number of torch threads and of processes that render.
    """

    directory: Path
    models: Path
    smoke: bool = False
    threads: int = 2

    @property
    def data(self) -> Path:
        """Folder of rendered pictures."""
        return self.directory / "data"

    def state(self, name: str) -> Path:
        """Return the file in which the training called `name` saves its state."""
        return self.directory / "states" / f"{name}.pt"


def generator(seed: int, step: int) -> np.random.Generator:
    """Return the random generator of one step, so that resuming a training needs no saved random state."""
    return np.random.default_rng([seed, step])


def cosine_rate(peak: float, step: int, steps: int, floor: float = 0.02) -> float:
    """Learning rate that rises for WARM_UP steps (a tenth of short trainings), then falls to `floor` of its peak."""
    rise = min(1.0, (step + 1) / min(WARM_UP, max(1, steps // 10)))
    return peak * rise * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * step / steps)))


def train(
    state: Path,
    model: nn.Module,
    loss_of: Callable[[int, np.random.Generator], Tensor],
    *,
    steps: int,
    rate: float,
    seed: int,
    weight_decay: float = 0.01,
    betas: tuple[float, float] = (0.9, 0.99),
    average: nn.Module | None = None,
    clip: float = 1.0,
) -> float:
    """Train with AdamW and a cosine learning rate, from the last saved state if there is one.

    Args:
        state: file of the state, kept at the end so that a finished training is not repeated.
        model: trained in place; its buffers are saved as well.
        loss_of: returns the scalar loss of a step from its number and random generator; torch is seeded, too.
        steps: total number of steps.
        rate: peak of the learning rate.
        seed: seed of all random numbers.
        weight_decay: AdamW's, on tensors with two dimensions or more.
        betas: AdamW's.
        average: a copy of the model that follows it slowly and ends up better.
        clip: norm at which gradients are clipped.

    Returns:
        Seconds of training, over all runs.

    Raises:
        RuntimeError: the loss is not finite.
    """
    shown = [p for p in model.parameters() if p.requires_grad]
    groups: list[dict[str, Any]] = [
        {"params": [p for p in shown if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in shown if p.ndim <= 1], "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(groups, lr=rate, betas=betas)
    first, spent = 0, 0.0
    if state.exists():
        saved = torch.load(state, weights_only=True)
        model.load_state_dict(saved["model"])
        optimiser.load_state_dict(saved["optimiser"])
        if average is not None:
            average.load_state_dict(saved["average"])
        first, spent = saved["step"], saved["seconds"]
    started = saved_at = time.monotonic()

    def save(step: int) -> None:
        parts: Mapping[str, Any] = {
            "model": model.state_dict(),
            "optimiser": optimiser.state_dict(),
            "average": None if average is None else average.state_dict(),
            "step": step,
            "seconds": spent + time.monotonic() - started,
        }
        with whole_file(state) as stream:
            torch.save(parts, stream)

    running = 0.0
    for step in range(first, steps):
        for group in optimiser.param_groups:
            group["lr"] = cosine_rate(rate, step, steps)
        torch.manual_seed(seed * 1_000_003 + step)
        loss = loss_of(step, generator(seed, step))
        if not torch.isfinite(loss):
            raise RuntimeError(f"{state.stem}: the loss is {loss.item()} in step {step}; the last saved state is kept")
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(shown, clip)
        optimiser.step()
        if average is not None:
            _follow(average, model, min(0.998, step / (step + 20.0)))
        running = loss.item() if step == first else 0.98 * running + 0.02 * loss.item()
        if (step + 1) % REPORT_STEPS == 0:
            seconds = time.monotonic() - started
            speed = (step + 1 - first) / seconds
            print(f"{state.stem}: step {step + 1}/{steps}, loss {running:.4f}, {speed:.2f} steps/s", flush=True)
        if time.monotonic() - saved_at > SAVE_SECONDS:
            save(step + 1)
            saved_at = time.monotonic()
    if first < steps:
        save(steps)
    return spent + time.monotonic() - started


@torch.no_grad()
def _follow(average: nn.Module, model: nn.Module, keep: float) -> None:
    torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), 1 - keep)
    for target, source in zip(average.buffers(), model.buffers(), strict=True):
        target.copy_(source)
