"""Which finds are too large to be faces, because there are faces inside them, and which are too small: parts of one.

A head is opaque: nobody's face is seen through it. A large find around several faces is therefore a group, a wall or a
window that the detector takes for one face, and its cover would hide all of them. But a small find inside a large one
may also be an eye or a cheek, and then the large one is the face. So of two such finds only the one that rates clearly
lower is dropped.

Boxes are float [F, 4 or more] arrays whose first four columns are x0, y0, x1, y1 in pixels of the picture.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .boxes import areas, enlarged, fraction_inside, intersection_over_union, longer_sides, middle_on, shared_areas
from .finds import turned_otherwise

MIN_INSIDE = 0.8
"""A find lies inside another if at least this fraction of its box does, and its middle lies on the other's face."""

SEVERAL_MAX_AREA, ONE_MAX_AREA = 0.4, 1 / 9
"""Largest area of a find inside another, as a fraction of the other's: where it is one of several, and where it is the
only one and known to be a face. A child's face in front of an adult's is larger, and hides too much for a find."""

FRAME_MIN_AREA = ONE_MAX_AREA
"""Smallest area of the faces around which a find may be drawn too wide, as a fraction of the find's area; with hair and
shoulders, a find around one face was six times as large. What is still seen without these faces is somebody else."""

WITHIN_FRAME = 0.4
"""Such a find may be made of several faces: of all of which at least this fraction of the box lies inside it."""

ASTRIDE_MAX_RATING_RATIO = 0.85
"""A find that is turned otherwise than the face it overlaps may be made of it if it rates at most this fraction of what
the face rates: a mouth, chin and neck scored 0.58 upside down, nearly as large as their face, which scored 0.77."""

MIN_ON_FACE = 0.6
"""Smallest fraction of a find's box inside a face's for a part of it, where the find's middle lies on the face: nobody
behind the face is seen there, and somebody before it is seen as clearly as the face."""

ON_FACE_MAX_SIDE = 0.8
"""Longer side of the largest such find, as a fraction of the face's: a mouth with its chin and cheeks."""

HAIR_PER_FACE = 2.0
"""How much larger a head is with all of its hair than the face alone: a head of curls is as high again as the face."""

ON_HEAD_MIN_INSIDE, ON_HEAD_MAX_SIDE = 0.5, 0.8
"""Smallest fraction of a find's box inside a face's box that is HAIR_PER_FACE as large, and largest longer side as a
fraction of the face's, of a find that may be hair, an ear, a neck or a pair of glasses. It may also be somebody who
looks out from behind the head, so that what it shows has to decide."""

HAIR_MAX_SIDE = 0.66
"""Longer side of the largest such find that has to leave no doubt, as a fraction of the face's. Curls, ears and necks
are smaller than the face and seldom pass for a face without doubt; somebody clearly seen behind the head does."""

HAIR_DOUBT = 0.1
"""How far above the threshold such a find must score without the face. Of nobody, in 180 photographs, two did by 0.1
and seven by less; of three people behind a head, one was seen no worse without it, and two scored 0.12 above."""

LEFT_WITHOUT_FACE = 0.75
"""Part of its score that a larger find must keep without the face on whose head it lies. Somebody behind the head loses
some, because what is made flat may be a part of what is seen of them: one kept 0.77."""

PART_MAX_SIDE = 0.6
"""Longer side of the largest find that may be a part of a face, as a fraction of the face's: a chin, a cheek, an eye
with its brow."""

TINY_MAX_SIDE = 0.3
"""Longer side of a find on a certain face, as a fraction of the face's, that is a part of it whatever it rates: a head
that is so much further away is not before the face. A mouth and a lens of a pair of glasses, upside down and 0.2 as
large as the face, scored 0.61 where the face scored 0.72."""

DOUBTFUL_RATING_RATIO = 0.75
"""A find is doubtful if it rates at most this fraction of what a find inside it rates: as much as a fragment of a face
rates below the face (`finds.FRAGMENT_MAX_SCORE_RATIO`), the other way round."""

APART_MAX_IOU = 0.1
"""Finds inside another count as several if their boxes overlap by at most this: two finds of one thing are one."""

HUGE = 0.25
"""A find with a single known face inside it is dropped only if it takes at least this fraction of the picture."""


