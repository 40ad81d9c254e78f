"""Measures a recogniser's thresholds on known people, for the very comparisons that the check makes.

Everybody is compared with everybody else as if one had been put into the other's place. How sure the shares are comes
from drawing the people again (bootstrap), not the pairs: pairs that share a person are not independent.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .calibration_faces import Sample, Seen
from .collapse import SAME_EVERYWHERE, WRONG_SCALE
from .comparison import largest_cosine
from .operating_point import Calibration, Rate

LEAST_PEOPLE = 30
"""Fewest people: of fewer, no more than 4 of 406 pairs would decide about one percent."""

WANTED_RATE = 0.01
"""Share of the strangers at one place that may count as one person, unless the user wants another."""

RARER_BETWEEN = 0.1
"""The same between places, as a fraction of that at one place: a result is compared with everybody of its batch."""

WANTED_CAUGHT = 0.99
"""Share of one person's pairs that should count as one person."""

LEAST_CAUGHT = 0.9
"""Share of the spoilt photographs that must be known again; a recogniser below it cannot check anything."""

CLEARLY_BETTER = 1.2
"""How many times further apart the other input scaling must hold people to be the right one: with three recognisers,
the right one held them 1.08 to 1.25 times as far apart as one that is too large (docs/thresholds.md)."""

LEAST_SEPARATION = 2.0
"""Standard deviations by which it must at least hold them apart: of two blind scalings neither is right."""

SURE = 0.95
DRAWS = 400

Scores = NDArray[np.float64]
Numbers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Compared:
    """Cosines of pairs of samples.

    Attributes:
        at_one_place: [P], as the check compares them.
        between_places: [P], at one alignment each.
        people: [P, 2], numbers from 0 of the two people; equal in a pair of one person.
        samples: [P, 2], numbers of the two samples.
    """

    at_one_place: Scores
    between_places: Scores
    people: Numbers
    samples: Numbers

    def __getitem__(self, which: NDArray[np.bool_]) -> Compared:
        return Compared(self.at_one_place[which], self.between_places[which], self.people[which], self.samples[which])

    def __len__(self) -> int:
        return len(self.people)


def compare(samples: Sequence[Sample], pairs: Sequence[tuple[int, int]] | None = None) -> tuple[Compared, Compared]:
    """Compare samples with each other.

    Args:
        samples: of known people.
        pairs: numbers of the samples to compare; None takes all.

    Returns:
        The pairs of strangers, and those of one person.
    """
    if pairs is None:
        pairs = [(a, b) for a in range(len(samples)) for b in range(a + 1, len(samples))]
    numbers = np.array(pairs, np.int64).reshape(-1, 2)
    people = np.unique([sample.person for sample in samples], return_inverse=True)[1][numbers]
    seen = [(samples[a].seen, samples[b].seen) for a, b in numbers]
    at_one = np.array([_at_one_place(a, b, place) for place, (a, b) in enumerate(seen)])
    between = np.array([float(a.units[0] @ b.units[0]) for a, b in seen])
    every = Compared(at_one, between, people, numbers)
    same = people[:, 0] == people[:, 1]
    return every[~same], every[same]


def compare_spoilt(samples: Sequence[Sample]) -> Compared:
    """Compare every sample with the same place in its spoilt pictures."""
    found = [
        (number, _at_one_place(sample.seen, again, place), float(sample.seen.units[0] @ again.units[0]))
        for number, sample in enumerate(samples)
        for place, again in enumerate(sample.spoilt.values())
    ]
    numbers = np.array([number for number, *_ in found], np.int64).reshape(-1, 1).repeat(2, axis=1)
    at_one, between = np.array([values for _, *values in found], np.float64).reshape(-1, 2).T
    people = np.unique([sample.person for sample in samples], return_inverse=True)[1][numbers]
    return Compared(at_one, between, people, numbers)


def _at_one_place(before: Seen, after: Seen, place: int) -> float:
    # Where the detector finds the second face again differs from pair to pair.
    again = place % len(before.again)
    cosine = largest_cosine(before.units, after.units, (before.again[again], after.again[again]))
    if cosine is None:
        raise AssertionError("samples have all embeddings")
    return cosine


