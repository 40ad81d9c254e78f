"""How a picture is searched for faces: the views the detector gets, and what becomes of what it finds.

Boxes are float [F, 5] arrays: x0, y0, x1, y1 in pixels of the picture, and the score in [0, 1].
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .boxes import areas, intersection_over_union, shared_areas

SIZE_STEP = 32
"""The detector's coarsest stride: its input sizes are multiples of it."""

MAX_DETECTOR_SIZE = 4096

MIN_SCALE = 0.5
"""Detector pixels per picture pixel that some view has everywhere: a face of 48 pixels is shown in 24 of them."""

SECOND_MIN_SCALE = 1.0
"""The same for the second search, which is to find faces of 24 pixels too."""

TILE_SIZE = 1280
"""Least side in pixels of the square in which the detector gets a tile of a large picture."""

TILE_OVERLAP = 0.2
"""Part of a tile's side that the next one shows, too: a face that fits into it is whole in one of them."""

TILE_EDGE_MARGIN = 2.0
"""Detector pixels from the edge of a tile within which a find is a piece of a face that goes on beyond it."""

SAME_FACE_IOU = 0.4
"""Boxes whose intersection is more than this part of their union show one face, as InsightFace counts."""

MIRRORED_LANDMARKS = [1, 0, 2, 4, 3]
"""Where a face's landmarks (see `Detection`) are among those of its mirror image."""

FRAGMENT_MIN_INSIDE = 0.5
"""A box of which more than this part lies in a larger one may be a piece of that face."""

FRAGMENT_MAX_SCORE_RATIO = 0.75
"""A piece is less sure than this part of the whole face's score: who stands before a large face is about as sure."""

UPRIGHT_BONUS = 0.08
"""Of two views that saw a face about equally well, the upright one is believed: most people are upright, and only a
view that shows a face upright tells which of its eyes is which. A rendered face tilted by 34 degrees got 0.80 upright,
with landmarks in their places, and 0.86 a quarter turn away, with the landmarks turned as well."""


RIVAL_MIN_SCORE_RATIO = 0.95
"""Of two views at one face the one saw it about as well as the other from this part of its rating on."""

AGREEMENT_TOLERANCE = 0.35
"""Part of the longer side of a face's box that landmarks may be apart, in the mean, and still say the same of how it is
turned: a quarter turn moves them by half of it."""


