"""How a picture is searched for faces: the views of it that the detector gets. `finds` sorts what it finds in them.

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

SIZE_STEP = 32
"""The detector's coarsest stride; its input sizes are multiples of it."""

DEFAULT_DETECTOR_SIZE = 640
"""Side, in pixels, of the square that the detector gets first, if nobody chooses another."""

MAX_DETECTOR_SIZE = 4096
"""Largest side, in pixels, of the square that the detector gets."""

MIN_SCALE = 0.5
"""Detector pixels per picture pixel that at least one view has everywhere: it shows a 48-pixel face at 24 pixels."""

SECOND_MIN_SCALE = 1.0
"""The same scale for the second search, which also looks for faces of 24 pixels."""

TILE_SIZE = 1280
"""Smallest side, in pixels, of the square in which the detector gets a tile of a large picture."""

TILE_OVERLAP = 0.2
"""Fraction of a tile's side that the next tile shows too: a face that fits into the overlap is whole in one of them."""

TILE_EDGE_MARGIN = 2.0
"""Detector pixels: a find that comes this close to a tile's edge belongs to a face that goes on beyond it."""

MIRRORED_LANDMARKS = [1, 0, 2, 4, 3]
"""Order of a face's landmarks (`Detection.landmarks`) in its mirror image."""