def nested_finds(
    boxes: NDArray[Any], ratings: NDArray[Any], known: NDArray[np.bool_], height: int, width: int
) -> NDArray[np.bool_]:
    """Tell which finds are no faces, because there are faces inside them.

    A find is dropped if it is doubtful beside what lies inside its box, and that is

    - two or more finds apart from one another, each at most SEVERAL_MAX_AREA of its size, or
    - a known face of at most ONE_MAX_AREA of its size, and the find takes HUGE of the picture or more.

    Known faces are never dropped.

    Args:
        boxes: [F, 4 or more], one for each thing found.
        ratings: [F], how sure it is that a find is a face, of any scale above 0, the same for all.
        known: bool [F], whether it is a face for sure: it was anonymised, or chosen by a person.
        height: of the picture, pixels.
        width: of the picture, pixels.

    Returns:
        bool [F], True for each find to drop.

    Raises:
        ValueError: the arrays are of different lengths.
    """
    if not len(boxes) == len(ratings) == len(known):
        raise ValueError(
            f"there are {len(boxes)} boxes, {len(ratings)} ratings and {len(known)} known or not; expected one of each "
            "for each find"
        )
    dropped = np.zeros(len(boxes), bool)
    if not len(boxes):
        return dropped
    area, ratings = areas(boxes), np.asarray(ratings, float)
    # [inner, outer].
    inside = _inside(boxes) & (ratings[None] <= DOUBTFUL_RATING_RATIO * ratings[:, None])
    smaller = area[:, None] / area[None]
    several = inside & (smaller <= SEVERAL_MAX_AREA)
    alone = inside & (smaller <= ONE_MAX_AREA) & known[:, None]
    share = shared_areas(boxes, np.array([[0.0, 0.0, width, height]]))[:, 0] / (height * width)
    for outer in np.flatnonzero(~known):
        within = np.flatnonzero(several[:, outer])
        overlaps = intersection_over_union(boxes[within], boxes[within])
        apart = (overlaps[np.triu_indices(len(within), 1)] <= APART_MAX_IOU).any()
        dropped[outer] = apart or (share[outer] >= HUGE and alone[:, outer].any())
    return dropped


