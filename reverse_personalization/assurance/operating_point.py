"""When two faces count as one person's: the rule, and the thresholds, with where they come from."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from .comparison import COMPARISON
from .published import published_threshold

OPERATING_POINT_FILE = "verification.json"
"""Name of the file in a pack's folder that holds the pack's operating point. That of a single ONNX file lies beside it,
with this name after the file's own: `face.onnx.verification.json`."""

CAUTIOUS_AT_ONE_PLACE = 0.25
CAUTIOUS_BETWEEN_PLACES = 0.2
"""Thresholds (cosine) of recognisers that nobody has measured. They lie so low that many strangers count as
recognisable: docs/thresholds.md says how many, and why."""

STRICTER = 0.75
"""The check's threshold as a fraction of one that was measured at a single alignment of each face.

The check aligns faces by the detector's landmarks, and somebody who wants to recognise a person may align better: of
354 faces in 121 hostile photographs, 3 reached the threshold with their true landmarks and only 0.71 to 0.92 of it with
the detector's.
"""

ThresholdSource = Literal["measured", "published", "unmeasured", "set by hand"]
"""measured: an operating point lies beside the recogniser. published: `published` names it. unmeasured: nobody has
measured it, so the cautious thresholds hold. set by hand: the user gave it."""

VERSION = 2


def threshold_words(source: ThresholdSource) -> str:
    """How people are told where a threshold comes from: "unmeasured threshold"."""
    return "threshold set by hand" if source == "set by hand" else f"{source} threshold"


def judge_similarity(
    similarity: float | None, threshold: float
) -> Literal["recognisable", "anonymised", "unmeasurable"]:
    """Judge whether a person can be recognised: the one rule that every check follows.

    Args:
        similarity: cosine in [-1, 1]; None if nothing was measured.
        threshold: cosine in [0, 1].

    Returns:
        "recognisable" at or above the threshold, "anonymised" below it, "unmeasurable" without a finite number.
    """
    if similarity is None or not math.isfinite(similarity):
        return "unmeasurable"
    return "recognisable" if similarity >= threshold else "anonymised"


@dataclass(frozen=True)
class Thresholds:
    """When two faces count as one person's (cosines in [0, 1]).

    Attributes:
        at_one_place: for a face of the original and the face at its place in the result, as `largest_cosine` compares
            them.
        between_places: for two faces at different places, each at one alignment. There are many such pairs.
        source: where both come from.
    """

    at_one_place: float
    between_places: float
    source: ThresholdSource


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold that was measured at one alignment of each face.

    Attributes:
        threshold: cosine, above 0 and below 1, at or above which two faces count as one person's.
        false_match_rate: share of the pairs of different people that count as one person at this threshold, in [0, 1].
        measured_on: the pictures that it was measured on, in words.
    """

    threshold: float
    false_match_rate: float
    measured_on: str

    def as_json(self) -> bytes:
        """The file's content."""
        return _as_json(asdict(self))


@dataclass(frozen=True)
class Rate:
    """A share of pairs, with its 95 % interval; all in [0, 1].

    Attributes:
        share: of the pairs.
        low: lower end.
        high: upper end.
        pairs: how many there were.
    """

    share: float
    low: float
    high: float
    pairs: int


@dataclass(frozen=True)
class Calibration:
    """Thresholds that were measured for the very comparisons that the check makes.

    Attributes:
        at_one_place: threshold, see `Thresholds`.
        between_places: threshold, see `Thresholds`.
        wanted: share of the strangers at one place that may count as one person.
        strangers: share of the strangers that do, at one place.
        strangers_between: the same between places.
        spoilt: share of the photographs that count as the same person's when they are spoilt (`SPOILT`), at one place.
        genuine: the same for two different pictures of one person; None if there were none.
        people: how many there were.
        recogniser_sha256: of the recogniser's file; "" if it is not a file.
    """

    at_one_place: float
    between_places: float
    wanted: float
    strangers: Rate
    strangers_between: Rate
    spoilt: Rate
    genuine: Rate | None
    people: int
    recogniser_sha256: str

    def as_json(self) -> bytes:
        """The file's content: figures alone, nothing of the pictures."""
        return _as_json({"version": VERSION, "comparison": COMPARISON, **asdict(self)})


def _as_json(fields: dict[str, Any]) -> bytes:
    return (json.dumps(fields, indent=2) + "\n").encode()


def operating_point_file(recogniser: Path, single: bool) -> Path:
    """Where a recogniser's operating point lies.

    Args:
        recogniser: its file.
        single: whether it is a file of its own, not part of a pack.
    """
    return recogniser.with_name(f"{recogniser.name}.{OPERATING_POINT_FILE}" if single else OPERATING_POINT_FILE)


def known_thresholds(file: Path, sha256: str) -> Thresholds:
    """The thresholds of a recogniser: measured, else published, else cautious.

    A threshold that was measured at a single alignment is lowered by `STRICTER` at one place. A published one is not:
    it was chosen where both errors balance, and is lower already.

    Args:
        file: as `operating_point_file` returns it; need not exist.
        sha256: of the recogniser's file.

    Raises:
        ValueError: the file is not an operating point, or is of another recogniser or another comparison.
    """
    if file.exists():
        return _read(file, sha256)
    published = published_threshold(sha256)
    if published is not None:
        return Thresholds(published, published, "published")
    return Thresholds(CAUTIOUS_AT_ONE_PLACE, CAUTIOUS_BETWEEN_PLACES, "unmeasured")


def pack_threshold(folder: Path) -> float:
    """The threshold in a pack's folder that was measured for its recogniser at one alignment of each face.

    Args:
        folder: of the pack.

    Raises:
        ValueError: the file holds no threshold above 0 and below 1.
        OSError: it cannot be read.
    """
    return _read(folder / OPERATING_POINT_FILE, None).between_places


def _read(file: Path, sha256: str | None) -> Thresholds:
    try:
        fields = json.loads(file.read_text(encoding="utf-8"))
        version = fields.get("version", 1) if isinstance(fields, dict) else None
        if version == 1:
            own = float(fields["threshold"])
            found = Thresholds(STRICTER * own, own, "measured")
        elif version == VERSION:
            found = Thresholds(float(fields["at_one_place"]), float(fields["between_places"]), "measured")
        else:
            raise ValueError(f"version {version}")
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(_unusable(file, f"{type(error).__name__}: {error}")) from error
    for threshold in (found.at_one_place, found.between_places):
        if not 0 < threshold < 1:
            raise ValueError(_unusable(file, f"threshold {threshold}"))
    if version == VERSION:
        if fields.get("comparison") != COMPARISON:
            raise ValueError(_unusable(file, f'measured for the comparison "{fields.get("comparison")}"'))
        if sha256 is not None and fields.get("recogniser_sha256") != sha256:
            raise ValueError(_unusable(file, "measured for another recogniser than the one beside it"))
    return found


def _unusable(file: Path, found: str) -> str:
    return (
        f"{file} cannot be used ({found}); expected an operating point as scripts/calibrate.py writes it for this "
        'recogniser, or {"threshold": a cosine above 0 and below 1, ...}. Calibrate again, or remove it and set the '
        "threshold on the node"
    )
