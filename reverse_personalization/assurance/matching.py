"""Matches the faces of a result with those of its original, and says how each has changed."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..geometry.boxes import areas, fraction_inside, intersection_over_union, longer_sides, middle_on
from ..geometry.faces import Detection, HeadPose, Sex, landmark_distance
from ..geometry.finds import SAME_PLACE_IOU
from ..geometry.nested import DOUBTFUL_RATING_RATIO, MIN_INSIDE, MIN_ON_FACE, PART_MAX_SIDE
from .operating_point import judge_similarity
from .verdict import AGE_STEP, FaceChange, Status

MIN_MEASURABLE = 20.0
"""Smallest shorter side of a face's box in pixels; below it a recogniser sees nobody."""

LANDMARKS_MARGIN = 0.1
"""How far outside a face's box the middle of its landmarks may lie, in longer sides of the box. Those of a face in
profile lie at the edge of what is seen of it: of four faces turned by 46 to 60 degrees, up to 0.09 outside."""

MIN_SPREAD = 0.05
"""Smallest root mean square distance of a face's landmarks from their middle, as a fraction of the box's shorter
side."""

MIN_TOUCHED = 0.25
"""Smallest fraction of a find's box inside a changed face's for the change to have made the find."""

FAINT_MAX_MOVED = 0.1
"""Largest mean distance of a faint find's landmarks from those of the original, as a fraction of the square root of
the original's area. Landmarks of anonymised faces move by 0.04 in the mean; in noise, where the detector takes a blur
for a face, they were 0.11 away."""

PARTLY_MAX_SIDE = 1.5
"""Longer side of the largest find that may lie partly on a changed face, as a fraction of the face's. In three of 92
rendered group photographs, detectors saw a find 1.0 to 1.2 times as large half beside a generated face."""

WITHIN_GROUP = 0.6
"""Fraction of a changed face's box inside a find that may be made of several: of six people in the lower half of a
photograph, once they were changed, the detector made one face upside down, 580 pixels large."""

MIN_FILLED = 0.2
"""Smallest area of a changed face, as a fraction of that of a find around it, for the find to be drawn too wide: there
is no room for somebody else whose face could be found."""


class Appearance(NamedTuple):
    """A model pack's estimates about a face besides its identity; None for what the pack has no model of.

    Attributes:
        age: years.
        sex: apparent sex.
        pose: of the head.
    """

    age: int | None = None
    sex: Sex | None = None
    pose: HeadPose | None = None


def overlap(a: Detection, b: Detection) -> float:
    """Intersection over union of two faces' boxes, in [0, 1]; NaN if a box is not finite."""
    return float(intersection_over_union(np.array([a.box]), np.array([b.box]))[0, 0])


def measurable(face: Detection) -> bool:
    """Whether a face is large enough to be recognised and its landmarks are consistent, inside it and well spread."""
    x0, y0, x1, y1 = face.box
    points = np.array(face.landmarks)
    if not face.landmarks_agree:
        return False
    if not (np.isfinite(face.box).all() and np.isfinite(points).all() and min(x1 - x0, y1 - y0) >= MIN_MEASURABLE):
        return False
    x, y = points.mean(axis=0)
    # For a face in profile or in a crowd, a detector may return landmarks of a neighbour or of nothing.
    margin = LANDMARKS_MARGIN * max(x1 - x0, y1 - y0)
    inside = x0 - margin <= x <= x1 + margin and y0 - margin <= y <= y1 + margin
    return bool(inside and np.sqrt(points.var(axis=0).sum()) >= MIN_SPREAD * min(x1 - x0, y1 - y0))


