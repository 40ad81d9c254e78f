"""DDIM on predictions whose right answers are known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from reverse_personalization.method import schedule
from reverse_personalization.method.ddim import invert_ddim, replay_ddim
from tests.known_denoiser import MEAN, VARIANCE, gaussian_denoiser, sigmas_of

X0 = torch.randn(2, 4, 3, 3, generator=torch.Generator().manual_seed(1))


def came_back(steps: int) -> float:
    """The largest difference after an inversion and a generation under the same prediction."""
    sigmas = sigmas_of(steps, 0.5)
    x_T = invert_ddim(gaussian_denoiser, X0, sigmas)  # noqa: N806 - the paper's symbol
    return float((replay_ddim(gaussian_denoiser, x_T, sigmas) - X0).abs().max())


def test_a_prediction_that_does_not_change_brings_the_latent_back() -> None:
    sigmas = sigmas_of(5, 0.5)
    mean = torch.full_like(X0, 0.3)

    def constant(y: Tensor, levels: Tensor) -> Tensor:
        return mean[None]

    x_T = invert_ddim(constant, X0, sigmas)  # noqa: N806 - the paper's symbol
    # A straight line from the prediction: the distance to it grows as the noise level.
    start = x_T.double() / schedule.alpha(sigmas[0]) - mean
    end = X0.double() / schedule.alpha(sigmas[-1]) - mean
    assert torch.allclose(start, end * (sigmas[0] / sigmas[-1]), rtol=1e-5)
    assert (replay_ddim(constant, x_T, sigmas) - X0).abs().max() < 1e-5


def test_it_never_quite_comes_back_and_the_error_falls_as_the_steps_grow() -> None:
    few, many = came_back(20), came_back(80)
    assert few > 1e-3
    assert few / many == pytest.approx(4, rel=0.35)


def test_fine_steps_follow_the_exact_path() -> None:
    """Of normal data the path is known: y - MEAN grows as its standard deviation, the root of VARIANCE + S^2."""
    sigmas = sigmas_of(900, 0.95)
    x_T = invert_ddim(gaussian_denoiser, X0, sigmas)  # noqa: N806 - the paper's symbol
    first, last = (((VARIANCE + sigmas[i] ** 2) ** 0.5, schedule.alpha(sigmas[i])) for i in (0, -1))
    exact = MEAN + (X0.double() / last[1] - MEAN) * first[0] / last[0]
    assert torch.allclose(x_T.double() / first[1], exact, rtol=0.01, atol=0.01)


def test_levels_are_visited_in_order_and_steps_reported() -> None:
    sigmas = sigmas_of(4, 0.3)
    seen: list[float] = []
    numbers: list[int] = []

    def watched(y: Tensor, levels: Tensor) -> Tensor:
        seen.extend(levels.tolist())
        return gaussian_denoiser(y, levels)

    x_T = invert_ddim(watched, X0, sigmas, progress=lambda i, m, y: numbers.append(i))  # noqa: N806
    assert seen == pytest.approx(sigmas[:0:-1])
    replay_ddim(watched, x_T, sigmas, progress=lambda i, m, y: numbers.append(i))
    assert seen[4:] == pytest.approx(sigmas[:-1])
    assert numbers == [0, 1, 2, 3] * 2
