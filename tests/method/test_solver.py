"""The mathematics alone: no ComfyUI, a denoiser whose answer is known."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reverse_personalization.method import schedule
from reverse_personalization.method.solver import EVEN_EXTRAPOLATION, DPMSolverSDE, invert, noisiest_copy, replay
from tests.known_denoiser import MEAN, VARIANCE, gaussian_denoiser, sigmas_of


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


# --- the extrapolation limit ---------------------------------------------------------------------------------

LIMITS = [0.0, EVEN_EXTRAPOLATION, 1.0, math.inf]


def extrapolation(sigmas: list[float], limit: float) -> list[float]:
    """Each step's c, read from what the solver does with a prediction that grows by 1 a step from y = 0."""
    solver = DPMSolverSDE(sigmas, limit)
    found = []
    for i in range(len(sigmas) - 1):
        mu, _ = solver.step(i, torch.zeros(1, dtype=torch.float64), torch.tensor([float(i)], dtype=torch.float64))
        found.append(mu.item() / (1 - (sigmas[i + 1] / sigmas[i]) ** 2) - i)
    return found


@pytest.mark.parametrize(("steps", "largest"), [(8, 2.1), (12, 2.0), (25, 1.7), (100, 1.1)])
def test_the_limit_caps_the_step_down_to_timestep_1_and_none_that_is_below_it(steps: int, largest: float) -> None:
    sigmas = sigmas_of(steps, 0.5)
    free = extrapolation(sigmas, math.inf)
    assert free[0] == 0.0
    assert max(free) == free[-2] == pytest.approx(largest, abs=0.06)
    for limit in LIMITS:
        assert extrapolation(sigmas, limit) == pytest.approx([min(c, limit) for c in free], abs=1e-9)


def test_levels_evenly_spaced_in_their_logarithm_extrapolate_by_half_and_are_not_limited() -> None:
    sigmas = [8.0 * 0.7**i for i in range(7)]
    assert extrapolation(sigmas, math.inf)[1:] == pytest.approx([EVEN_EXTRAPOLATION] * 5)


@given(
    steps=st.integers(2, 40),
    denoise=st.sampled_from([0.3, 0.5, 1.0]),
    limit=st.one_of(st.sampled_from(LIMITS), st.floats(0, 3)),
    seed=st.integers(0, 2**31),
)
@settings(max_examples=40)
def test_round_trip_at_any_limit(steps: int, denoise: float, limit: float, seed: int) -> None:
    x0 = torch.randn(2, 4, 6, 5, generator=torch.Generator().manual_seed(seed))
    sigmas = sigmas_of(steps, denoise)
    noise = schedule.timestep_noise(x0.shape[1:], steps, seed)
    start = noisiest_copy(x0, noise, sigmas)
    z = invert(gaussian_denoiser, x0, start, noise, sigmas, extrapolation_limit=limit)
    back = replay(gaussian_denoiser, start, z, sigmas, extrapolation_limit=limit)
    assert (back - x0).abs().max() <= 1e-6


def test_a_replay_at_another_limit_does_not_give_the_picture_back() -> None:
    x0 = torch.randn(1, 4, 6, 5, generator=torch.Generator().manual_seed(0))
    sigmas = sigmas_of(8, 0.5)
    noise = schedule.timestep_noise(x0.shape[1:], 8, seed=3)
    start = noisiest_copy(x0, noise, sigmas)
    z = invert(gaussian_denoiser, x0, start, noise, sigmas, extrapolation_limit=EVEN_EXTRAPOLATION)
    assert (replay(gaussian_denoiser, start, z, sigmas) - x0).abs().max() > 1e-2


def test_no_limit_is_the_default_to_the_last_bit() -> None:
    x0 = torch.randn(1, 4, 6, 5, generator=torch.Generator().manual_seed(0))
    sigmas = sigmas_of(8, 0.5)
    noise = schedule.timestep_noise(x0.shape[1:], 8, seed=3)
    start = noisiest_copy(x0, noise, sigmas)
    z = invert(gaussian_denoiser, x0, start, noise, sigmas)
    assert torch.equal(invert(gaussian_denoiser, x0, start, noise, sigmas, extrapolation_limit=math.inf), z)
    assert not torch.equal(invert(gaussian_denoiser, x0, start, noise, sigmas, extrapolation_limit=1.0), z)


@pytest.mark.parametrize("limit", [-0.1, -math.inf, math.nan])
def test_an_impossible_limit_is_refused(limit: float) -> None:
    with pytest.raises(ValueError, match=r"extrapolation limit is .*; expected 0 \(first order\) or more"):
        DPMSolverSDE([2.0, 1.0, 0.5], limit)


# --- sampling and schedules --------------------------------------------------------------------------------


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


@given(steps=st.integers(2, 999), permille=st.integers(3, 1000), cleanest=st.integers(1, 100))
@settings(max_examples=300, deadline=None)
def test_timesteps_are_different_or_refused(steps: int, permille: int, cleanest: int) -> None:
    denoise = permille / 1000
    largest = schedule.largest_steps(denoise)
    if steps > largest:
        with pytest.raises(ValueError, match=f"at this denoise is {largest}"):
            schedule.timesteps(steps, denoise, cleanest=cleanest)
        return
    visited = schedule.timesteps(steps, denoise, cleanest=cleanest)
    assert len(set(visited)) == len(visited) == steps
    assert visited == sorted(visited, reverse=True)
    assert visited[0] == permille - 1
    assert visited[-1] == min(cleanest, permille - steps)
    assert schedule.timesteps(steps, denoise)[-1] == 1


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


@pytest.mark.parametrize("shape", [(4, 3, 3), (1, 1, 1), (4, 8, 8)])
@pytest.mark.parametrize("steps", [2, 15, 16, 17, 33, 100])
def test_noise_drawn_again_is_the_same_to_the_last_bit_in_any_order(shape: tuple[int, ...], steps: int) -> None:
    kept = schedule.timestep_noise(shape, steps, seed=5)
    draws = schedule.NoiseDraws(shape, steps, seed=5)
    for i in [*range(steps), steps - 1, 0, steps // 2]:
        assert torch.equal(draws[i], kept[i])
    for outside in (-1, steps):
        with pytest.raises(IndexError, match=f"expected 0 to {steps - 1}"):
            draws[outside]