def parts_of_faces(
    boxes: NDArray[Any], ratings: NDArray[Any], known: NDArray[np.bool_], certain: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Tell which finds are only parts of a face that was found as well.

    Args:
        boxes: [F, 4 or more], one for each thing found.
        ratings: [F], how sure it is that a find is a face, of any scale above 0, the same for all.
        known: bool [F], whether it is a face for sure; such a find is a part only if it is TINY_MAX_SIDE.
        certain: bool [F], whether it is a face beyond doubt; such a find is never a part.

    Returns:
        bool [F], True for a find beside another one that is so much larger that the find can be a part of it, and rates
        clearly higher: one that lies inside it (MIN_INSIDE, PART_MAX_SIDE, DOUBTFUL_RATING_RATIO), or with its middle
        on the face (MIN_ON_FACE, ON_FACE_MAX_SIDE, DOUBTFUL_RATING_RATIO). Also for one on a certain face that is
        much too small to be before it (TINY_MAX_SIDE).
    """
    sides = longer_sides(boxes)
    inside, side, ratio = fraction_inside(boxes, boxes), sides[:, None] / sides[None], ratings[:, None] / ratings[None]
    clearer = ratio <= DOUBTFUL_RATING_RATIO
    parts = (inside >= MIN_INSIDE) & (side <= PART_MAX_SIDE) & clearer
    on_face = middle_on(boxes, boxes) & (inside >= MIN_ON_FACE)
    parts |= on_face & (side <= ON_FACE_MAX_SIDE) & clearer
    tiny = on_face & (side <= TINY_MAX_SIDE) & certain[None]
    result: NDArray[np.bool_] = (parts.any(axis=1) & ~known) | (tiny.any(axis=1) & ~certain)
    return result


def finds_on_heads(
    boxes: NDArray[Any], ratings: NDArray[Any], certain: NDArray[np.bool_]
) -> dict[int, NDArray[np.intp]]:
    """Tell which finds may be parts of the head of a face that was found as well.

    Args:
        boxes: [F, 4 or more], one for each thing found.
        ratings: [F], how sure it is that a find is a face, of any scale above 0, the same for all.
        certain: bool [F], whether it is a face beyond doubt; such a find is never a part.

    Returns:
        By the number of each such find, the numbers of the faces on whose heads it lies (ON_HEAD_MIN_INSIDE, its middle
        in an ellipse around the face that is HAIR_PER_FACE as large) that rate clearly higher (DOUBTFUL_RATING_RATIO)
        and are clearly larger (ON_HEAD_MAX_SIDE).
    """
    sides, heads = longer_sides(boxes), enlarged(boxes, HAIR_PER_FACE)
    on_head = middle_on(boxes, heads) & (fraction_inside(boxes, heads) >= ON_HEAD_MIN_INSIDE)
    on_head &= (sides[:, None] <= ON_HEAD_MAX_SIDE * sides[None]) & ~certain[:, None]
    on_head &= ratings[:, None] <= DOUBTFUL_RATING_RATIO * ratings[None]
    return {int(find): np.flatnonzero(on_head[find]) for find in np.flatnonzero(on_head.any(axis=1))}


def frames_of_faces(
    boxes: NDArray[Any], ratings: NDArray[Any], known: NDArray[np.bool_]
) -> dict[int, NDArray[np.intp]]:
    """Tell which finds may be drawn too wide around a face that was found as well, with its hair and neck.

    Args:
        boxes: [F, 4 or more], one for each thing found.
        ratings: [F], how sure it is that a find is a face, of any scale above 0, the same for all.
        known: bool [F], whether it is a face for sure; such a find is never a frame.

    Returns:
        By the number of each find that has a known face inside it (MIN_INSIDE) that rates clearly higher
        (DOUBTFUL_RATING_RATIO), the numbers of all known faces that rate clearly higher and lie mostly inside it
        (WITHIN_FRAME), if these fill FRAME_MIN_AREA of it or more.
    """
    inside = fraction_inside(boxes, boxes)
    clearer = (ratings[None] <= DOUBTFUL_RATING_RATIO * ratings[:, None]) & known[:, None] & ~known[None]
    np.fill_diagonal(clearer, False)
    within = clearer & (inside >= WITHIN_FRAME)
    filled = (areas(boxes)[:, None] * within).sum(axis=0) >= FRAME_MIN_AREA * areas(boxes)
    frames = (clearer & (inside >= MIN_INSIDE)).any(axis=0) & filled
    return {int(outer): np.flatnonzero(within[:, outer]) for outer in np.flatnonzero(frames)}


def finds_astride(
    boxes: NDArray[Any], landmarks: NDArray[Any], ratings: NDArray[Any], certain: NDArray[np.bool_]
) -> dict[int, NDArray[np.intp]]:
    """Tell which finds may be made of parts of faces and what is beside them, because they are turned otherwise.

    Args:
        boxes: [F, 4 or more], one for each thing found.
        landmarks: [F, 5, 2].
        ratings: [F], how sure it is that a find is a face, of any scale above 0, the same for all.
        certain: bool [F], whether it is a face beyond doubt; such a find is made of nothing else.

    Returns:
        By the number of each find, the numbers of the certain faces that it overlaps, and that rate higher
        (ASTRIDE_MAX_RATING_RATIO) and are turned otherwise (`finds.turned_otherwise`), if these fill FRAME_MIN_AREA of
        it or more.
    """
    shared = shared_areas(boxes, boxes) / areas(boxes)[None]
    under = np.array([turned_otherwise(landmarks, own) for own in landmarks], bool).reshape(shared.shape).T
    under &= (ratings[None] <= ASTRIDE_MAX_RATING_RATIO * ratings[:, None]) & certain[:, None] & ~certain[None]
    shared = np.where(under, shared, 0)
    return {
        int(outer): np.flatnonzero(shared[:, outer]) for outer in np.flatnonzero(shared.sum(axis=0) >= FRAME_MIN_AREA)
    }


def _inside(boxes: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether each find lies inside each other one, [F inner, F outer]."""
    result = middle_on(boxes, boxes) & (fraction_inside(boxes, boxes) >= MIN_INSIDE)
    np.fill_diagonal(result, False)
    return result
