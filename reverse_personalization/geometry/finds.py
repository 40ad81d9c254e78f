"""Which finds of a search are dropped, and what is uncertain about those that stay.

A find is what the detector takes for a face in one view of a picture (see `face_search`). Boxes are float [F, 5]
arrays: x0, y0, x1, y1 in pixels of the picture, and the score in [0, 1].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .boxes import areas, fraction_inside, intersection_over_union
from .faces import Detection, Landmarks

MIN_VISIBLE = 0.25
"""A find is dropped if less than this fraction of its box lies in the picture: there is no face to change there."""

SAME_FACE_IOU = 0.4
"""Two boxes whose intersection over union is larger than this show one face; InsightFace uses the same limit."""

SAME_PLACE_IOU = 0.2
"""Smallest intersection over union of the boxes of a face before and after it was changed."""

FRAGMENT_MIN_INSIDE = 0.5
"""A box may be a fragment of a larger face's box if more than this fraction of its area lies inside that box."""

FRAGMENT_MAX_SCORE_RATIO = 0.75
"""A fragment scores less than this fraction of the whole face's score; somebody in front of a large face scores
about as high as that face."""

UPRIGHT_BONUS = 0.08
"""Added to the score of upright views before the best find of a face is chosen.

Most people are upright, and only a view that shows a face upright tells one eye from the other. A rendered face tilted
by 34 degrees scored 0.80 upright, with its landmarks in place, and 0.86 a quarter turn away, with its landmarks turned
as well.
"""

RIVAL_MIN_SCORE_RATIO = 0.95
"""A find rivals the chosen find of the same face if it rates at least this fraction of the chosen find's rating."""

AGREEMENT_TOLERANCE = 0.35
"""Two finds agree on how a face is turned if their landmarks are at most this far apart on average, as a fraction of
the longer side of the face's box. A quarter turn moves the landmarks by half that side, or by a third if they lie close
together."""

SCATTER_MIN_SCORE_RATIO = 0.6
"""Finds of a face count for the scatter of its landmarks if they score at least this fraction of its best."""

ELSEWHERE, ASTRAY = 0.2, 0.5
"""A view sees a face's landmarks elsewhere if they lie this far from those of the surest view on average, as a fraction
of their root mean square distance from their middle; further away they are another face's. The landmarks of one face in
sixteen are seen elsewhere. One of them, turned by 48 degrees, was compared beside its place: its cosine was 0.38 at the
surest view's landmarks and 0.61 at another's."""

TURNED_OTHERWISE = 40.0
"""Degrees from which two sets of landmarks show a face turned otherwise."""


@dataclass(frozen=True, eq=False)
class Finds:
    """What all views of a picture found.

    Attributes:
        boxes: [F, 5].
        landmarks: [F, 5, 2] in pixels of the picture.
        views: int [F], number of the view that made each find.
        cut: [F], whether a tile's edge cuts the find off (`View.cut_off`).
        upright: [F], whether the view shows the picture neither mirrored nor turned.
    """

    boxes: NDArray[Any]
    landmarks: NDArray[Any]
    views: NDArray[np.intp]
    cut: NDArray[np.bool_]
    upright: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.boxes)

    def only(self, which: NDArray[np.bool_]) -> Finds:
        """The finds for which `which`, [F], is True."""
        return Finds(self.boxes[which], self.landmarks[which], self.views[which], self.cut[which], self.upright[which])

    @property
    def rated(self) -> NDArray[Any]:
        """The boxes with UPRIGHT_BONUS added to the scores of upright views, [F, 5]."""
        rated = self.boxes.copy()
        rated[:, 4] += UPRIGHT_BONUS * self.upright
        return rated


def surest_first(finds: Finds) -> NDArray[np.intp]:
    """Numbers of all finds by their rating, the highest first; of equal ones the first comes first."""
    return np.argsort(-finds.rated[:, 4], kind="stable")


def visible_fraction(boxes: NDArray[Any], height: int, width: int) -> NDArray[Any]:
    """Fraction of each box's area that lies inside a picture of this height and width, [F] in [0, 1]."""
    corners = boxes[:, :4].reshape(-1, 2, 2)
    clipped = np.clip(corners, 0, [width, height])
    return np.prod(clipped[:, 1] - clipped[:, 0], axis=1) / areas(boxes)


