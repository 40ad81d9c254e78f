"""Compares each result with its original: one row of numbers a picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from .declaration import Output
from .decoding import Values, angle_change, direction_change
from .faces import Observers, Seen, title
from .pairing import Pictures
from .statistics import Floats, threshold_at

DIRECTION_AXES = ("yaw", "pitch")
"""Axes of angles that give a direction: of a gaze."""

DIGITS = 9
"""Digits that cosines are rounded to: the order of the sums changes the last bits, and one pair has one cosine."""

About = Literal["recognition", "gallery", "kept", "attributes", "quality"]
"""What a measure tells, which decides the table that it is in."""


@dataclass(frozen=True)
class Measure:
    """A number that every result has.

    Attributes:
        name: in tables and files; unique.
        about: what it tells.
        share: whether it is 0 or 1.
        better: "lower" or "higher" for an anonymisation that keeps all but identity; "" if neither is.
        unit: "" if it has none.
        detail: whether only the files have it, not the report.
    """

    name: str
    about: About
    share: bool = False
    better: str = "lower"
    unit: str = ""
    detail: bool = False


@dataclass(frozen=True)
class Threshold:
    """From which cosine on a judge takes two faces for one person's.

    Attributes:
        value: the cosine.
        pairs: of different people that it was set by.
        above: of these, how many it takes for one person's.
        rate: the false-match rate that was asked for.
        known_again: share of the people that it recognises in the gallery, untouched; None without a gallery.
    """

    value: float
    pairs: int
    above: int
    rate: float
    known_again: float | None

    @property
    def fine_enough(self) -> bool:
        """Whether there are enough pairs for one of them to be so rare."""
        return self.pairs * self.rate >= 1


@dataclass(frozen=True, eq=False)
class Table:
    """All measures of all results of one method.

    Attributes:
        stems: [N] of the results.
        people: [N] who is in them.
        values: by measure, [N], NaN where nothing could be measured.
    """

    stems: tuple[str, ...]
    people: tuple[str, ...]
    values: Mapping[str, Floats]


def embeddings(seen: Mapping[str, Seen], judge: str, width: int) -> Floats:
    """A judge's embeddings [N, width] of pictures, rows of NaN where there is none."""
    nobody = np.full(width, np.nan)
    return np.array([one.embeddings.get(judge, nobody) for one in seen.values()]).reshape(len(seen), width)


def width_of(judge: str, *seen: Mapping[str, Seen]) -> int:
    """Width of a judge's embeddings; 1 if it could not embed any picture."""
    known = (one.embeddings.get(judge) for some in seen for one in some.values())
    return next((len(one) for one in known if one is not None), 1)


def threshold_of(
    judge: str, originals: Mapping[str, Seen], gallery: Mapping[str, Seen], pictures: Pictures, rate: float
) -> Threshold:
    """Set a judge's threshold by the originals of different people, and by originals and gallery.

    Raises:
        ValueError: there are no two people that could be measured.
    """
    stems, others = list(originals), list(gallery)
    width = width_of(judge, originals, gallery)
    own, other = embeddings(originals, judge, width), embeddings(gallery, judge, width)
    people = np.array([pictures.people[stem] for stem in stems])
    shown = np.array([pictures.people[stem] for stem in others])
    strangers = np.triu(people[:, None] != people[None], 1)
    scores = [(own @ own.T).round(DIGITS)[strangers]]
    known_again = None
    if others:
        across = (own @ other.T).round(DIGITS)
        same = people[:, None] == shown[None]
        scores.append(across[~same])
        genuine = across[same]
    impostors = np.concatenate(scores)
    impostors = impostors[~np.isnan(impostors)]
    value = threshold_at(impostors, rate)
    if others:
        measured = genuine[~np.isnan(genuine)]
        known_again = float((measured >= value).mean()) if len(measured) else None
    return Threshold(value, len(impostors), int((impostors >= value).sum()), rate, known_again)


def measures_of(observers: Observers, has_gallery: bool) -> tuple[Measure, ...]:
    """All measures that these models give, in the order of the tables."""
    made = []
    for judge in observers.judges:
        made.append(Measure(f"re-identified, {judge.name}", "recognition", share=True))
    for judge in observers.judges:
        made.append(Measure(f"cosine, {judge.name}", "recognition"))
    if has_gallery:
        for judge in observers.judges:
            made.append(Measure(f"re-identified by gallery, {judge.name}", "gallery", share=True))
            made.append(Measure(f"rank 1, {judge.name}", "gallery", share=True))
    for estimator in observers.estimators:
        for output in estimator.declaration.outputs:
            made += _measures(output, title(estimator, output.name))
    made.append(Measure("detector's score", "quality", better="higher"))
    made.append(Measure("no face found", "quality", share=True))
    return tuple(made)