def calibrate(
    samples: Sequence[Sample],
    pairs: Sequence[tuple[int, int]] | None = None,
    wanted: float = WANTED_RATE,
    recogniser_sha256: str = "",
    rescaled: Sequence[Sample] = (),
) -> Calibration:
    """Choose a recogniser's thresholds.

    At one place, the threshold is where the share of strangers stays at or below `wanted` in 95 % of the draws of
    people; but not so high that fewer than `WANTED_CAUGHT` of one person's pairs count, unless the share in all pairs
    would exceed `wanted`. Between places it is where the share in all pairs is a tenth of that.

    Args:
        samples: of at least `LEAST_PEOPLE` people.
        pairs: numbers of the samples to compare; None takes all.
        wanted: share of the strangers at one place that may count as one person, in (0, 0.5].
        recogniser_sha256: of the recogniser's file.
        rescaled: the first samples as the recogniser sees them with its input scaled in the other usual way; () if that
            cannot be tried.

    Raises:
        ValueError: there are too few people, or the recogniser cannot tell people apart.
    """
    people = len({sample.person for sample in samples})
    if people < LEAST_PEOPLE:
        raise ValueError(
            f"the pictures show {people} people whose faces can be measured; expected at least {LEAST_PEOPLE}, better "
            "60 or more: add pictures of other people"
        )
    if rescaled:
        check_scaling(samples[: len(rescaled)], rescaled)
    strangers, genuine = compare(samples, pairs)
    spoilt = compare_spoilt(samples)
    median = float(np.median(strangers.at_one_place)) if len(strangers) else math.nan
    if not len(strangers) or median >= SAME_EVERYWHERE:
        raise ValueError(
            f"the cosine of different people is {median:.2f} in the median; expected below {SAME_EVERYWHERE:g}: the "
            "recogniser sees one person in everybody, because its file is damaged or was converted wrongly, or its "
            "input is scaled wrongly. Choose another"
        )
    least, most = _limits(strangers.at_one_place, strangers.people, wanted)
    for one in (spoilt, genuine):
        if len(one):
            most = min(most, _down(np.sort(one.at_one_place)[math.floor((1 - WANTED_CAUGHT) * len(one))]))
    at_one = max(least, most)
    between = _limits(strangers.between_places, strangers.people, RARER_BETWEEN * wanted)[0]
    known = share_at(spoilt.at_one_place, spoilt.people, at_one)
    if known.share < LEAST_CAUGHT or at_one >= 1:
        raise ValueError(
            f"at a threshold of {at_one:.2f}, which {wanted:.1%} of the strangers reach, the recogniser knows only "
            f"{known.share:.0%} of the photographs again when they are spoilt; expected at least {LEAST_CAUGHT:.0%}. "
            "It cannot tell people apart well enough: choose another"
        )
    return Calibration(
        at_one_place=at_one,
        between_places=between,
        wanted=wanted,
        strangers=share_at(strangers.at_one_place, strangers.people, at_one),
        strangers_between=share_at(strangers.between_places, strangers.people, between),
        spoilt=known,
        genuine=share_at(genuine.at_one_place, genuine.people, at_one) if len(genuine) else None,
        people=people,
        recogniser_sha256=recogniser_sha256,
    )


def most_alike(strangers: Compared, count: int) -> list[tuple[float, tuple[int, int]]]:
    """The largest cosines of strangers at one place, each with the numbers of its two samples."""
    order = np.argsort(-strangers.at_one_place)[:count]
    return [
        (float(strangers.at_one_place[i]), (int(strangers.samples[i, 0]), int(strangers.samples[i, 1]))) for i in order
    ]


def check_scaling(samples: Sequence[Sample], rescaled: Sequence[Sample]) -> None:
    """Refuse a recogniser that tells people apart clearly better with its input scaled in the other usual way.

    Args:
        samples: of different people, with their spoilt pictures.
        rescaled: the same as the recogniser sees them with the other scaling.

    Raises:
        ValueError: it does.
    """
    own, other = separation(samples), separation(rescaled)
    if other >= max(CLEARLY_BETTER * own, LEAST_SEPARATION):
        raise ValueError(
            f"the recogniser tells people apart badly: strangers and spoilt photographs are {own:.1f} standard "
            f"deviations apart, but {other:.1f} with another input. {WRONG_SCALE}"
        )


def separation(samples: Sequence[Sample]) -> float:
    """How far strangers and badly aligned, spoilt photographs are apart, in standard deviations (d prime)."""
    strangers = compare(samples)[0].between_places
    again = [
        sample.seen.units[0] @ unit for sample in samples for one in sample.spoilt.values() for unit in one.units[1:5]
    ]
    spread = math.sqrt((float(np.var(strangers)) + float(np.var(again))) / 2)
    return float(np.mean(again) - np.mean(strangers)) / max(spread, 1e-12)


def share_at(scores: Scores, people: Numbers, threshold: float) -> Rate:
    """The share of pairs at or above a threshold.

    The interval is the wider of two: that of drawing the people again, and that of Clopper and Pearson, which does not
    shrink to nothing where no pair is above.

    Args:
        scores: [P] cosines.
        people: [P, 2], see `Compared`.
        threshold: cosine.
    """
    from scipy.stats import binomtest

    if not len(scores):
        return Rate(math.nan, 0.0, 1.0, 0)
    above = scores >= threshold
    exact = binomtest(int(above.sum()), len(above)).proportion_ci(SURE, "exact")
    # Rounding may take a sum of weights a little above 1.
    drawn = [min(float(weights[above].sum()), 1.0) for weights in _draws(people)]
    tail = (1 - SURE) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    share = float(above.mean())
    return Rate(share, min(float(low), float(exact.low)), max(float(high), float(exact.high)), len(above))


def _draws(people: Numbers) -> Iterator[Scores]:
    """Weights [P] of the pairs, of sum 1, in each of `DRAWS` draws of as many people with replacement."""
    rng = np.random.default_rng(0)
    count = int(people.max()) + 1
    for _ in range(DRAWS):
        times = rng.multinomial(count, np.full(count, 1 / count)).astype(np.float64)
        # A pair of one person is drawn as often as the person.
        weights = np.where(people[:, 0] == people[:, 1], times[people[:, 0]], times[people].prod(axis=1))
        if weights.sum() > 0:
            yield weights / weights.sum()


def _limits(scores: Scores, people: Numbers, wanted: float) -> tuple[float, float]:
    """The threshold that at most `wanted` of the pairs reach, and the one that suffices in 95 % of the draws."""
    order = np.argsort(-scores)
    falling = scores[order]
    own = falling[min(math.floor(wanted * len(falling)), len(falling) - 1)]
    places = [np.searchsorted(np.cumsum(weights[order]), wanted, side="right") for weights in _draws(people)]
    drawn = falling[np.minimum(places, len(falling) - 1)]
    return _above(float(own)), _above(float(max(own, np.quantile(drawn, SURE))))


def _above(cosine: float) -> float:
    """The next larger number of four decimals."""
    return (math.floor(cosine * 1e4) + 1) / 1e4


def _down(cosine: float) -> float:
    return math.floor(cosine * 1e4) / 1e4