@dataclass(frozen=True)
class View:
    """One way to show a picture to the detector.

    Attributes:
        size: side in pixels of the square that the detector gets.
        border: black border around the picture, as a fraction of the picture's longer side.
        mirrored: whether left and right are exchanged.
        turns: quarter turns counter-clockwise, 0 to 3, applied after mirroring.
        tile: x0, y0, x1, y1 in pixels of the region to show; None shows the whole picture.
    """

    size: int
    border: float
    mirrored: bool = False
    turns: int = 0
    tile: tuple[int, int, int, int] | None = None

    @property
    def upright(self) -> bool:
        """Whether the picture is shown neither mirrored nor turned."""
        return not self.mirrored and self.turns == 0

    def region(self, height: int, width: int) -> tuple[int, int, int, int]:
        """x0, y0, x1, y1 in pixels of what the view shows of a picture with this height and width."""
        return (0, 0, width, height) if self.tile is None else self.tile

    def scale(self, height: int, width: int) -> float:
        """Detector pixels per picture pixel."""
        x0, y0, x1, y1 = self.region(height, width)
        return self.size / (max(y1 - y0, x1 - x0) * (1 + 2 * self.border))

    def cut_off(self, boxes: NDArray[Any], height: int, width: int) -> NDArray[np.bool_]:
        """Which finds [F, 5], in pixels of the picture, touch an edge of the tile that is not the picture's own."""
        x0, y0, x1, y1 = self.region(height, width)
        near = TILE_EDGE_MARGIN / self.scale(height, width)
        cut: NDArray[np.bool_] = (boxes[:, 0] < x0 + near) & (x0 > 0)
        cut |= (boxes[:, 1] < y0 + near) & (y0 > 0)
        cut |= (boxes[:, 2] > x1 - near) & (x1 < width)
        return cut | ((boxes[:, 3] > y1 - near) & (y1 < height))

    def show(self, canvas: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Mirror and turn a square [size, size, 3] that holds the upright picture, for the detector."""
        exchanged = canvas[:, ::-1] if self.mirrored else canvas
        return np.ascontiguousarray(np.rot90(exchanged, self.turns))

    def upright_points(self, points: NDArray[Any]) -> NDArray[Any]:
        """Take points [..., 2] from the square that the detector saw to the square with the upright picture."""
        x, y = points[..., 0], points[..., 1]
        for _ in range(self.turns):
            x, y = self.size - y, x
        return np.stack([self.size - x if self.mirrored else x, y], axis=-1)

    def upright_boxes(self, boxes: NDArray[Any]) -> NDArray[Any]:
        """Take boxes [F, 5] from the square that the detector saw to the square with the upright picture."""
        corners = self.upright_points(boxes[:, :4].reshape(-1, 2, 2))
        return np.concatenate([corners.min(axis=1), corners.max(axis=1), boxes[:, 4:]], axis=1)

    def upright_landmarks(self, landmarks: NDArray[Any]) -> NDArray[Any]:
        """Take landmarks [F, 5, 2] to the square with the upright picture; a mirror swaps eyes and mouth corners."""
        points = self.upright_points(landmarks)
        return points[:, MIRRORED_LANDMARKS] if self.mirrored else points


def upright_turns(landmarks: Sequence[tuple[float, float]]) -> int:
    """The quarter turns counter-clockwise, 0 to 3, after which a face is most nearly upright.

    Args:
        landmarks: five (x, y) in pixels, in InsightFace's order.
    """
    points = np.array(landmarks)
    x, y = points[3:].mean(axis=0) - points[:2].mean(axis=0)
    # From the eyes to the mouth must lead down; a quarter turn takes (x, y) to (y, -x).
    return int(np.argmax([y, -x, -y, x]))


def crop_search_size(side: int, det_size: int) -> int:
    """The detector's size for an aligned crop that one face fills: `det_size`, but at most twice the crop's side.

    At twice its side a face is at least a hundred pixels high; enlarging it further shows no more of it.

    Args:
        side: of the crop, pixels.
        det_size: pixels, a multiple of 32.
    """
    return min(det_size, -(-2 * side // SIZE_STEP) * SIZE_STEP)


SearchPlan = Callable[[int, int, int, "int | None"], tuple[View, ...]]
"""Chooses the views of a picture from its height, its width, `det_size` and `fixed_size`, as `search_plan` does."""


def search_plan(height: int, width: int, det_size: int, fixed_size: int | None = None) -> tuple[View, ...]:
    """The upright views in which a picture is searched first.

    The detector sees only faces within a range of sizes, and a face as large as the frame lies outside it. A missed
    face is the worst failure of privacy, so every picture gets every view, whatever the first ones found: the picture
    as it is; at twice the size, if it has that many pixels, for small faces; and at half the size and with a border,
    for faces that fill the frame or reach beyond it. The border is black, like the detector's own letterbox; a
    mirrored border would show mirrored faces. Together these views cost as much as 2.5 views at `det_size`, or 6.5
    for a large picture. If even the largest shows the picture below MIN_SCALE, tiles at that scale follow: 4 for
    12 megapixels.

    Args:
        height: of the picture, pixels.
        width: of the picture, pixels.
        det_size: pixels, a multiple of 32.
        fixed_size: the only size that the detector's file accepts, or None if it accepts any.

    Returns:
        Distinct views, of which the unchanged picture comes first.

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
    # Enlarging the picture beyond its own pixels shows nothing more.
    useful = -(-max(height, width) // SIZE_STEP) * SIZE_STEP
    double = min(2 * det_size, useful, MAX_DETECTOR_SIZE)
    if double > det_size:
        views.append(View(double, 0.0))
    return _with_tiles(height, width, views, MIN_SCALE, tile)


def _tile_size(det_size: int, fixed_size: int | None) -> int:
    """Side in pixels of the square in which the detector gets a tile."""
    return fixed_size or min(max(2 * det_size, TILE_SIZE), MAX_DETECTOR_SIZE)


def _with_tiles(height: int, width: int, views: Sequence[View], scale: float, size: int) -> tuple[View, ...]:
    """Distinct views, with tiles of this size added unless one of the views already shows the picture at the scale."""
    if max(view.scale(height, width) for view in views) >= scale:
        return tuple(dict.fromkeys(views))
    return tuple(dict.fromkeys([*views, *_tiles(height, width, scale, size)]))


def _tiles(height: int, width: int, scale: float, size: int) -> list[View]:
    """Views of this size that together show the picture at the scale; one smaller view if that suffices."""
    longest, side = max(height, width), round(size / scale)
    if longest <= side:
        return [View(min(-(-math.ceil(longest * scale) // SIZE_STEP) * SIZE_STEP, size), 0.0)]
    columns, rows = (_tile_starts(length, side) for length in (width, height))
    return [
        View(size, 0.0, tile=(x, y, min(x + side, width), min(y + side, height)))
        for y, x in itertools.product(rows, columns)
    ]


def _tile_starts(length: int, side: int) -> list[int]:
    """Where the fewest, evenly spaced tiles start that cover a length and overlap by at least TILE_OVERLAP."""
    if length <= side:
        return [0]
    count = math.ceil((length - TILE_OVERLAP * side) / (side - TILE_OVERLAP * side))
    return [round(number * (length - side) / (count - 1)) for number in range(count)]


def turned_search_plan(height: int, width: int, det_size: int, fixed_size: int | None = None) -> tuple[View, ...]:
    """The views of `search_plan`, and some of them in the other quarter turns, for people who lie or hang upside down.

    Detectors see faces tilted by up to about 45 degrees, so four turns cover every angle. What turned views find is
    looked at more closely anyway (`evidence`), so they need only find it: the picture as it is, as small as any view
    shows it, and at MIN_SCALE or as near to it as the largest whole view. All views turned would cost three times as
    much as the upright ones. Takes the arguments of `search_plan` and raises the same error.
    """
    upright = search_plan(height, width, det_size, fixed_size)
    whole = sorted((view for view in upright if view.tile is None), key=lambda view: view.scale(height, width))
    chosen = [upright[0], whole[0]]
    if upright[0].scale(height, width) < MIN_SCALE and fixed_size is None:
        enough = -(-math.ceil(max(height, width) * MIN_SCALE) // SIZE_STEP) * SIZE_STEP
        chosen.append(replace(whole[-1], size=min(enough, whole[-1].size)))
    turned = [replace(view, turns=turns) for turns in (1, 2, 3) for view in dict.fromkeys(chosen)]
    return (*upright, *turned)


def second_search_plan(height: int, width: int, det_size: int, fixed_size: int | None = None) -> tuple[View, ...]:
    """The views of `turned_search_plan` and more, for faces that an earlier search missed.

    A detector that barely misses a face finds it when its pixels fall differently. So the upright views of the whole
    picture are also mirrored, and views at sizes in between are added, plain and mirrored. If none of them shows the
    picture at SECOND_MIN_SCALE, upright tiles at that scale follow: 12 for 12 megapixels. Takes the arguments of
    `search_plan` and raises the same error.
    """
    first = turned_search_plan(height, width, det_size, fixed_size)
    upright = [view for view in first if view.upright and view.tile is None]
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