def match_faces(originals: Sequence[Detection], found: Sequence[Detection]) -> list[int | None]:
    """Match the faces of the original with those of the result: one to one, the best pair first.

    A pair is better the more its boxes overlap and the closer its landmarks are. Boxes that overlap by less than
    `SAME_PLACE_IOU` cannot match.

    Args:
        originals: faces of the original.
        found: faces of the result, in pixels of the same frame.

    Returns:
        For each original face, the number of its match in `found`, or None.
    """
    pairs = []
    for i, face in enumerate(originals):
        for j, find in enumerate(found):
            shared = overlap(face, find)
            if shared >= SAME_PLACE_IOU:
                distance = landmark_distance(face, find) / math.sqrt(face.area)
                # A pair whose landmarks are not finite comes last, because their distance is unknown.
                pairs.append((distance - shared if math.isfinite(distance) else math.inf, i, j))
    matches: list[int | None] = [None] * len(originals)
    for _, i, j in sorted(pairs):
        if matches[i] is None and j not in matches:
            matches[i] = j
    return matches


def match_again(
    originals: Sequence[Detection], sure: Sequence[Detection], faint: Sequence[Detection]
) -> tuple[list[Detection], list[int | None]]:
    """Find the faces of the original again in the result: among the sure finds, else among the faint ones.

    A generated face may be less clear than the original's. At a place where there was one, a faint find with the
    landmarks that the face had (`FAINT_MAX_MOVED`) is enough; anywhere else it is nothing.

    Args:
        originals: faces of the original.
        sure: finds of the result that would be faces by themselves.
        faint: finds of the result that would not.

    Returns:
        The sure finds, then the faint ones that are matched; and for each original face the number of its match.
    """
    found, matches = list(sure), match_faces(originals, sure)
    left = [number for number, match in enumerate(matches) if match is None]
    again = match_faces([originals[number] for number in left], faint)
    for number, match in zip(left, again, strict=True):
        if match is None:
            continue
        face = originals[number]
        if landmark_distance(face, faint[match]) <= FAINT_MAX_MOVED * math.sqrt(face.area):
            matches[number] = len(found)
            found.append(faint[match])
    return found, matches


def part_of(find: Detection, changed: Sequence[Sequence[Detection]]) -> int | None:
    """Tell of which changed face a find in the result is only a part.

    In a generated face a chin or a cheek may pass for a small face. Nobody was found there in the original, by the
    same search, and what is there now was generated.

    Args:
        find: in the result, at the place of no face of the original.
        changed: for each face that was to be changed its places, in the original and in the result.

    Returns:
        Number of the first such face; None if the find is no part of one: less than `MIN_INSIDE` of its box lies
        inside, or it is larger than `PART_MAX_SIDE` of the face.
    """
    box = np.array([find.box])

    def shows(boxes: NDArray[np.float64]) -> NDArray[np.bool_]:
        sides = longer_sides(boxes)
        smaller = np.max(box[0, 2:4] - box[0, :2]) <= PART_MAX_SIDE * sides
        return (fraction_inside(box, boxes)[0] >= MIN_INSIDE) & smaller

    return _first_face(changed, shows)


def partly_on(find: Detection, changed: Sequence[Sequence[Detection]]) -> int | None:
    """Tell of which changed face a find in the result may be made in part, such as a generated chin with its neck.

    Args:
        find: in the result, at the place of no face of the original.
        changed: for each face that was to be changed its places, in the original and in the result.

    Returns:
        Number of the first face on which it lies (`MIN_TOUCHED` of its box or more lies inside, and it is no larger
        than `PARTLY_MAX_SIDE` of the face), or of the first of several that lie mostly inside it (`WITHIN_GROUP`); None
        if there is neither.
    """
    box = np.array([find.box])

    def lies_on(boxes: NDArray[np.float64]) -> NDArray[np.bool_]:
        small_enough = longer_sides(box) <= PARTLY_MAX_SIDE * longer_sides(boxes)
        return (fraction_inside(box, boxes)[0] >= MIN_TOUCHED) & small_enough

    def lies_inside(boxes: NDArray[np.float64]) -> NDArray[np.bool_]:
        inside: NDArray[np.bool_] = fraction_inside(boxes, box)[:, 0] >= WITHIN_GROUP
        return inside

    on = _first_face(changed, lies_on)
    if on is None:
        group = [
            number for number in range(len(changed)) if _first_face(changed[number : number + 1], lies_inside) == 0
        ]
        on = group[0] if len(group) > 1 else None
    return on


