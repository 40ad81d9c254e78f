"""Summarises the records of all photographs."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from .cases import WIDEST_ROLL, WIDEST_YAW
from .judging import COVERED, SEEN, FaceRecord, PhotoRecord

PROMISED_SIZE, SMALL_SIZE = 48.0, 24.0
"""Least face sizes in pixels: from the first no face may be missed, from the second one in two hundred."""

SMALL_MISSES = 1 / 200
"""Share of the smaller promised faces that may be missed."""

SIZES = (0, 16, 24, 48, 96, 192, 100_000)
ANGLES = (0, 15, 30, 45, 60, 90, 180)
"""Limits of the classes that misses are counted by: size in pixels, and the larger of yaw and roll in degrees."""

Figures = dict[str, Any]


def promised(face: FaceRecord, smallest: float, largest: float = np.inf) -> bool:
    """Whether a face must be found: large enough, visible enough and not turned too far."""
    return (
        smallest <= face.size < largest
        and face.seen >= SEEN
        and abs(face.yaw) <= WIDEST_YAW
        and abs(face.roll) <= WIDEST_ROLL
    )


def summarise(records: Sequence[PhotoRecord], threshold: float, judge: str) -> Figures:
    """Compute all figures.

    Args:
        records: one for each photograph.
        threshold: threshold of the judge.
        judge: name of the judge's pack.
    """
    outcomes = Counter(record.outcome for record in records)
    saved = [face for record in records if record.outcome == "saved" for face in record.faces]
    found = [face for face in saved if face.found]
    missed = [face for face in saved if face.unhandled]
    hidden = [face for face in saved if not face.found and face.seen < SEEN]
    large = [face for face in saved if promised(face, PROMISED_SIZE)]
    small = [face for face in saved if promised(face, SMALL_SIZE, PROMISED_SIZE)]
    rims = [record for record in records if record.rim]
    statuses = Counter(face.status for face in found)
    seen = [face for face in saved if face.seen >= SEEN]
    bare = [face for face in saved if face.bare and face.scales]
    strangers = [stranger for record in records for stranger in record.strangers]
    return {
        "photos": len(records),
        "faces": sum(len(record.faces) for record in records),
        "unprotected_faces": sum(face.unprotected for face in saved),
        "unhandled_faces": sum(face.unhandled for face in large),
        "unhandled_small_faces": sum(face.unhandled for face in small),
        "unhandled_of_all_seen": len(missed),
        "missed_mostly_hidden": len(hidden),
        "outside_pixels_changed": sum(record.outside for record in records),
        "leaks": sorted({word for record in records for word in record.leaks}),
        "saved": outcomes["saved"],
        "blocked": outcomes["blocked"],
        "refused": outcomes["refused"],
        "accepted": outcomes["accepted"],
        "lost": outcomes["lost"],
        "errors": dict(Counter(f"{r.kind}: {r.error.splitlines()[0]}" for r in records if r.error)),
        "faces_promised": len(large),
        "faces_promised_small": len(small),
        "found_first": sum(face.found == "first" for face in found),
        "found_second": sum(face.found == "second" for face in found),
        "false_finds": len(strangers),
        "false_finds_second": sum(stranger.found == "second" for stranger in strangers),
        "false_finds_on_people": sum(stranger.on_head for stranger in strangers),
        "false_finds_a_photo": _mean_of(len(strangers), len(records)),
        "false_area": _mean_of(
            sum(record.false_pixels for record in records), sum(record.pixels for record in records)
        ),
        "false_area_a_photo": _mean_of(sum(r.false_pixels / r.pixels for r in records if r.pixels), outcomes["saved"]),
        "anonymised": statuses["anonymised"],
        "covered_faces": statuses["covered"],
        "anonymised_under_others_covers": sum(f.status == "anonymised" and not f.bare for f in found),
        "covered_promised": sum(face.status == "covered" for face in large),
        "covered_promised_share": _mean_of(sum(face.status == "covered" for face in large), len(large)),
        "hidden_promised_share": _mean_of(sum(face.hidden >= COVERED for face in large), len(large)),
        "cover_reasons": dict(Counter(reason for record in records for reason in record.reasons).most_common()),
        "faces_seen": len(seen),
        "bare_seen": sum(face.bare for face in seen),
        "bare_seen_share": _mean_of(sum(face.bare for face in seen), len(seen)),
        "scale_needed": _mean_of(sum(face.scales[-1] for face in bare), len(bare)),
        "scales_tried": dict(sorted(Counter(len(face.scales) for face in found if face.scales).items())),
        "evaluations": sum(record.evaluations for record in records),
        "evaluations_a_face": _mean_of(
            sum(record.evaluations for record in records), sum(face.found == "first" for face in found)
        ),
        "seam": _mean_of(sum(record.seam for record in rims), sum(record.rim for record in rims)),
        "seam_worst_photo": max((record.seam / record.rim for record in rims), default=None),
        "judge": judge,
        "threshold": threshold,
        "similarity": similarities(saved, threshold),
        "misses": table(missed),
        "seen": table(seen),
        "listed_misses": [
            [record.case, record.kind, *(round(value) for value in (face.size, face.yaw, face.roll, 100 * face.seen))]
            for record in records
            for face in record.faces
            if face.unhandled
        ],
        "seam_photos": len(rims),
        "seconds_a_photo": _mean_of(sum(record.seconds for record in records), len(records)),
        "processor_seconds_a_photo": _mean_of(sum(record.processor_seconds for record in records), len(records)),
    }


def failed(figures: Figures) -> bool:
    """Whether a promise was broken."""
    small = figures["unhandled_small_faces"] > SMALL_MISSES * figures["faces_promised_small"]
    seam = figures["seam"] is not None and figures["seam"] >= 1
    wrong = ("unprotected_faces", "unhandled_faces", "outside_pixels_changed", "leaks", "accepted", "lost")
    return small or seam or any(figures[name] for name in wrong)


def similarities(saved: Sequence[FaceRecord], threshold: float) -> Figures:
    """Return median, 95th percentile and share at or above the threshold for each comparison.

    All visible faces of PROMISED_SIZE or more that were found count; the retry rows use only pictures whose result at
    the first scale was kept. Only the last two rows measure pictures with covers. They leave out covered faces, so
    that a cover does not count as a success of the method.
    """
    faces = [face for face in saved if face.seen >= SEEN and face.size >= PROMISED_SIZE and face.found]
    compared = [face for face in faces if face.same.first is not None]
    bare = [face for face in faces if face.hidden < COVERED]
    rows = {
        "the original, with another picture of the person": [face.before for face in faces],
        "without retry, with another picture": [face.other.first for face in compared],
        "with retry, with another picture": [face.other.retried for face in compared],
        "without retry, with the original": [face.same.first for face in compared],
        "with retry, with the original": [face.same.retried for face in compared],
        "saved without cover, with another picture": [face.other.saved for face in bare],
        "saved without cover, with the original": [face.same.saved for face in bare],
    }
    return {name: _distribution(values, threshold) for name, values in rows.items()}


def table(faces: Iterable[FaceRecord]) -> Figures:
    """Count faces by size and angle: {"24-48 px": {"0-15": count}}."""
    counted: dict[str, Counter[str]] = {}
    for face in faces:
        size = _class(face.size, SIZES)
        angle = _class(max(abs(face.yaw), abs(face.roll)), ANGLES)
        counted.setdefault(f"{size} px", Counter())[angle] += 1
    return {size: dict(sorted(counted[size].items(), key=_first_number)) for size in sorted(counted, key=_number)}


def _distribution(values: Sequence[float | None], threshold: float) -> Figures:
    measured = [value for value in values if value is not None]
    return {
        "faces": len(measured),
        "median": _quantile(measured, 0.5),
        "p95": _quantile(measured, 0.95),
        "recognised": _mean_of(sum(value >= threshold for value in measured), len(measured)),
    }


def _quantile(values: Sequence[float], part: float) -> float | None:
    return float(np.quantile(values, part)) if len(values) else None


def _mean_of(total: float, count: int) -> float | None:
    return total / count if count else None


def class_names(limits: Sequence[int]) -> list[str]:
    """Return the names of the classes between limits."""
    return [f"{low}-{high}" for low, high in itertools.pairwise(limits)]


def _class(value: float, limits: Sequence[int]) -> str:
    return class_names(limits)[int(np.clip(np.searchsorted(limits, value, "right") - 1, 0, len(limits) - 2))]


def _number(name: str) -> int:
    return int(name.split("-")[0])


def _first_number(entry: tuple[str, Any]) -> int:
    return _number(entry[0])
