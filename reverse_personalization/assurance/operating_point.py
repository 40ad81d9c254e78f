"""When a recogniser takes two faces for one person's: the rule, and the threshold in its pack's folder."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

OPERATING_POINT_FILE = "verification.json"
"""In a pack's folder, with the fields of `OperatingPoint`."""

CAUTIOUS_THRESHOLD = 0.2
"""Cosine for recognisers without that file. The published operating points of ArcFace models are between 0.25 and
0.45: this is below them all, so that more faces count as recognisable, not fewer."""


STRICTER = 0.75
"""The check's threshold, as a part of the one that was measured.

The check aligns by what a detector found, and whoever wants to know somebody again may align better: of 354 faces in
121 hostile photographs 3 reached the threshold with their true landmarks, and 0.71 to 0.92 of it with the detector's.
"""


def judge_similarity(
    similarity: float | None, threshold: float
) -> Literal["recognisable", "anonymised", "unmeasurable"]:
    """What a similarity says of a person: the one rule, which every check follows.

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
class OperatingPoint:
    """Where a recogniser decides.

    Attributes:
        threshold: cosine, above 0 and below 1.
        false_match_rate: part of the pairs of two people that it takes for one, in [0, 1].
        measured_on: which pictures, in words.
    """

    threshold: float
    false_match_rate: float
    measured_on: str

    def as_json(self) -> bytes:
        """The file's content."""
        return (json.dumps(asdict(self), indent=2) + "\n").encode()


def checking_threshold(folder: Path) -> float:
    """The threshold of a check: `STRICTER` than what was measured for a pack's recogniser, or the cautious one.

    Args:
        folder: of the pack.

    Raises:
        ValueError: see `pack_threshold`.
    """
    measured = (folder / OPERATING_POINT_FILE).exists()
    return STRICTER * pack_threshold(folder) if measured else CAUTIOUS_THRESHOLD


def pack_threshold(folder: Path) -> float:
    """The threshold that was measured for a pack's recogniser, or the cautious one if none was.

    Args:
        folder: of the pack.

    Raises:
        ValueError: the file is there, but has no threshold above 0 and below 1.
    """
    file = folder / OPERATING_POINT_FILE
    if not file.exists():
        return CAUTIOUS_THRESHOLD
    try:
        threshold = float(json.loads(file.read_text(encoding="utf-8"))["threshold"])
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(_unusable(file, f"{type(error).__name__}: {error}")) from error
    if not 0 < threshold < 1:
        raise ValueError(_unusable(file, f"threshold {threshold}"))
    return threshold


def _unusable(file: Path, found: str) -> str:
    return (
        f'{file} cannot be used ({found}); expected {{"threshold": a cosine above 0 and below 1, ...}}: correct it, '
        "or remove it and set the threshold on the node"
    )
