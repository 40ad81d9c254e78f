"""Distances of distributions, against closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from evaluate.distributions import frechet_distance, kernel_distance


def with_moments(mean: np.ndarray, deviations: np.ndarray) -> np.ndarray:
    """Features [400, D] that have exactly this mean and these standard deviations, and no correlation."""
    drawn = np.random.default_rng(0).normal(size=(400, len(mean)))
    drawn -= drawn.mean(0)
    white = np.linalg.solve(np.linalg.cholesky(np.cov(drawn.T)), drawn.T).T
    return white * deviations + mean


def test_the_frechet_distance_of_two_gaussians_in_closed_form() -> None:
    one = with_moments(np.array([0.0, 1.0, 2.0]), np.array([1.0, 2.0, 0.5]))
    other = with_moments(np.array([1.0, 1.0, 0.0]), np.array([2.0, 2.0, 1.5]))
    # Squared distance of the means, and of the standard deviations, as the covariances commute.
    assert frechet_distance(one, other) == pytest.approx((1 + 0 + 4) + (1 + 0 + 1), rel=1e-6)
    assert frechet_distance(one, one) == pytest.approx(0, abs=1e-6)


def test_the_kernel_distance_of_four_numbers_by_hand() -> None:
    # k(x, y) = (x y + 1)^3. Within: k(0, 1) = 1, k(1, 2) = 27. Across: 1, 1, 8, 27.
    originals, results = np.array([[0.0], [1.0]]), np.array([[1.0], [2.0]])
    assert kernel_distance(originals, results) == pytest.approx(1 + 27 - 2 * (1 + 1 + 8 + 27) / 4)


def test_the_kernel_distance_of_one_distribution_is_about_nothing() -> None:
    one, other = np.random.default_rng(1).normal(size=(2, 300, 4))
    assert abs(kernel_distance(one, other)) < 0.05
    assert kernel_distance(one, other + 1) > 0.5
