"""Intervals and tests, against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluate.statistics import compare, estimate, holm, jackknifed, threshold_at

NAN = float("nan")


def different(count: int) -> list[str]:
    return [f"person {number}" for number in range(count)]


def test_the_threshold_lets_only_the_allowed_impostors_through() -> None:
    impostors = np.arange(1000) / 1000
    assert threshold_at(impostors, 1e-3) == pytest.approx(0.998)
    assert (impostors >= threshold_at(impostors, 1e-3)).sum() == 1
    assert (impostors >= threshold_at(impostors, 0.0)).sum() == 0
    # Ties are all let through or none.
    assert threshold_at(np.array([0.5, 0.5, 0.1]), 0.4) > 0.5
    with pytest.raises(ValueError, match="no pair"):
        threshold_at(np.array([]), 1e-3)


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=60), st.floats(0, 0.99))
def test_the_false_match_rate_is_kept_and_no_lower_impostor_would_do(values: list[float], rate: float) -> None:
    impostors = np.array(values)
    threshold = threshold_at(impostors, rate)
    assert (impostors >= threshold).mean() <= rate
    below = impostors[impostors < threshold]
    assert not len(below) or (impostors >= below.max()).mean() > rate


def test_the_bootstrap_covers_the_mean_as_often_as_it_says() -> None:
    generator = np.random.default_rng(1)
    covered = 0
    for _ in range(200):
        found = estimate(generator.exponential(2.0, 60), different(60), share=False)
        covered += found.low <= 2.0 <= found.high
    # 95 %; percentiles of 60 skewed values fall a little short. Three standard errors of 200 draws are 4.6 %.
    assert 0.87 <= covered / 200 <= 0.99


def test_pictures_of_one_person_do_not_make_an_interval_narrower() -> None:
    values = np.random.default_rng(2).normal(size=30)
    once = estimate(values, different(30), share=False)
    repeated = estimate(np.repeat(values, 4), [name for name in different(30) for _ in range(4)], share=False)
    assert repeated.count == 120
    assert repeated.value == pytest.approx(once.value)
    assert repeated.high - repeated.low == pytest.approx(once.high - once.low)
    wrongly = estimate(np.repeat(values, 4), different(120), share=False)
    assert wrongly.high - wrongly.low < 0.7 * (once.high - once.low)


def test_none_of_24_is_not_called_certain() -> None:
    none = estimate(np.zeros(24), different(24), share=True)
    # Clopper and Pearson: 1 - 0.025 ^ (1 / 24).
    assert (none.value, none.low) == (0, 0)
    assert none.high == pytest.approx(1 - 0.025 ** (1 / 24))


def test_what_is_not_measured_does_not_count() -> None:
    found = estimate(np.array([1.0, NAN, 0.0, NAN]), different(4), share=True)
    assert (found.value, found.count) == (0.5, 2)
    nothing = estimate(np.full(3, NAN), different(3), share=False)
    assert (nothing.value, nothing.low, nothing.high, nothing.count) == (None, None, None, 0)
    one = estimate(np.array([0.3, NAN]), different(2), share=False)
    assert (one.value, one.low, one.count) == (0.3, None, 1)


def test_mcnemar_by_hand() -> None:
    # Six people differ one way, one the other way: p = 2 (C(7, 0) + C(7, 1)) / 2^7 = 0.125.
    one = np.array([1.0] * 6 + [0.0] + [1.0] * 5 + [NAN])
    other = np.array([0.0] * 6 + [1.0] + [1.0] * 5 + [1.0])
    found = compare(one, other, different(13), share=True)
    assert (found.name, found.people) == ("McNemar", 12)
    assert found.p == pytest.approx(0.125)
    assert found.difference == pytest.approx(5 / 12)
    assert compare(one, one, different(13), share=True).p == 1


def test_wilcoxon_by_hand() -> None:
    # All six differences are positive: p = 2 / 2^6.
    one, other = np.array([2.0, 3, 4, 5, 6, 7]), np.array([1.0, 1.5, 1, 1, 0.5, 0])
    found = compare(one, other, different(6), share=False)
    assert (found.name, found.people) == ("Wilcoxon", 6)
    assert found.p == pytest.approx(2 / 64)
    assert compare(one, np.full(6, NAN), different(6), share=False) is None


def test_people_in_several_pictures_count_once() -> None:
    one, other = np.array([1.0, 1, 1, 0]), np.array([0.0, 0, 0, 0])
    found = compare(one, other, ["a", "a", "a", "b"], share=True)
    assert (found.name, found.people, found.difference) == ("Wilcoxon", 2, 0.5)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []


def test_the_jackknife_of_a_mean_is_its_standard_error() -> None:
    values = np.random.default_rng(3).normal(size=20)
    found = jackknifed(lambda rows: float(values[rows].mean()), different(20))
    # Student's t for 19 degrees of freedom.
    assert found.high - found.value == pytest.approx(2.093 * values.std(ddof=1) / np.sqrt(20), rel=1e-3)