@dataclass(frozen=True)
class View:
    """One way to show a picture to the detector.

    Attributes:
        size: side in pixels of the square that the detector gets.
        border: black border around the picture, as a part of the picture's longer side.
        mirrored: left and right are exchanged.
        turns: quarter turns counter-clockwise, 0 to 3, after the exchange.
        tile: x0, y0, x1, y1 in pixels, the part of the picture that is shown; None shows all of it.
    """

    size: int
    border: float
    mirrored: bool = False
    turns: int = 0
    tile: tuple[int, int, int, int] | None = None

    @property
    def upright(self) -> bool:
        """Whether the picture is shown as it is."""
        return not self.mirrored and self.turns == 0

    def region(self, height: int, width: int) -> tuple[int, int, int, int]:
        """x0, y0, x1, y1 in pixels of what is shown of a picture of this height and width."""
        return (0, 0, width, height) if self.tile is None else self.tile

    def scale(self, height: int, width: int) -> float:
        """Detector pixels per picture pixel."""
        x0, y0, x1, y1 = self.region(height, width)
        return self.size / (max(y1 - y0, x1 - x0) * (1 + 2 * self.border))

    def cut_off(self, boxes: NDArray[Any], height: int, width: int) -> NDArray[np.bool_]:
        """Which finds [F, 5], in pixels of the picture, reach an edge of the tile beyond which the picture goes on."""
        x0, y0, x1, y1 = self.region(height, width)
        near = TILE_EDGE_MARGIN / self.scale(height, width)
        cut: NDArray[np.bool_] = (boxes[:, 0] < x0 + near) & (x0 > 0)
        cut |= (boxes[:, 1] < y0 + near) & (y0 > 0)
        cut |= (boxes[:, 2] > x1 - near) & (x1 < width)
        return cut | ((boxes[:, 3] > y1 - near) & (y1 < height))

    def show(self, canvas: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A square [size, size, 3] with the picture as it is, as the detector gets it."""
        exchanged = canvas[:, ::-1] if self.mirrored else canvas
        return np.ascontiguousarray(np.rot90(exchanged, self.turns))

    def upright_points(self, points: NDArray[Any]) -> NDArray[Any]:
        """Points [..., 2] of the shown square in pixels of the square with the picture as it is."""
        x, y = points[..., 0], points[..., 1]
        for _ in range(self.turns):
            x, y = self.size - y, x
        return np.stack([self.size - x if self.mirrored else x, y], axis=-1)

    def upright_boxes(self, boxes: NDArray[Any]) -> NDArray[Any]:
        """Boxes [F, 5] of the shown square in the square with the picture as it is."""
        corners = self.upright_points(boxes[:, :4].reshape(-1, 2, 2))
        return np.concatenate([corners.min(axis=1), corners.max(axis=1), boxes[:, 4:]], axis=1)

    def upright_landmarks(self, landmarks: NDArray[Any]) -> NDArray[Any]:
        """Landmarks [F, 5, 2] likewise; in a mirror a person's eyes, and mouth corners, have changed places."""
        points = self.upright_points(landmarks)
        return points[:, MIRRORED_LANDMARKS] if self.mirrored else points


def crop_search_size(side: int, det_size: int) -> int:
    """The detector's size for an aligned crop, which one face fills: `det_size`, but of small crops twice their side.

    Such a face is a hundred pixels high or more at that size, and enlarging shows no more of it.

    Args:
        side: of the crop, pixels.
        det_size: a multiple of 32, in pixels.
    """
    return min(det_size, -(-2 * side // SIZE_STEP) * SIZE_STEP)


SearchPlan = Callable[[int, int, int, "int | None"], tuple[View, ...]]
"""Looks for a picture, see `search_plan`."""


def search_plan(height: int, width: int, det_size: int, fixed_size: int | None = None) -> tuple[View, ...]:
    """All views that one picture gets.

    The detector has a window of sizes it can see, and a face as large as the frame is outside it. For privacy a
    missed face is the worst failure, so every picture gets every view, whatever the first ones found: as it is; at
    twice the size if it has that many pixels, for small faces; at half the size, and with a border, for faces that
    fill the frame or reach out of it. The border is black, as the detector's own letterbox is; a mirrored border
    would show it mirrored faces. Together they cost 2.5 views at `det_size`, 6.5 for large pictures. Where even the
    largest shows a picture at less than MIN_SCALE, it also gets tiles at that scale: 4 for 12 megapixels.

    Args:
        height: of the picture, pixels.
        width: of the picture, pixels.
        det_size: a multiple of 32, in pixels.
        fixed_size: the only size the detector's file allows, if it is fixed there.

    Returns:
        Looks that differ from one another, the picture as it is first.

    Raises:
        ValueError: `det_size` is not a positive multiple of 32.
    """
    if det_size < SIZE_STEP or det_size % SIZE_STEP:
        raise ValueError(f"det_size is {det_size}; expected a multiple of {SIZE_STEP}")
    tile = _tile_size(det_size, fixed_size)
    if fixed_size is not None:
        views = [View(fixed_size, border) for border in (0.0, 0.25, 0.75)]
        return _with_tiles(height, width, views, MIN_SCALE, tile)
    half = _multiple_of_stride(det_size / 2)
    views = [View(det_size, 0.0), View(det_size, 0.25), View(half, 0.0), View(half, 0.75)]
    # Beyond the picture's own pixels there is nothing to see.
    useful = -(-max(height, width) // SIZE_STEP) * SIZE_STEP
    double = min(2 * det_size, useful, MAX_DETECTOR_SIZE)
    if double > det_size:
        views.append(View(double, 0.0))
    return _with_tiles(height, width, views, MIN_SCALE, tile)


def _tile_size(det_size: int, fixed_size: int | None) -> int:
    """Side in pixels of the square in which the detector gets a tile."""
    return fixed_size or min(max(2 * det_size, TILE_SIZE), MAX_DETECTOR_SIZE)


def _with_tiles(height: int, width: int, views: Sequence[View], scale: float, size: int) -> tuple[View, ...]:
    """Looks at a picture, and, if none of them shows it at a scale, others that do: tiles of a size, if need be."""
    if max(view.scale(height, width) for view in views) >= scale:
        return tuple(dict.fromkeys(views))
    return tuple(dict.fromkeys([*views, *_tiles(height, width, scale, size)]))


def _tiles(height: int, width: int, scale: float, size: int) -> list[View]:
    """Looks of a size that together show a picture at a scale; one smaller view if that is enough."""
    longest, side = max(height, width), round(size / scale)
    if longest <= side:
        return [View(min(-(-math.ceil(longest * scale) // SIZE_STEP) * SIZE_STEP, size), 0.0)]
    columns, rows = (_tile_starts(length, side) for length in (width, height))
    return [
        View(size, 0.0, tile=(x, y, min(x + side, width), min(y + side, height)))
        for y, x in itertools.product(rows, columns)
    ]


def _tile_starts(length: int, side: int) -> list[int]:
    """Where tiles of a side begin that cover a length: as few as overlap by TILE_OVERLAP or more, evenly apart."""
    if length <= side:
        return [0]
    count = math.ceil((length - TILE_OVERLAP * side) / (side - TILE_OVERLAP * side))
    return [round(number * (length - side) / (count - 1)) for number in range(count)]


def turned_search_plan(height: int, width: int, det_size: int, fixed_size: int | None = None) -> tuple[View, ...]:
    """The views of `search_plan` (see there), and all of them turned: for people who lie or hang upside down.

    Detectors see faces that are tilted by 45 degrees or so; four times as many views see them at every angle.
    """
    upright = search_plan(height, width, det_size, fixed_size)
    return tuple(replace(view, turns=turns) for turns in range(4) for view in upright)


def second_search_plan(height: int, width: int, det_size: int, fixed_size: int | None = None) -> tuple[View, ...]:
    """The views for faces that an earlier search has missed: those of `turned_search_plan` (see there) and others.

    The others are the upright views mirrored, and views at sizes between the first ones, as they are and mirrored: a
    detector that misses a face by little finds it when its pixels fall otherwise. A picture that none of them shows at
    SECOND_MIN_SCALE is also shown in tiles at that scale, upright: 12 for 12 megapixels.
    """
    first = turned_search_plan(height, width, det_size, fixed_size)
    upright = [view for view in first if view.upright]
    tile = _tile_size(det_size, fixed_size)
    if fixed_size is not None:
        between = [View(fixed_size, border) for border in (0.1, 0.5)]
    else:
        longest = -(-max(height, width) // SIZE_STEP) * SIZE_STEP
        larger = min(_multiple_of_stride(det_size * 3 / 2), MAX_DETECTOR_SIZE)
        between = [View(_multiple_of_stride(det_size * 3 / 4), 0.1)]
        if longest > det_size:
            between.append(View(larger, 0.0))
    mirrored = [replace(view, mirrored=True) for view in [*upright, *between]]
    return _with_tiles(height, width, [*first, *between, *mirrored], SECOND_MIN_SCALE, tile)


def _multiple_of_stride(size: float) -> int:
    return max(int(size) // SIZE_STEP, 1) * SIZE_STEP


def visible_fraction(boxes: NDArray[Any], height: int, width: int) -> NDArray[Any]:
    """Part of each box's area, [F] in [0, 1], that lies in a picture of this height and width."""
    corners = boxes[:, :4].reshape(-1, 2, 2)
    clipped = np.clip(corners, 0, [width, height])
    return np.prod(clipped[:, 1] - clipped[:, 0], axis=1) / areas(boxes)


def fragments(boxes: NDArray[Any], views: NDArray[Any], cut: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which finds are pieces of larger faces.

    To a view that is too close to see a face as a whole, cheeks or eyes may pass for small faces. Such a find lies
    for the most part in a larger and much surer one of another view, of which its own view has seen nothing. Where the
    view has seen both, they are two faces, one before the other, and both stay.

    What a tile's edge cuts off is a piece if it lies in a face that is whole; else it stays, as all there is to be
    found of somebody.

    Args:
        boxes: [F, 5].
        views: int [F], which view made each.
        cut: [F], whether a tile's edge cuts it off, see `View.cut_off`.

    Returns:
        [F], True for what is to be dropped.
    """
    pieces = np.zeros(len(boxes), bool)
    area, score = areas(boxes), boxes[:, 4]
    # A view at a time: all finds with all finds take too much memory where a low threshold makes thousands of them.
    for view in np.unique(views):
        own = np.flatnonzero(views == view)
        shared = shared_areas(boxes[own], boxes)
        # [finds of this view, F].
        inside = (shared / area[own, None] > FRAGMENT_MIN_INSIDE) & np.less.outer(area[own], area)
        same_face = _same_face(boxes[own], boxes)
        seen = (same_face | (inside & cut[own, None])).any(axis=0)
        much_surer = np.less.outer(score[own], FRAGMENT_MAX_SCORE_RATIO * score)
        piece = inside & ~cut & (cut[own, None] | (much_surer & ~seen))
        pieces[own] = piece.any(axis=1)
    return pieces


def landmarks_agree(boxes: NDArray[Any], landmarks: NDArray[Any], chosen: Sequence[int]) -> list[bool]:
    """Whether what all views have found leaves no doubt of how a face is turned.

    Args:
        boxes: [F, 5], of all views; the last column is the rating by which one of a face's finds was chosen.
        landmarks: [F, 5, 2].
        chosen: numbers of finds, of each face one.

    Returns:
        For each chosen find, False if another of the same face is RIVAL_MIN_SCORE_RATIO of landmarks elsewhere.
    """
    result = []
    for number in chosen:
        box = boxes[number]
        [same] = _same_face(box[None], boxes)
        rivals = same & (boxes[:, 4] >= RIVAL_MIN_SCORE_RATIO * box[4])
        away = np.linalg.norm(landmarks[rivals] - landmarks[number], axis=2).mean(axis=1)
        result.append(bool((away <= AGREEMENT_TOLERANCE * np.max(box[2:4] - box[:2])).all()))
    return result


def _same_face(boxes: NDArray[Any], others: NDArray[Any]) -> NDArray[np.bool_]:
    """Which of some boxes and of others share so much that they show one face, [N, M]."""
    same: NDArray[np.bool_] = intersection_over_union(boxes, others) > SAME_FACE_IOU
    return same
