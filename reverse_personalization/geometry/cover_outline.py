"""Where covers lie.

A cover is the last resort for a face that could not be changed, so it errs on the large side. But it hides a head, not
a picture. A find of a face has a box and five landmarks, and each describes the head's front, from hair to below the
chin and from ear to ear:

- If they describe one head (`describe_one_head`), the cover is that head: one ellipse, turned like the landmarks, its
  middle and size between the two, nearer to the box. It is never larger than the larger of the two.
- If they contradict each other, one is wrong, and nothing says which. The cover is the union of both, so that neither
  makes it smaller; but the landmarks' head counts as no larger than a face with such a box can be (`BOX_PER_CROP`).
- If the landmarks are degenerate, the box alone counts.

Pixel coordinates follow OpenCV: (0, 0) is the centre of the top left pixel, x to the right and y down. Points are
complex numbers x + iy, so multiplying by i turns them by 90 degrees.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .faces import Box
from .head_extent import (
    BOX_PER_CROP,
    HEAD_DROP,
    HEAD_PER_FACE,
    HEAD_RADII,
    HEAD_SHIFT_PER_NOSE_OFFSET,
    MAX_CENTRE_DISTANCE,
    MAX_HEAD_SHIFT,
)
from .template import face_axes, ffhq_extent

FACE_ALONE = 1 / HEAD_PER_FACE - 1
"""How much a cover grows, as a fraction of the head, to cover the face alone."""

MAX_COORDINATE = 1e6
"""Largest distance from the picture's corner, in pixels, at which a coordinate can be a place and not a mistake."""

BOX_WEIGHT = 0.75
"""How much the box counts where it and the landmarks describe one head. Landmarks say how a head is turned, but hardly
how far it reaches beyond them.

Of 200 rendered heads, with errors as large as the detector's (`head_extent.BOX_PER_CROP`) and 20 draws of each, all of
the face was hidden in all but two draws, and in those all but 0.2 % of it, by covers with 2.39 times the head's area;
the union of both took 2.69.
"""


