"""Intervals and tests. SciPy does the work; only what it lacks is here.

Several pictures of one person are not independent, so intervals draw people again, and tests compare people's means.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

LEVEL = 0.95
"""Confidence level of all intervals."""

RESAMPLES = 2000
"""How often people are drawn again."""

AT_ONCE = 100
"""Resamples in memory at a time: thousands of people take megabytes each."""

SEED = 0
"""Of the resampling, so that the same pictures give the same report."""

JACKKNIFE_GROUPS = 20
"""Groups of people left out in turn, where a statistic is too slow to compute without every single person."""


@dataclass(frozen=True)
class Estimate:
    """A number with its interval of confidence LEVEL.

    Attributes:
        value: None if nothing could be measured.
        low: None if too few people say nothing about it.
        high: as `low`.
        count: pictures that were measured.
    """

    value: float | None
    low: float | None
    high: float | None
    count: int


@dataclass(frozen=True)
class Test:
    """A paired comparison of two methods.

    Attributes:
        name: of the test, "McNemar" or "Wilcoxon".
        difference: mean of the first method less that of the other, over the people measured in both.
        p: two-sided, uncorrected.
        people: that were measured in both.
    """

    name: str
    difference: float
    p: float
    people: int


def threshold_at(impostors: Floats, rate: float) -> float:
    """Return the lowest threshold at which at most a share `rate` of the impostors matches.

    Args:
        impostors: scores of pairs of different people, at least one.
        rate: in [0, 1).

    Returns:
        The smallest number above all impostors except the allowed ones. A pair matches at or above the threshold.

    Raises:
        ValueError: there are no impostors.
    """
    if not len(impostors):
        raise ValueError("no pair of different people could be measured: fewer than two pictures have a face")
    ordered = np.sort(impostors.astype(np.float64))[::-1]
    return float(np.nextafter(ordered[int(rate * len(ordered))], np.inf))


def estimate(values: Floats, people: Sequence[str], share: bool) -> Estimate:
    """Return the mean of the values that are not NaN, with its interval.

    A share's interval is exact (Clopper and Pearson) where everybody is in one picture: drawing people again would call
    0 of 24 certain. Otherwise it is the bootstrap's percentiles.

    Args:
        values: [N].
        people: who is in each of the N pictures.
        share: whether the values are 0 or 1.
    """
    from scipy import stats

    sums, counts = _by_person(values, people)
    total = int(counts.sum())
    if not total:
        return Estimate(None, None, None, 0)
    mean = float(sums.sum() / total)
    if share and counts.max() == 1:
        exact = stats.binomtest(round(sums.sum()), total).proportion_ci(LEVEL, method="exact")
        return Estimate(mean, float(exact.low), float(exact.high), total)
    if len(sums) < 2:
        return Estimate(mean, None, None, total)
    drawn = stats.bootstrap(
        (sums, counts),
        lambda s, c, axis: s.sum(axis=axis) / c.sum(axis=axis),
        paired=True,
        vectorized=True,
        n_resamples=RESAMPLES,
        batch=AT_ONCE,
        confidence_level=LEVEL,
        method="percentile",
        rng=np.random.default_rng(SEED),
    ).confidence_interval
    return Estimate(mean, float(drawn.low), float(drawn.high), total)


def jackknifed(statistic: Callable[[NDArray[np.intp]], float], people: Sequence[str]) -> Estimate:
    """Return a statistic of many pictures with the interval of a jackknife that leaves out groups of people.

    Drawing pictures again would show some twice, which distances of distributions take for a difference.

    Args:
        statistic: of the pictures with the given numbers.
        people: who is in each of the N pictures.
    """
    from scipy import stats

    names, number = np.unique(np.asarray(people), return_inverse=True)
    every = np.arange(len(people))
    value = statistic(every)
    groups = min(JACKKNIFE_GROUPS, len(names))
    if groups < 3:
        return Estimate(value, None, None, len(people))
    group = np.random.default_rng(SEED).permutation(len(names))[number] % groups
    without = np.array([statistic(every[group != one]) for one in range(groups)])
    error = np.sqrt((groups - 1) / groups * np.square(without - without.mean()).sum())
    half = float(stats.t.ppf((1 + LEVEL) / 2, groups - 1) * error)
    return Estimate(value, value - half, value + half, len(people))


def compare(one: Floats, other: Floats, people: Sequence[str], share: bool) -> Test | None:
    """Compare two methods on the same pictures, on those that could be measured in both.

    Args:
        one: [N] of one method, NaN where nothing was measured.
        other: [N] of the other.
        people: who is in each of the N pictures.
        share: whether the values are 0 or 1. Then the test is McNemar's exact one, otherwise Wilcoxon's; it is also
            Wilcoxon's for shares of people who are in several pictures.

    Returns:
        None if nobody was measured in both.
    """
    from scipy import stats

    both = ~(np.isnan(one) | np.isnan(other))
    if not both.any():
        return None
    chosen = np.asarray(people)[both]
    (first, counts), (second, _) = (_by_person(values[both], chosen) for values in (one, other))
    difference = first / counts - second / counts
    mean = float(difference.mean())
    if share and counts.max() == 1:
        better, worse = int((difference > 0).sum()), int((difference < 0).sum())
        p = stats.binomtest(better, better + worse).pvalue if better + worse else 1.0
        return Test("McNemar", mean, float(p), len(difference))
    p = stats.wilcoxon(difference).pvalue if difference.any() else 1.0
    return Test("Wilcoxon", mean, float(p), len(difference))


def holm(ps: Sequence[float]) -> list[float]:
    """Correct p values for their number by Holm's step-down method.

    Holm, "A simple sequentially rejective multiple test procedure" (1979). SciPy has no such function.

    Returns:
        The corrected values in the same order, at most 1.
    """
    corrected, largest = [0.0] * len(ps), 0.0
    for rank, place in enumerate(np.argsort(ps, kind="stable").tolist()):
        largest = max(largest, min(1.0, (len(ps) - rank) * ps[place]))
        corrected[place] = largest
    return corrected


def _by_person(values: Floats, people: Sequence[str] | NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Of everybody who was measured, the sum of the values and their number."""
    known = ~np.isnan(values)
    names, number = np.unique(np.asarray(people)[known], return_inverse=True)
    sums = np.bincount(number, values[known].astype(np.float64), len(names))
    return sums, np.bincount(number, minlength=len(names))
