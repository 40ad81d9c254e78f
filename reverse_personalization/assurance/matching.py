"""Which face of a result is which face of its original, and what was kept of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ..geometry.boxes import intersection_over_union
from ..geometry.faces import Detection, HeadPose, Sex, landmark_distance
from .operating_point import judge_similarity
from .verdict import AGE_STEP, FaceChange, Status

MIN_MEASURABLE = 20.0
"""Pixels of the shorter side of a face's box; in less a recogniser sees nobody."""

MIN_SPREAD = 0.05
"""Landmarks that lie nearer to one another than this part of the box's side (root mean square) are no face's."""

ALIGNMENT_ERROR = 0.15
"""By how much of their root mean square distance from their middle landmarks may be off together: a tenth of the eyes'
distance in a frontal face, which is what a small detector does and several times a large one's error."""

MIN_OVERLAP = 0.2
"""A face of the result may be the original's at that place if their boxes' intersection over union is at least this."""


class Appearance(NamedTuple):
    """What a model pack sees of a face beside its identity.

    Attributes:
        age: years, or None where the pack cannot tell.
        sex: None where the pack cannot tell.
        pose: None where the pack cannot tell.
    """

    age: int | None = None
    sex: Sex | None = None
    pose: HeadPose | None = None


def overlap(a: Detection, b: Detection) -> float:
    """`intersection_over_union` of two faces' boxes, in [0, 1]; NaN where one is not finite."""
    return float(intersection_over_union(np.array([a.box]), np.array([b.box]))[0, 0])


def measurable(face: Detection) -> bool:
    """Whether a face is large enough to be recognised, and its landmarks are clear, in it, and define a crop of it."""
    x0, y0, x1, y1 = face.box
    points = np.array(face.landmarks)
    if not face.landmarks_agree:
        return False
    if not (np.isfinite(face.box).all() and np.isfinite(points).all() and min(x1 - x0, y1 - y0) >= MIN_MEASURABLE):
        return False
    x, y = points.mean(axis=0)
    # Of a face from the side or in a crowd, a detector may give the box and a neighbour's landmarks, or nobody's.
    there = x0 <= x <= x1 and y0 <= y <= y1
    return bool(there and np.sqrt(points.var(axis=0).sum()) >= MIN_SPREAD * min(x1 - x0, y1 - y0))


def nearby_alignments(face: Detection) -> list[Detection]:
    """A face, and the same with its landmarks moved, turned and resized by `ALIGNMENT_ERROR`, one at a time.

    How alike two faces are depends on where exactly they are cut out. Whoever wants to recognise somebody may align
    better than our detector does, so that a check should not depend on its one guess.

    Args:
        face: with finite landmarks.

    Returns:
        nine, `face` itself first.
    """
    points = np.array(face.landmarks) @ [1, 1j]
    middle = points.mean()
    arms = points - middle
    spread = np.sqrt((np.abs(arms) ** 2).mean())
    moved = [points + ALIGNMENT_ERROR * spread * step for step in (1, -1, 1j, -1j)]
    turned = [middle + arms * np.exp(1j * angle) for angle in (ALIGNMENT_ERROR, -ALIGNMENT_ERROR)]
    resized = [middle + arms * factor for factor in (1 + ALIGNMENT_ERROR, 1 / (1 + ALIGNMENT_ERROR))]
    others = [tuple((float(z.real), float(z.imag)) for z in one) for one in (*moved, *turned, *resized)]
    return [face, *(replace(face, landmarks=landmarks) for landmarks in others)]


def match_faces(originals: Sequence[Detection], found: Sequence[Detection]) -> list[int | None]:
    """Find every original face's place taken again in the result: one to one, the best pair first.

    A pair is the better the more its boxes overlap and the nearer its landmarks are to one another. Boxes that
    overlap by less than `MIN_OVERLAP` are no pair.

    Args:
        originals: faces of the original.
        found: faces of the result, in pixels of the same frame.

    Returns:
        For every original the number of its face among `found`, or None. Numbers that are not in it belong to
        no original.
    """
    pairs = []
    for i, face in enumerate(originals):
        for j, find in enumerate(found):
            shared = overlap(face, find)
            if shared >= MIN_OVERLAP:
                distance = landmark_distance(face, find) / math.sqrt(face.area)
                # Landmarks that are not finite cannot be compared: such a pair comes last.
                pairs.append((distance - shared if math.isfinite(distance) else math.inf, i, j))
    matches: list[int | None] = [None] * len(originals)
    for _, i, j in sorted(pairs):
        if matches[i] is None and j not in matches:
            matches[i] = j
    return matches


def face_change(face: Detection, find: Detection, before: Appearance, after: Appearance) -> FaceChange:
    """Compare a face of the original with its face in the result.

    Args:
        face: of the original.
        find: of the result, in pixels of the same frame.
        before: of `face`.
        after: of `find`, by the same models.
    """
    eye, other_eye = np.array(face.landmarks)[:2]
    return FaceChange(
        box_overlap=overlap(face, find),
        landmark_change=landmark_distance(face, find) / max(float(np.linalg.norm(eye - other_eye)), 1.0),
        yaw_change=_turn(before.pose.yaw, after.pose.yaw) if before.pose and after.pose else None,
        pitch_change=_turn(before.pose.pitch, after.pose.pitch) if before.pose and after.pose else None,
        roll_change=_turn(before.pose.roll, after.pose.roll) if before.pose and after.pose else None,
        age_change=_age_change(before.age, after.age),
        sex_kept=None if before.sex is None or after.sex is None else before.sex == after.sex,
    )


def _age_change(before: int | None, after: int | None) -> int | None:
    """Years from one age to another, to the nearest `AGE_STEP`; None if one of them is not known."""
    return None if before is None or after is None else round((after - before) / AGE_STEP) * AGE_STEP


def _turn(before: float, after: float) -> float | None:
    """From one angle to another the shorter way round, degrees in [-180, 180); None if one of them is no number."""
    turn = (after - before + 180) % 360 - 180
    return turn if math.isfinite(turn) else None


def status_of(similarity: float | None, found: bool, threshold: float) -> tuple[Status, str]:
    """What a measurement says of a face that was to be changed.

    A similarity that gives the person away counts wherever it comes from. One that does not counts only if the face
    was found: "nothing there" is no proof.

    Args:
        similarity: see `FaceVerdict.similarity`.
        found: whether the face was found again in the result.
        threshold: see `judge_similarity`.

    Returns:
        The status, and its reason if it is not "anonymised".
    """
    judgement = judge_similarity(similarity, threshold)
    if judgement == "recognisable":
        return judgement, "not below the threshold"
    if not found:
        return "unmeasurable", "not found in the result"
    if judgement == "unmeasurable":
        return judgement, "too small, turned in no clear way, or the recogniser cannot read it"
    return judgement, ""
