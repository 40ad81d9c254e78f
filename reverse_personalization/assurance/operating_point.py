"""When two faces count as one person's: the rule, and the recogniser's threshold, which its pack's folder holds."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

OPERATING_POINT_FILE = "verification.json"
"""Name of the file in a pack's folder that holds the fields of an `OperatingPoint`."""

CAUTIOUS_THRESHOLD = 0.2
"""Threshold (cosine) of recognisers without that file. The published operating points of ArcFace models lie between
0.25 and 0.45; this is below all of them, so that more faces count as recognisable, not fewer."""


STRICTER = 0.75
"""The check's threshold as a fraction of the measured one.

The check aligns faces by the detector's landmarks, and somebody who wants to recognise a person may align better: of
354 faces in 121 hostile photographs, 3 reached the threshold with their true landmarks and only 0.71 to 0.92 of it with
the detector's.
"""


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
class OperatingPoint:
    """A recogniser's measured threshold.

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
        return (json.dumps(asdict(self), indent=2) + "\n").encode()


def checking_threshold(folder: Path) -> float:
    """The threshold of a check: `STRICTER` times the one measured for a pack's recogniser, or the cautious one.

    Args:
        folder: of the pack.

    Raises:
        ValueError: the pack's threshold is unusable.
    """
    measured = (folder / OPERATING_POINT_FILE).exists()
    return STRICTER * pack_threshold(folder) if measured else CAUTIOUS_THRESHOLD


def pack_threshold(folder: Path) -> float:
    """The threshold measured for a pack's recogniser, or the cautious one if none was measured.

    Args:
        folder: of the pack.

    Raises:
        ValueError: the file exists but holds no threshold above 0 and below 1.
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
        f'{file} cannot be used ({found}); expected {{"threshold": a cosine above 0 and below 1, ...}}. Correct '
        "the file, or remove it and set the threshold on the node"
    )