def least_before(find: Detection, changed: Sequence[Sequence[Detection]], on: int, threshold: float) -> float:
    """How surely the original must show a face at the place of a find that may be made of changed faces.

    Args:
        find: in the result, at the place of no face of the original.
        changed: for each face that was to be changed its places, that in the original first.
        on: number of the face that `partly_on` names.
        threshold: score of a face.

    Returns:
        The threshold; or more on that face itself, and around several, where the search of the original takes what
        rates clearly lower than these for a part of it (`nested.parts_of_faces`) or for a group (`nested_finds`).
    """
    box, face = np.array([find.box]), changed[on][0]
    place = np.array([face.box])
    if middle_on(box, place)[0, 0] and fraction_inside(box, place)[0, 0] >= MIN_ON_FACE:
        return max(threshold, DOUBTFUL_RATING_RATIO * face.score)
    originals = [places[0] for places in changed]
    inside = fraction_inside(np.array([one.box for one in originals]), box)[:, 0] >= WITHIN_GROUP
    scores = sorted(one.score for one, within in zip(originals, inside, strict=True) if within)
    return max(threshold, DOUBTFUL_RATING_RATIO * scores[-2]) if len(scores) > 1 else threshold


def frame_of(find: Detection, changed: Sequence[Sequence[Detection]]) -> int | None:
    """Tell around which changed face a find in the result is drawn too wide, with hair and neck or a neighbour.

    Args:
        find: in the result, at the place of no face of the original.
        changed: for each face that was to be changed its places, in the original and in the result.

    Returns:
        Number of the first such face; None if the find is not around one: less than `MIN_INSIDE` of the face's box lies
        inside, or the face is smaller than `MIN_FILLED` of the find, so that there is room for somebody else.
    """
    box = np.array([find.box])

    def fills(boxes: NDArray[np.float64]) -> NDArray[np.bool_]:
        inside = fraction_inside(boxes, box)[:, 0] >= MIN_INSIDE
        return inside & (areas(boxes) >= MIN_FILLED * find.area)

    return _first_face(changed, fills)


def _first_face(
    changed: Sequence[Sequence[Detection]], fits: Callable[[NDArray[np.float64]], NDArray[np.bool_]]
) -> int | None:
    """Number of the first face one of whose places fits; a place is a box, float64 [P, 4]."""
    for number, places in enumerate(changed):
        if fits(np.array([place.box for place in places])).any():
            return number
    return None


def face_change(face: Detection, find: Detection, before: Appearance, after: Appearance) -> FaceChange:
    """Compare a face of the original with its face in the result.

    Args:
        face: of the original.
        find: of the result, in pixels of the same frame.
        before: appearance of `face`.
        after: appearance of `find`, by the same models.
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
    """Years from one age to the other, to the nearest `AGE_STEP`; None if either is unknown."""
    return None if before is None or after is None else round((after - before) / AGE_STEP) * AGE_STEP


def _turn(before: float, after: float) -> float | None:
    """The shorter turn from one angle to the other, degrees in [-180, 180); None if either is not finite."""
    turn = (after - before + 180) % 360 - 180
    return turn if math.isfinite(turn) else None


def status_of(similarity: float | None, found: bool, threshold: float) -> tuple[Status, str]:
    """The status of a face that was to be changed.

    A similarity at or above the threshold always counts. One below it counts only if the face was found, because
    finding nothing proves nothing.

    Args:
        similarity: cosine; None if nothing could be measured.
        found: whether the face was found again in the result.
        threshold: cosine at or above which the person is recognisable.

    Returns:
        The status, and its reason if it is not "anonymised".
    """
    judgement = judge_similarity(similarity, threshold)
    if judgement == "recognisable":
        return judgement, "at or above the threshold"
    if not found:
        return "unmeasurable", "not found in the result"
    if judgement == "unmeasurable":
        return judgement, "too small, landmarks unclear, or not readable for the recogniser"
    return judgement, ""
