"""Where covers lie.

A cover is the last resort for a face that could not be changed, so it errs on the large side: it spans the head's
front from the hair to below the chin and from ear to ear, as the box alone tells it and as the landmarks alone tell
it, both together. Either may be wrong; neither can make the cover smaller.

Coordinates of pixels follow OpenCV: (0, 0) is the middle of the top left pixel, x to the right and y down. Points are
complex numbers x + iy, so that a turn by 90 degrees is a multiplication by i.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .face_template import face_axes, ffhq_extent
from .head_extent import HEAD_PER_FACE, HEAD_RADII
from .verdict import Box

MAX_COORDINATE = 1e6
"""Pixels from the picture's corner beyond which a coordinate is no place but a mistake."""


@dataclass(frozen=True)
class Ellipse:
    """One ellipse.

    Attributes:
        centre: pixels.
        axis: unit vector along the first axis.
        half_axes: lengths of the two half axes in pixels, both above 0.
    """

    centre: complex
    axis: complex
    half_axes: tuple[float, float]

    @property
    def extent(self) -> tuple[float, float]:
        """Half the width and half the height of its bounding rectangle, pixels."""
        (a, b), (c, s) = self.half_axes, (self.axis.real, self.axis.imag)
        return math.hypot(a * c, b * s), math.hypot(a * s, b * c)

    def row_spans(self, y: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """First and last column, whole pixels, that the ellipse touches in each row; first > last where it does not.

        Args:
            y: [N] rows.
        """
        (a, b), (c, s) = self.half_axes, (self.axis.real, self.axis.imag)
        # p dx^2 + 2 q dx dy + r dy^2 = 1 on the rim, with p r - q^2 = 1 / (a b)^2.
        p, q = (c / a) ** 2 + (s / b) ** 2, c * s * (a**-2 - b**-2)
        dy = y - self.centre.imag
        inside = p - (dy / (a * b)) ** 2
        middle, half = self.centre.real - q / p * dy, np.sqrt(np.maximum(inside, 0)) / p
        return np.where(inside < 0, np.inf, np.floor(middle - half)), np.ceil(middle + half)


def head_of_box(box: Box, grow: float) -> Ellipse:
    """The upright ellipse through the corners of a face's box.

    A detector's box reaches from the forehead to the chin, so its corners' ellipse takes in the hairline and the ears.

    Args:
        box: of the face.
        grow: by how much the ellipse is enlarged, as a part of itself.

    Raises:
        ValueError: the box has corners that are not finite or absurdly far away, or no area.
    """
    x0, y0, x1, y1 = box
    if not (all(abs(side) < MAX_COORDINATE for side in box) and x1 > x0 and y1 > y0):
        corners = ", ".join(f"{side:.0f}" for side in box)
        raise ValueError(
            f"its box is ({corners}); expected x0 < x1 and y0 < y1 within {MAX_COORDINATE:.0f}: what is "
            "not known to be anywhere cannot be covered, so the node that found the face has to be looked at"
        )
    # Half a side times HEAD_PER_FACE, which is the square root of 2.
    scale = (1 + grow) / HEAD_PER_FACE
    return Ellipse(complex((x0 + x1) / 2, (y0 + y1) / 2), 1 + 0j, ((x1 - x0) * scale, (y1 - y0) * scale))


def head_of_landmarks(landmarks: Sequence[tuple[float, float]], grow: float) -> Ellipse | None:
    """The ellipse over the head that five landmarks belong to, turned as they are.

    Place and size are those of the FFHQ-aligned crop (see `face_template.ffhq_fractions`), which has no use for
    landmarks that are mirrored or upside down; a cover has to lie over them all the same.

    Args:
        landmarks: five (x, y) in pixels, in InsightFace's order.
        grow: by how much the ellipse is enlarged, as a part of itself.

    Returns:
        None if the landmarks are not five points at some distance: then the box alone says where the face is.
    """
    if len(landmarks) != 5 or not all(abs(x) < MAX_COORDINATE and abs(y) < MAX_COORDINATE for x, y in landmarks):
        return None
    points = np.array(landmarks, np.float64)
    across, down = face_axes(points)
    centre, half_side = ffhq_extent(points)
    if half_side < 1:
        return None
    # Where a face looks aside the eyes say little of its turn, where it nods the mouth does: the longer counts more.
    turn = down + 1j * across * (-1 if (down.conjugate() * 1j * across).real < 0 else 1)
    side = 2 * half_side * (1 + grow)
    return Ellipse(centre, turn / abs(turn), (HEAD_RADII[1] * side, HEAD_RADII[0] * side))


@dataclass(frozen=True, eq=False)
class Cover:
    """Where one face is to be covered.

    Attributes:
        rows: of the picture that hold the cover.
        columns: of the picture that hold it.
        mask: bool, of the size of those rows and columns, True under the cover.
        length: of the cover's longer side in pixels, parts outside the picture included.
    """

    rows: slice
    columns: slice
    mask: NDArray[np.bool_]
    length: int


def place_cover(
    boxes: Sequence[Box],
    landmarks: Sequence[Sequence[tuple[float, float]]],
    height: int,
    width: int,
    grow: float,
) -> Cover:
    """The cover of one face.

    Args:
        boxes: all places the face has, at least one.
        landmarks: of the same face, five (x, y) each; sets that are degenerate do not count.
        height: of the picture, pixels.
        width: of the picture, pixels.
        grow: by how much the cover is larger than the head, as a part of it, above -1.

    Raises:
        ValueError: there is no box, a box is none (see `head_of_box`), or the face lies outside the picture.
    """
    if not boxes:
        raise ValueError("it has no box; what is not known to be anywhere cannot be covered")
    heads = [head_of_box(box, grow) for box in boxes]
    heads += [head for points in landmarks if (head := head_of_landmarks(points, grow)) is not None]
    left = math.floor(min(head.centre.real - head.extent[0] for head in heads))
    right = math.ceil(max(head.centre.real + head.extent[0] for head in heads)) + 1
    top = math.floor(min(head.centre.imag - head.extent[1] for head in heads))
    bottom = math.ceil(max(head.centre.imag + head.extent[1] for head in heads)) + 1
    rows, columns = slice(max(top, 0), max(min(bottom, height), 0)), slice(max(left, 0), max(min(right, width), 0))
    y, x = np.arange(rows.start, rows.stop, dtype=np.float64), np.arange(columns.start, columns.stop)
    mask = np.zeros((len(y), len(x)), bool)
    for head in heads:
        first, last = head.row_spans(y)
        mask |= (x >= first[:, None]) & (x <= last[:, None])
    if not mask.any():
        corners = ", ".join(f"{side:.0f}" for side in boxes[0])
        raise ValueError(
            f"its box ({corners}) lies outside the picture of {width}x{height}; the faces belong to another picture"
        )
    return Cover(rows, columns, mask, max(right - left, bottom - top))
