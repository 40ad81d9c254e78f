"""A denoiser whose answer is known, and the noise levels of SDXL's schedule, for tests of the mathematics alone."""

from __future__ import annotations

import torch

from reverse_personalization.method import schedule

MEAN, VARIANCE = 0.3, 0.25
"""Of the normal data that `gaussian_denoiser` knows."""


def host_schedule() -> torch.Tensor:
    """S of every timestep, as ComfyUI has it for SDXL."""
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    cumulative = torch.cumprod(1 - betas, 0)
    return ((1 - cumulative) / cumulative).sqrt()


def gaussian_denoiser(y: torch.Tensor, levels: torch.Tensor) -> torch.Tensor:
    """Exact posterior mean for data distributed as N(MEAN, VARIANCE)."""
    squared = levels.view(-1, 1, 1, 1, 1) ** 2
    return (VARIANCE * y + squared * MEAN) / (VARIANCE + squared)


def sigmas_of(steps: int, denoise: float) -> list[float]:
    """Noise levels of a run."""
    return schedule.visited_sigmas(host_schedule(), schedule.timesteps(steps, denoise)).tolist()