def fragments(boxes: NDArray[Any], views: NDArray[Any], cut: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Tell which finds are only fragments of larger faces.

    In a view too close to show a face as a whole, a cheek or an eye may pass for a small face. Such a find lies mostly
    inside a larger find with a much higher score, made by another view, and its own view did not find that larger
    face. If its own view found both, they are two faces, one in front of the other, and both stay.

    A find that a tile's edge cuts off is a fragment if it lies inside a whole face. Otherwise it stays: it may be all
    that any view found of that person.

    Args:
        boxes: [F, 5].
        views: int [F], number of the view that made each find.
        cut: [F], whether a tile's edge cuts the find off (`View.cut_off`).

    Returns:
        [F], True for each find to drop.
    """
    result = np.zeros(len(boxes), bool)
    area, score = areas(boxes), boxes[:, 4]
    # One view at a time: a low threshold makes thousands of finds, too many to compare all with all in memory.
    for view in np.unique(views):
        own = np.flatnonzero(views == view)
        # [finds of this view, F].
        inside = (fraction_inside(boxes[own], boxes) > FRAGMENT_MIN_INSIDE) & np.less.outer(area[own], area)
        same_face = same_thing(boxes[own], boxes)
        seen = (same_face | (inside & cut[own, None])).any(axis=0)
        much_surer = np.less.outer(score[own], FRAGMENT_MAX_SCORE_RATIO * score)
        fragment = inside & ~cut & (cut[own, None] | (much_surer & ~seen))
        result[own] = fragment.any(axis=1)
    return result


def landmarks_agree(boxes: NDArray[Any], landmarks: NDArray[Any], chosen: Sequence[int]) -> list[bool]:
    """Tell whether the views leave no doubt about how each chosen face is turned.

    Args:
        boxes: [F, 5], from all views; the last column holds the rating by which each face's find was chosen.
        landmarks: [F, 5, 2].
        chosen: number of one find for each face.

    Returns:
        For each chosen find, False if a find of the same face that rates about as high (RIVAL_MIN_SCORE_RATIO) has
        its landmarks elsewhere (AGREEMENT_TOLERANCE).
    """
    result = []
    for number in chosen:
        box = boxes[number]
        [same] = same_thing(box[None], boxes)
        rivals = same & (boxes[:, 4] >= RIVAL_MIN_SCORE_RATIO * box[4])
        distances = np.linalg.norm(landmarks[rivals] - landmarks[number], axis=2).mean(axis=1)
        result.append(bool((distances <= AGREEMENT_TOLERANCE * np.max(box[2:4] - box[:2])).all()))
    return result


def landmark_scatter(boxes: NDArray[Any], landmarks: NDArray[Any]) -> float:
    """How far apart the views see a face's landmarks.

    Args:
        boxes: [F, 5], the finds of one face, its surest first.
        landmarks: [F, 5, 2].

    Returns:
        The median, over the finds that score about as high (SCATTER_MIN_SCORE_RATIO), of the mean distance from the
        surest find's landmarks, in longer sides of its box.
    """
    side = float(np.max(boxes[0, 2:4] - boxes[0, :2]))
    counted = boxes[:, 4] >= SCATTER_MIN_SCORE_RATIO * boxes[:, 4].max()
    return float(np.median(np.linalg.norm(landmarks[counted] - landmarks[0], axis=2).mean(axis=1)) / side)


def apart(landmarks: NDArray[Any], reference: NDArray[Any]) -> NDArray[Any]:
    """How far landmarks are from those of a reference, which are not all at one point.

    Args:
        landmarks: [..., 5, 2].
        reference: [5, 2].

    Returns:
        [...], the mean distance as a fraction of the reference's root mean square distance from its middle.
    """
    spread = max(float(np.sqrt(((reference - reference.mean(axis=0)) ** 2).sum(axis=1).mean())), 1e-6)
    distances: NDArray[Any] = np.linalg.norm(landmarks - reference, axis=-1).mean(axis=-1) / spread
    return distances


def other_landmarks(boxes: NDArray[Any], landmarks: NDArray[Any]) -> Landmarks:
    """The landmarks of a face as the view sees them that differs most from the surest, if it differs by much.

    Args:
        boxes: [F, 5], the finds of one face, its surest first.
        landmarks: [F, 5, 2].

    Returns:
        () if no find that scores about as high (SCATTER_MIN_SCORE_RATIO), and shows the face turned alike, has its
        landmarks ELSEWHERE.
    """
    distances = apart(landmarks, landmarks[0])
    counted = boxes[:, 4] >= SCATTER_MIN_SCORE_RATIO * boxes[:, 4].max()
    counted &= ~turned_otherwise(landmarks, landmarks[0])
    distances[~counted | (distances > ASTRAY)] = 0
    furthest = int(distances.argmax())
    return tuple((x, y) for x, y in landmarks[furthest].tolist()) if distances[furthest] >= ELSEWHERE else ()


def turned_otherwise(landmarks: NDArray[Any], reference: NDArray[Any]) -> NDArray[np.bool_]:
    """Tell which landmarks show a face turned otherwise than others do, by TURNED_OTHERWISE or more.

    Args:
        landmarks: [F, 5, 2].
        reference: [5, 2].

    Returns:
        [F]. The angle is that of the rotation that fits best.
    """
    points, others = (places @ (1, 1j) for places in (landmarks, reference))
    points, others = (places - places.mean(axis=-1, keepdims=True) for places in (points, others))
    rotations: NDArray[Any] = (points * others.conj()).sum(axis=-1)
    return np.abs(np.angle(rotations, deg=True)) >= TURNED_OTHERWISE


def same_thing(boxes: NDArray[Any], others: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether each of N boxes shows the same face as each of M others, [N, M] (SAME_FACE_IOU)."""
    same: NDArray[np.bool_] = intersection_over_union(boxes, others) > SAME_FACE_IOU
    return same


def at_a_place_of(box: NDArray[Any], faces: Sequence[Detection]) -> bool:
    """Whether a box [4 or more] may show one of these faces after a change (SAME_PLACE_IOU)."""
    places = np.array([face.box for face in faces]).reshape(-1, 4)
    return bool((intersection_over_union(box[None], places) >= SAME_PLACE_IOU).any())
