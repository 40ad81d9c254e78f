"""Puts the numbers of all results together: means with intervals, paired tests, groups of people, distributions."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from .declaration import Output
from .decoding import Values
from .distributions import Features, frechet_distance, kernel_distance
from .faces import Observers, Seen, title
from .measures import Measure, Table, Threshold
from .statistics import Estimate, Test, compare, estimate, holm, jackknifed

FEWEST_FEATURES = 2
"""Fewest pictures that have a covariance."""


@dataclass(frozen=True)
class PairedTest:
    """A test of two methods on one measure.

    Attributes:
        measure: its name.
        one: a method.
        other: another method.
        test: its result.
        corrected: its p value, corrected by Holm's method for all pairs of methods on this measure.
    """

    measure: str
    one: str
    other: str
    test: Test
    corrected: float


@dataclass(frozen=True)
class GroupFailure:
    """How often people of a group are re-identified.

    Attributes:
        group: what parts the people, such as "FairFace: sex".
        label: which part.
        method: whose results.
        judge: who re-identifies.
        share: of the group's measurable results.
    """

    group: str
    label: str
    method: str
    judge: str
    share: Estimate


@dataclass(frozen=True)
class Distribution:
    """How far a method's results are from the originals as a whole.

    Attributes:
        features: name of the features' model and output.
        width: number of features.
        frechet: FID; of these features, not of Inception's.
        kernel: KID, likewise.
    """

    features: str
    width: int
    frechet: Estimate
    kernel: Estimate

    @property
    def singular(self) -> bool:
        """Whether there are too few pictures for the covariances."""
        return self.frechet.count <= self.width


@dataclass(frozen=True)
class Summary:
    """Everything that the report says.

    Attributes:
        measures: in the order of the tables.
        thresholds: by judge.
        methods: by method, by measure, its mean.
        distributions: by method.
        tests: of all pairs of methods that share people.
        groups: () if no estimator declares any.
    """

    measures: tuple[Measure, ...]
    thresholds: Mapping[str, Threshold]
    methods: Mapping[str, Mapping[str, Estimate]]
    distributions: Mapping[str, tuple[Distribution, ...]]
    tests: tuple[PairedTest, ...]
    groups: tuple[GroupFailure, ...]


def means(table: Table, measures: tuple[Measure, ...]) -> dict[str, Estimate]:
    """The mean of each measure of one method."""
    return {one.name: estimate(table.values[one.name], table.people, one.share) for one in measures}


def paired_tests(tables: Mapping[str, Table], measures: tuple[Measure, ...]) -> tuple[PairedTest, ...]:
    """Compare every two methods on the results that both have."""
    made: list[PairedTest] = []
    for measure in measures:
        found = []
        for one, other in itertools.combinations(tables, 2):
            first, second = tables[one], tables[other]
            second_rows = {stem: row for row, stem in enumerate(second.stems)}
            rows = [row for row, stem in enumerate(first.stems) if stem in second_rows]
            tested = compare(
                first.values[measure.name][rows],
                second.values[measure.name][[second_rows[first.stems[row]] for row in rows]],
                [first.people[row] for row in rows],
                measure.share,
            )
            if tested is not None:
                found.append((one, other, tested))
        corrected = holm([test.p for _, _, test in found])
        made += [PairedTest(measure.name, *row, p) for row, p in zip(found, corrected, strict=True)]
    return tuple(made)


def distributions(
    observers: Observers, people: Mapping[str, str], originals: Mapping[str, Seen], results: Mapping[str, Seen]
) -> tuple[Distribution, ...]:
    """The distances of one method's results from their originals, by each model of features."""
    made = []
    for estimator in observers.estimators:
        for output in estimator.declaration.outputs:
            name = title(estimator, output.name)
            both = [stem for stem in results if name in results[stem].readings and name in originals[stem].readings]
            if output.kind != "features" or len(both) < FEWEST_FEATURES:
                continue
            before, after = (np.array([seen[stem].readings[name] for stem in both]) for seen in (originals, results))
            who = [people[stem] for stem in both]
            made.append(
                Distribution(
                    features=name,
                    width=before.shape[1],
                    frechet=jackknifed(partial(_of_rows, frechet_distance, before, after), who),
                    kernel=jackknifed(partial(_of_rows, kernel_distance, before, after), who),
                )
            )
    return tuple(made)


def _of_rows(
    distance: Callable[[Features, Features], float], before: Features, after: Features, rows: NDArray[np.intp]
) -> float:
    return distance(before[rows], after[rows])


def group_failures(
    observers: Observers, originals: Mapping[str, Seen], tables: Mapping[str, Table]
) -> tuple[GroupFailure, ...]:
    """How often each method's results are re-identified, by what the estimators read from the originals."""
    made = []
    for group, labels in groups_of(observers, originals).items():
        for method, table in tables.items():
            for judge in observers.judges:
                values = table.values[f"re-identified, {judge.name}"]
                for label in sorted(set(labels.values()), key=_label_order):
                    chosen = [row for row, stem in enumerate(table.stems) if labels.get(stem) == label]
                    share = estimate(values[chosen], [table.people[row] for row in chosen], share=True)
                    made.append(GroupFailure(group, label, method, judge.name, share))
    return tuple(made)


def groups_of(observers: Observers, originals: Mapping[str, Seen]) -> dict[str, dict[str, str]]:
    """By what parts the people, the label of each original that was read."""
    made: dict[str, dict[str, str]] = {}
    for estimator in observers.estimators:
        for output in estimator.declaration.outputs:
            name = title(estimator, output.name)
            read = {stem: seen.readings[name] for stem, seen in originals.items() if name in seen.readings}
            if output.group:
                made[name] = {stem: output.classes[int(values.argmax())] for stem, values in read.items()}
            for axis in output.bands:
                labels = {stem: _band(output, axis, values) for stem, values in read.items()}
                made[f"{name}, {axis}" if axis else name] = labels
    return made


def _band(output: Output, axis: str, values: Values) -> str:
    limits = output.bands[axis]
    value = abs(float(values[output.axes.index(axis)])) if axis else float(values[0])
    unit = "°" if axis else f" {output.unit}"
    place = bisect.bisect_right(limits, value)
    if place == 0:
        return f"below {limits[0]:g}{unit}"
    if place == len(limits):
        return f"from {limits[-1]:g}{unit}"
    return f"{limits[place - 1]:g} to {limits[place]:g}{unit}"


def _label_order(label: str) -> tuple[int, float, str]:
    first, _, rest = label.partition(" ")
    if first == "below":
        return 0, 0.0, label
    if first == "from":
        return 2, 0.0, label
    try:
        return 1, float(first), rest
    except ValueError:
        return 1, 0.0, label
