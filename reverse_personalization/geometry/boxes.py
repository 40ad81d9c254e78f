"""How much boxes share: the one definition of intersection over union.

Boxes are float arrays [N, 4 or more] whose first four columns are x0, y0, x1, y1 in pixels.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def areas(boxes: NDArray[Any]) -> NDArray[Any]:
    """Areas in square pixels, [N]; never 0, so that they can be divided by."""
    sides = np.maximum(boxes[:, 2:4] - boxes[:, :2], np.finfo(np.float32).eps)
    return sides[:, 0] * sides[:, 1]


def longer_sides(boxes: NDArray[Any]) -> NDArray[Any]:
    """The longer side of each box in pixels, [N]."""
    sides: NDArray[Any] = np.max(boxes[:, 2:4] - boxes[:, :2], axis=1)
    return sides


def shared_areas(boxes: NDArray[Any], others: NDArray[Any]) -> NDArray[Any]:
    """Area in square pixels that each of the boxes shares with each of the others, [N, M]."""
    x0, y0, x1, y1 = boxes[:, :4].T
    other_x0, other_y0, other_x1, other_y1 = others[:, :4].T
    across = np.minimum.outer(x1, other_x1) - np.maximum.outer(x0, other_x0)
    down = np.minimum.outer(y1, other_y1) - np.maximum.outer(y0, other_y0)
    shared: NDArray[Any] = np.maximum(across, 0) * np.maximum(down, 0)
    return shared


def fraction_inside(boxes: NDArray[Any], others: NDArray[Any]) -> NDArray[Any]:
    """Fraction of each box's area that lies in each of the others, [N, M] in [0, 1]."""
    inside: NDArray[Any] = shared_areas(boxes, others) / areas(boxes)[:, None]
    return inside


def intersection_over_union(boxes: NDArray[Any], others: NDArray[Any]) -> NDArray[Any]:
    """Shared area of each pair as a part of what the two cover together, [N, M] in [0, 1].

    NaN where a coordinate is not finite: no comparison with it holds.
    """
    with np.errstate(invalid="ignore"):
        shared = shared_areas(boxes, others)
        ratio: NDArray[Any] = shared / (np.add.outer(areas(boxes), areas(others)) - shared)
    return ratio


def middle_on(boxes: NDArray[Any], faces: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether the middle of each box lies on each face: in the ellipse inscribed in its box, [A, B].

    A neighbour may be seen in a corner of a face's box, but not on the face (`head_extent.HEAD_PER_FACE`).

    Args:
        boxes: [A, 4 or more], x0, y0, x1, y1.
        faces: [B, 4 or more], likewise.
    """
    middles, centres = ((some[:, :2] + some[:, 2:4]) / 2 for some in (boxes, faces))
    half_sides = np.maximum(faces[:, 2:4] - faces[:, :2], np.finfo(np.float32).eps) / 2
    offsets = (middles[:, None] - centres[None]) / half_sides[None]
    result: NDArray[np.bool_] = (offsets**2).sum(-1) <= 1
    return result


def enlarged(boxes: NDArray[Any], times: float) -> NDArray[Any]:
    """Boxes so many times as large around the same middles, [N, 4]."""
    middles, half_sides = (boxes[:, :2] + boxes[:, 2:4]) / 2, (boxes[:, 2:4] - boxes[:, :2]) / 2
    return np.concatenate([middles - times * half_sides, middles + times * half_sides], axis=1)
