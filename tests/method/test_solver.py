"""The mathematics alone: no ComfyUI, a denoiser whose answer is known."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reverse_personalization.method import schedule
from reverse_personalization.method.solver import DPMSolverSDE, invert, noisiest_copy, replay

MEAN, VARIANCE = 0.3, 0.25


def host_schedule() -> torch.Tensor:
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    cumulative = torch.cumprod(1 - betas, 0)
    return ((1 - cumulative) / cumulative).sqrt()


def gaussian_denoiser(y: torch.Tensor, levels: torch.Tensor) -> torch.Tensor:
    """Exact posterior mean for data distributed as N(MEAN, VARIANCE)."""
    squared = levels.view(-1, 1, 1, 1, 1) ** 2
    return (VARIANCE * y + squared * MEAN) / (VARIANCE + squared)


def sigmas_of(steps: int, denoise: float) -> list[float]:
    return schedule.visited_sigmas(host_schedule(), schedule.timesteps(steps, denoise)).tolist()


@pytest.mark.parametrize("denoise", [0.05, 0.3, 0.65, 1.0])
@pytest.mark.parametrize("steps", [2, 3, 6, 15, 49])
@pytest.mark.parametrize("batch", [1, 4])
def test_round_trip(steps: int, denoise: float, batch: int) -> None:
    x0 = torch.randn(2, 4, 6, 5, generator=torch.Generator().manual_seed(steps))
    sigmas = sigmas_of(steps, denoise)
    noise = schedule.timestep_noise(x0.shape[1:], steps, seed=3)
    start = noisiest_copy(x0, noise, sigmas)
    z = invert(gaussian_denoiser, x0, start, noise, sigmas, batch=batch)
    back = replay(gaussian_denoiser, start, z, sigmas)
    assert (back - x0).abs().max() <= 1e-6


def test_batch_size_does_not_change_the_noise() -> None:
    x0 = torch.randn(1, 4, 6, 6, generator=torch.Generator().manual_seed(0))
    sigmas = sigmas_of(10, 0.3)
    noise = schedule.timestep_noise(x0.shape[1:], 10, seed=0)
    start = noisiest_copy(x0, noise, sigmas)
    one = invert(gaussian_denoiser, x0, start, noise, sigmas, batch=1)
    for batch in (2, 3, 10):
        other = invert(gaussian_denoiser, x0, start, noise, sigmas, batch=batch)
        assert (other - one).abs().max() <= 1e-4 * one.abs().max()


def test_first_step_is_first_order_and_a_new_solver_remembers_nothing() -> None:
    sigmas = [2.0, 1.0, 0.5]
    y, m = torch.tensor([1.0]), torch.tensor([0.25])
    mu, std = DPMSolverSDE(sigmas).step(0, y, m)
    decay = math.exp(-2 * math.log(2.0))
    assert mu.item() == pytest.approx(decay * 1.0 + (1 - decay) * 0.25)
    assert std == pytest.approx(1.0 * math.sqrt(1 - decay))
    used = DPMSolverSDE(sigmas)
    used.step(0, y, torch.tensor([9.0]))
    second, _ = used.step(1, y, m)
    # Equal log spacing: c = 1/2, so the extrapolation is m + (m - previous) / 2.
    assert second.item() == pytest.approx(decay + (1 - decay) * (0.25 + (0.25 - 9.0) / 2))
    assert DPMSolverSDE(sigmas).step(0, y, m)[0].item() == mu.item()


def sampled_variance(steps: int) -> float:
    """Variance reached from pure noise with fresh z, for data of variance VARIANCE."""
    shape = (16, 4, 16, 16)
    sigmas = sigmas_of(steps, 1.0)
    generator = torch.Generator().manual_seed(1)
    x0 = MEAN + math.sqrt(VARIANCE) * torch.randn(shape, generator=generator)
    start = noisiest_copy(x0, torch.randn(1, *shape, generator=generator), sigmas)
    out = replay(gaussian_denoiser, start, torch.randn(steps, *shape, generator=generator), sigmas)
    assert out.mean().item() == pytest.approx(MEAN, abs=0.02)
    return out.var().item()


def test_replayed_with_fresh_noise_it_samples_the_distribution() -> None:
    # The last level is t = 0, where a noise of 0.0292 is left on top of the data.
    expected = VARIANCE + 0.0292**2
    coarse, fine = (abs(sampled_variance(steps) - expected) for steps in (50, 400))
    assert fine <= 0.03 * expected
    assert fine <= coarse / 4


def test_progress_reports_every_step() -> None:
    x0 = torch.zeros(1, 4, 2, 2)
    sigmas = sigmas_of(5, 0.3)
    noise = schedule.timestep_noise(x0.shape[1:], 5, seed=0)
    seen: list[int] = []
    start = noisiest_copy(x0, noise, sigmas)
    invert(gaussian_denoiser, x0, start, noise, sigmas, batch=2, progress=lambda i, m, y: seen.append(i))
    assert seen == [0, 1, 2, 3, 4]


@given(steps=st.integers(2, 999), permille=st.integers(3, 1000))
@settings(max_examples=300, deadline=None)
def test_timesteps_are_different_or_refused(steps: int, permille: int) -> None:
    denoise = permille / 1000
    largest = schedule.largest_steps(denoise)
    if steps > largest:
        with pytest.raises(ValueError, match=f"at this denoise is {largest}"):
            schedule.timesteps(steps, denoise)
        return
    visited = schedule.timesteps(steps, denoise)
    assert len(set(visited)) == len(visited) == steps
    assert visited == sorted(visited, reverse=True)
    assert visited[0] == permille - 1
    assert visited[-1] == 1


@pytest.mark.parametrize(("denoise", "largest"), [(0.3, 299), (0.05, 49), (1.0, 999), (0.57, 569)])
def test_largest_number_of_steps(denoise: float, largest: int) -> None:
    assert schedule.largest_steps(denoise) == largest
    assert len(schedule.timesteps(largest, denoise)) == largest
    with pytest.raises(ValueError, match=str(largest)):
        schedule.timesteps(largest + 1, denoise)


@pytest.mark.parametrize(("steps", "denoise"), [(1, 0.3), (10, 0.0), (10, 1.1), (2, 0.002)])
def test_impossible_schedules_are_refused(steps: int, denoise: float) -> None:
    with pytest.raises(ValueError, match=r"expected|use 0\.003 or more"):
        schedule.timesteps(steps, denoise)


def test_noise_is_drawn_from_the_least_noisy_up() -> None:
    generator = torch.Generator().manual_seed(11)
    first, second = (torch.randn(1, 4, 3, 3, generator=generator) for _ in range(2))
    drawn = schedule.timestep_noise((4, 3, 3), 2, seed=11)
    assert torch.equal(drawn[1], first)
    assert torch.equal(drawn[0], second)
