"""Which pixels of a photograph belong to a face: its core, the feather around it, and the owner of shared pixels.

A face is an ellipse in its FFHQ-aligned crop. A pixel's distance from the face is measured in radii of that ellipse:
0 in its middle, 1 at its rim. The core, forehead to chin and ear to ear, is where that distance is less than 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .alignment import Window, ffhq_transform, footprint, inverted, scale_of
from .head_extent import FACE_CENTRE, FACE_RADII, MAX_YAW_SHIFT, YAW_SHIFT_PER_NOSE_OFFSET
from .resampling import resample, smoothstep

NEIGHBOUR_RADIUS = 1.12
"""Distance, in radii, within which pixels are a face's when its neighbours are cropped; still inside its own crop."""

CROP_EDGE_FADE = 0.04
"""Fraction of a crop's side over which every mask falls to 0 at the crop's edge; no core comes that close to it."""


@dataclass(frozen=True, eq=False)
class FaceArea:
    """Where a face and its crop lie in a photograph.

    Attributes:
        to_crop: float64 [2, 3], from pixels of the photograph to pixels of the crop.
        side: of the crop, pixels.
        to_disc: float64 [2, 3], from pixels of the photograph to coordinates in which the core is the unit disc.
        window: the pixels of the photograph that the crop can show; may be empty.
    """

    to_crop: NDArray[np.float64]
    side: int
    to_disc: NDArray[np.float64]
    window: Window

    @property
    def radius(self) -> float:
        """Radius of the core in pixels of the photograph: the geometric mean of its two radii."""
        return 1 / scale_of(self.to_disc)

    def from_crop(self, window: Window) -> NDArray[np.float64]:
        """The transform from pixels of the crop to pixels of a window of the photograph, counted from its corner."""
        transform = inverted(self.to_crop)
        transform[:, 2] -= (window.x0, window.y0)
        return transform

    def disc(self, window: Window) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Coordinates x and y of a window's pixels, each [h, w], in which the core is the unit disc."""
        return _coordinates(self.to_disc, window)

    def around(self, reach: float) -> Window:
        """The window around all pixels within a distance of the face's middle, in radii of the core."""
        to_photo = inverted(self.to_disc)
        half = reach * np.hypot(to_photo[:, 0], to_photo[:, 1])
        x0, y0 = np.floor(to_photo[:, 2] - half).astype(int).tolist()
        x1, y1 = np.ceil(to_photo[:, 2] + half).astype(int).tolist()
        return Window(x0, y0, x1 + 1, y1 + 1)

    def distance(self, window: Window) -> NDArray[np.float32]:
        """Distance of a window's pixels from the face, [h, w], in radii of the core; infinite outside the crop."""
        x, y = self.disc(window)
        distance = np.hypot(x, y, out=x)
        distance[self._to_edge(window) < 0] = np.inf
        return distance

    def edge(self, window: Window) -> NDArray[np.float32]:
        """Weight of a window's pixels, [h, w]: exactly 0 outside the crop, rising to 1 within `CROP_EDGE_FADE`."""
        return smoothstep(self._to_edge(window) / (CROP_EDGE_FADE * self.side))

    def beyond(self, seen: Window, part: Window) -> NDArray[np.float32]:
        """How far pixels of the crop lie outside a window of the photograph, in pixels of the photograph.

        Args:
            seen: the window of the photograph.
            part: the window of the crop whose pixels are asked for.

        Returns:
            [h, w] of `part`; negative inside.
        """
        x, y = _coordinates(inverted(self.to_crop), part)
        x, y = (
            np.abs(coordinate - (low + high - 1) / 2) - (high - low) / 2
            for coordinate, low, high in ((x, seen.x0, seen.x1), (y, seen.y0, seen.y1))
        )
        return np.maximum(x, y)

    def _to_edge(self, window: Window) -> NDArray[np.float32]:
        """Distance of a window's pixels from the crop's edge, [h, w], in pixels of the crop; negative outside."""
        x, y = _coordinates(self.to_crop, window)
        # In place: in a large photograph each of these arrays takes tens of megabytes.
        for coordinate in (x, y):
            coordinate -= (self.side - 1) / 2
            np.abs(coordinate, out=coordinate)
        return np.subtract(self.side / 2, np.maximum(x, y, out=x), out=x)