def _measures(output: Output, name: str) -> list[Measure]:
    if output.kind == "angles":
        axes = [Measure(f"{name}, {axis}", "kept", unit="°", detail=True) for axis in output.axes]
        return [Measure(name, "kept", unit="°"), *axes]
    if output.kind == "classes":
        distance = [Measure(f"{name}, distance", "kept")] if output.distance else []
        return [*distance, Measure(f"{name}, same", "attributes", share=True, better="higher")]
    if output.kind == "regression":
        return [Measure(f"{name}, error", "attributes", unit=output.unit)]
    if output.kind == "vector":
        return [Measure(name, "kept")]
    if output.kind == "score":
        return [Measure(name, "quality", better=output.better)]
    return []


def compared(
    observers: Observers,
    pictures: Pictures,
    thresholds: Mapping[str, Threshold],
    originals: Mapping[str, Seen],
    gallery: Mapping[str, Seen],
    results: Mapping[str, Seen],
) -> Table:
    """Compare the results of one method with their originals.

    Args:
        observers: whose readings are compared.
        pictures: who is who.
        thresholds: by judge.
        originals: by stem.
        gallery: by stem.
        results: by stem; every one has an original.
    """
    stems = tuple(results)
    people = tuple(pictures.people[stem] for stem in stems)
    values: dict[str, Floats] = {}
    for judge in observers.judges:
        values |= _recognised(judge.name, pictures, thresholds[judge.name].value, originals, gallery, results)
    for estimator in observers.estimators:
        for output in estimator.declaration.outputs:
            name = title(estimator, output.name)
            columns = [
                _changed(output, name, originals[stem].readings.get(name), results[stem].readings.get(name))
                for stem in stems
            ]
            for measure in _measures(output, name):
                values[measure.name] = np.array([column.get(measure.name, np.nan) for column in columns])
    scores = [results[stem].score for stem in stems]
    values["detector's score"] = np.array([np.nan if score is None else score for score in scores])
    values["no face found"] = np.array([float(score is None) for score in scores])
    return Table(stems, people, values)


def _recognised(
    judge: str,
    pictures: Pictures,
    threshold: float,
    originals: Mapping[str, Seen],
    gallery: Mapping[str, Seen],
    results: Mapping[str, Seen],
) -> dict[str, Floats]:
    stems, others = list(results), list(gallery)
    width = width_of(judge, originals, gallery)
    probes, own = embeddings(results, judge, width), embeddings({stem: originals[stem] for stem in stems}, judge, width)
    cosines = (probes * own).sum(1).round(DIGITS)
    made = {f"re-identified, {judge}": _matches(cosines, threshold), f"cosine, {judge}": cosines}
    if not others:
        return made
    shown = np.array([pictures.people[stem] for stem in others])
    there = embeddings(gallery, judge, width)
    by_gallery, first = np.full(len(stems), np.nan), np.full(len(stems), np.nan)
    usable = ~np.isnan(there).any(1)
    for place, (stem, probe) in enumerate(zip(stems, probes, strict=True)):
        same = usable & (shown == pictures.people[stem])
        if np.isnan(probe).any() or not same.any():
            continue
        found = np.where(usable, (np.nan_to_num(there) @ probe).round(DIGITS), -np.inf)
        by_gallery[place] = float(found[same].max() >= threshold)
        first[place] = float(same[found.argmax()])
    return made | {f"re-identified by gallery, {judge}": by_gallery, f"rank 1, {judge}": first}


def _matches(cosines: Floats, threshold: float) -> Floats:
    return np.where(np.isnan(cosines), np.nan, (cosines >= threshold).astype(np.float64))


def _changed(output: Output, name: str, before: Values | None, after: Values | None) -> dict[str, float]:
    """The measures of one result; what could not be measured is left out."""
    if output.kind == "score":
        return {} if after is None else {name: float(after[0])}
    if before is None or after is None:
        return {}
    if output.kind == "angles":
        turned = angle_change(before, after).tolist()
        whole = (
            direction_change(_direction(output, before), _direction(output, after))
            if set(output.axes) == set(DIRECTION_AXES)
            else float(np.mean(turned))
        )
        return {name: whole, **{f"{name}, {axis}": value for axis, value in zip(output.axes, turned, strict=True)}}
    if output.kind == "classes":
        return {
            f"{name}, same": float(before.argmax() == after.argmax()),
            f"{name}, distance": float(np.abs(after - before).sum() / 2),
        }
    if output.kind == "regression":
        return {f"{name}, error": float(abs(after[0] - before[0]))}
    if output.kind == "vector" and output.distance == "cosine":
        lengths = float(np.linalg.norm(before) * np.linalg.norm(after))
        return {name: 1 - float(before @ after) / lengths} if lengths else {}
    return {name: float(np.linalg.norm(after - before))}


def _direction(output: Output, values: Values) -> Values:
    return values[[output.axes.index(axis) for axis in DIRECTION_AXES]]