@dataclass(frozen=True)
class Ellipse:
    """An ellipse, turned by any angle.

    Attributes:
        centre: x + iy in pixels.
        axis: unit vector along the first axis.
        half_axes: lengths of the half axes in pixels, both above 0; the first lies along `axis`.
    """

    centre: complex
    axis: complex
    half_axes: tuple[float, float]

    @property
    def extent(self) -> tuple[float, float]:
        """Half the width and half the height of its bounding rectangle, pixels."""
        return self.along(1 + 0j)

    def along(self, axis: complex) -> tuple[float, float]:
        """How far it reaches from its middle along a unit vector, and across it; pixels."""
        (a, b), turn = self.half_axes, axis * self.axis.conjugate()
        return math.hypot(a * turn.real, b * turn.imag), math.hypot(a * turn.imag, b * turn.real)

    def scaled(self, factor: float) -> Ellipse:
        """The ellipse with half axes so many times as long."""
        a, b = self.half_axes
        return replace(self, half_axes=(a * factor, b * factor))

    def row_spans(self, y: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """First and last column that the ellipse touches in each row.

        Args:
            y: [N] rows.

        Returns:
            Two [N] arrays of whole numbers; the first is the larger in rows that the ellipse does not touch.
        """
        (a, b), (c, s) = self.half_axes, (self.axis.real, self.axis.imag)
        # p dx^2 + 2 q dx dy + r dy^2 = 1 on the rim, with p r - q^2 = 1 / (a b)^2.
        p, q = (c / a) ** 2 + (s / b) ** 2, c * s * (a**-2 - b**-2)
        dy = y - self.centre.imag
        inside = p - (dy / (a * b)) ** 2
        middle, half = self.centre.real - q / p * dy, np.sqrt(np.maximum(inside, 0)) / p
        return np.where(inside < 0, np.inf, np.floor(middle - half)), np.ceil(middle + half)


def head_of_box(box: Box, grow: float) -> Ellipse:
    """The upright ellipse through the corners of a face's detected box, which covers the head.

    Args:
        box: of the face.
        grow: how much to enlarge the ellipse, as a fraction of its own size, above -1.

    Raises:
        ValueError: the box has no area, or its corners are not finite or absurdly far away.
    """
    x0, y0, x1, y1 = box
    if not (all(abs(side) < MAX_COORDINATE for side in box) and x1 > x0 and y1 > y0):
        corners = ", ".join(f"{side:.0f}" for side in box)
        raise ValueError(
            f"its box is ({corners}); expected x0 < x1 and y0 < y1 within {MAX_COORDINATE:.0f}. A face "
            "without a place cannot be covered; check the node that found it"
        )
    # Half a side times HEAD_PER_FACE, which is the square root of 2.
    scale = (1 + grow) / HEAD_PER_FACE
    return Ellipse(complex((x0 + x1) / 2, (y0 + y1) / 2), 1 + 0j, ((x1 - x0) * scale, (y1 - y0) * scale))


def head_of_landmarks(landmarks: Sequence[tuple[float, float]], grow: float) -> Ellipse | None:
    """The ellipse that covers the head to which five landmarks belong, turned as they are.

    Its position and size come from the face's FFHQ-aligned crop, and from the nose, which shows how far the head looks
    aside. No such crop can be aligned to landmarks that are mirrored or upside down, but a cover must lie over those
    too.

    Args:
        landmarks: five (x, y) in pixels, in InsightFace's order.
        grow: how much to enlarge the ellipse, as a fraction of its own size, above -1.

    Returns:
        None unless the landmarks are five points apart from one another; the box alone then locates the face.
    """
    if len(landmarks) != 5 or not all(abs(x) < MAX_COORDINATE and abs(y) < MAX_COORDINATE for x, y in landmarks):
        return None
    points = np.array(landmarks, np.float64)
    across, down = face_axes(points)
    centre, half_side = ffhq_extent(points)
    if half_side < 1:
        return None
    # Turning the head shortens the axis of the eyes, nodding that of the mouth: the longer one counts more.
    turn = down + 1j * across * (-1 if (down.conjugate() * 1j * across).real < 0 else 1)
    axis, side = turn / abs(turn), 2 * half_side
    eye, other_eye, nose, corner, other_corner = points @ (1, 1j) / side
    # Its imaginary part points against the direction of the nose.
    offset = ((eye + other_eye + corner + other_corner) / 4 - nose) * axis.conjugate()
    shift = float(np.clip(HEAD_SHIFT_PER_NOSE_OFFSET * offset.imag, -MAX_HEAD_SHIFT, MAX_HEAD_SHIFT))
    size = side * (1 + grow)
    middle = centre + axis * complex(HEAD_DROP, shift) * side
    return Ellipse(middle, axis, (HEAD_RADII[1] * size, HEAD_RADII[0] * size))


def describe_one_head(box: Ellipse, landmarks: Ellipse) -> bool:
    """Whether a box and landmarks describe one head: about as large (BOX_PER_CROP), and at one place.

    Args:
        box: its head as `head_of_box` gives it, grown by nothing.
        landmarks: their head as `head_of_landmarks` gives it, grown by nothing.
    """
    side = _crop_side(landmarks)
    smallest, largest = (fraction * side for fraction in BOX_PER_CROP)
    near = abs(box.centre - landmarks.centre) <= MAX_CENTRE_DISTANCE * side
    return near and smallest <= _box_size(box) <= largest


def heads_of_find(box: Box, landmarks: Sequence[tuple[float, float]], grow: float) -> list[Ellipse]:
    """The ellipses that together cover the head of one find; see the module for the rule.

    Args:
        box: of the face.
        landmarks: five (x, y) in pixels, in InsightFace's order; degenerate ones are ignored.
        grow: how much to enlarge the ellipses, as a fraction of their own size, above -1.

    Returns:
        One or two.

    Raises:
        ValueError: the box has no area, or its corners are not finite or absurdly far away.
    """
    of_box, of_landmarks = head_of_box(box, 0), head_of_landmarks(landmarks, 0)
    if of_landmarks is None:
        return [of_box.scaled(1 + grow)]
    if not describe_one_head(of_box, of_landmarks):
        most = _box_size(of_box) / BOX_PER_CROP[0] / _crop_side(of_landmarks)
        return [of_box.scaled(1 + grow), of_landmarks.scaled(min(most, 1) * (1 + grow))]
    turned = of_box.along(of_landmarks.axis)
    middle = BOX_WEIGHT * of_box.centre + (1 - BOX_WEIGHT) * of_landmarks.centre
    a, b = (
        BOX_WEIGHT * one + (1 - BOX_WEIGHT) * other for one, other in zip(turned, of_landmarks.half_axes, strict=True)
    )
    return [Ellipse(middle, of_landmarks.axis, (a, b)).scaled(1 + grow)]


def _box_size(head: Ellipse) -> float:
    """Square root of the area of the box to which a head belongs, pixels."""
    a, b = head.half_axes
    return 2 / HEAD_PER_FACE * math.sqrt(a * b)


def _crop_side(head: Ellipse) -> float:
    """Side of the FFHQ-aligned crop to which a head of landmarks belongs, pixels."""
    return head.half_axes[0] / HEAD_RADII[1]


@dataclass(frozen=True, eq=False)
class Cover:
    """The pixels that cover one face.

    Attributes:
        rows: rows of the picture that hold the cover.
        columns: columns of the picture that hold the cover.
        mask: bool, [rows, columns], True under the cover.
        length: longer side of the cover in pixels, including what lies outside the picture.
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
    """Lay out the cover of one face.

    Args:
        boxes: where the face is, in the original, the result or both; at least one.
        landmarks: five (x, y) for each box, or for the first of them only; degenerate sets are ignored.
        height: of the picture, pixels.
        width: of the picture, pixels.
        grow: how much larger than the head the cover becomes, as a fraction of the head, above -1.

    Raises:
        ValueError: there is no box, a box has no area or its corners are not finite or absurdly far away, or the face
            lies outside the picture.
    """
    if not boxes:
        raise ValueError("it has no box, and a face without a place cannot be covered; check the node that found it")
    points = [*landmarks, *[()] * len(boxes)][: len(boxes)]
    heads = [head for find in zip(boxes, points, strict=True) for head in heads_of_find(*find, grow)]
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
            f"its box ({corners}) lies outside the picture of {width}x{height}; connect faces that were found in this "
            "picture"
        )
    return Cover(rows, columns, mask, max(right - left, bottom - top))