def face_area(
    landmarks: NDArray[np.float64], to_crop: NDArray[np.float64], side: int, height: int, width: int
) -> FaceArea:
    """Locate a face and its crop in a photograph.

    Args:
        landmarks: [5, 2] pixels of the photograph, such that `landmark_fault` finds nothing wrong with them.
        to_crop: from pixels of the photograph to pixels of the face's crop.
        side: of the crop, pixels.
        height: of the photograph, pixels.
        width: of the photograph, pixels.
    """
    fractions = ffhq_transform(landmarks)
    x = landmarks @ fractions[0, :2] + fractions[0, 2]
    nose = x[2] - (x[0] + x[1] + x[3] + x[4]) / 4
    turned = np.clip(-YAW_SHIFT_PER_NOSE_OFFSET * nose, -MAX_YAW_SHIFT, MAX_YAW_SHIFT)
    to_disc = fractions.copy()
    to_disc[:, 2] += fractions[:, :2].sum(axis=1) / 2 - np.add(FACE_CENTRE, (turned, 0.0))
    to_disc /= np.array(FACE_RADII)[:, None]
    window = footprint(to_crop, side).intersection(Window(0, 0, width, height))
    return FaceArea(to_crop=to_crop, side=side, to_disc=to_disc, window=window)


def landmark_mask(area: FaceArea, feather: float, grow: float) -> NDArray[np.float32]:
    """A face's soft mask over its window.

    Args:
        area: of the face.
        feather: width of the fall from 1 to exactly 0, in radii of the core, above 0.
        grow: how far beyond the core the mask stays at 1, in the same radii, at least 0.

    Returns:
        [h, w] in [0, 1], exactly 1 in the core, exactly 0 beyond the feather and outside the crop.
    """
    beyond = (np.hypot(*area.disc(area.window)) - 1 - grow) / feather
    return (1 - smoothstep(beyond)) * area.edge(area.window)


def drawn_mask(area: FaceArea, mask: NDArray[np.float32], feather: float, grow: float) -> NDArray[np.float32]:
    """A soft mask over a face's window, made from a mask that was drawn in its crop.

    Args:
        area: of the face; its side is the mask's.
        mask: [side, side] in [0, 1]; the drawn face is where it is above a half.
        feather: width of the fall from 1 to exactly 0 outside the drawn face, in radii of the core, above 0.
        grow: how far beyond the drawn face the mask stays at 1, in the same radii, at least 0.

    Returns:
        [h, w] in [0, 1], exactly 0 outside the crop.
    """
    import cv2

    radius = area.radius * scale_of(area.to_crop)
    outside = cv2.distanceTransform((mask <= 0.5).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    # If nothing is drawn, the distances have no meaning.
    soft = 1 - smoothstep((outside / radius - grow) / feather) if (mask > 0.5).any() else np.zeros_like(mask)
    window = area.window
    shown = resample(np.maximum(soft, mask)[..., None], area.from_crop(window), window.height, window.width)
    return shown[..., 0] * area.edge(window)


def owners(areas: Sequence[FaceArea], window: Window, reach: float = np.inf) -> NDArray[np.int32]:
    """Find the face that owns each pixel of a window.

    A pixel belongs to the nearest of the faces whose crops show it; the first of them wins a tie. Only the window is
    computed, because a photograph is far larger than its faces.

    Args:
        areas: of all faces of the photograph.
        window: of the photograph, not empty.
        reach: distance, in radii of the core, beyond which a pixel belongs to nobody.

    Returns:
        int32 [h, w]: numbers of faces from 0, or -1 for nobody.
    """
    nearest = np.full((window.height, window.width), np.inf, np.float32)
    owner = np.full(nearest.shape, -1, np.int32)
    for number, area in enumerate(areas):
        shared = area.window.intersection(window)
        if not shared.empty:
            part, distance = shared.relative_to(window).slices, area.distance(shared)
            nearer = distance < nearest[part]
            nearest[part][nearer] = distance[nearer]
            owner[part][nearer] = number
    owner[nearest > reach] = -1
    return owner


def _coordinates(transform: NDArray[np.float64], window: Window) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Coordinates x and y to which a transform takes a window's pixels, each [h, w]."""
    x, y = np.arange(window.x0, window.x1), np.arange(window.y0, window.y1)
    across, down = (
        np.add.outer((row[1] * y + row[2]).astype(np.float32), (row[0] * x).astype(np.float32)) for row in transform
    )
    return across, down
