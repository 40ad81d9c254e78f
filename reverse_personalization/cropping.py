"""The aligned crops of a photograph's faces, each without its neighbours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from .alignment import Window, inverted, scale_of, shifted
from .face_mask import NEIGHBOUR_RADIUS, FaceArea, owners
from .resampling import resample, smoothstep, source_window

EMPTY_LEVEL = 0.5
"""Grey of a crop that has nothing to show, in [0, 1]."""

OUTSIDE_BLUR = 0.02
"""Standard deviation of the blur outside the photograph, as a part of the crop's side (as FFHQ was made)."""

OUTSIDE_RAMP = 0.1
"""Part of the crop's side, counted from the photograph's edge, over which that blur sets in."""

HIDING_BLUR = 0.4
"""Standard deviation of the blur that hides a face, in radii of its core: less than three blobs are left across it."""

BLUR_WORKING_RADIUS = 24
"""Radius of a core, pixels, at which a blur so strong is computed."""


def take_crops(
    photo: NDArray[np.float32], areas: Sequence[FaceArea], hide_neighbours: bool
) -> Iterator[NDArray[np.float32]]:
    """One crop after the other.

    Where a crop leaves the photograph it shows the mirrored picture, and further out a blur of that.

    Args:
        photo: [H, W, C].
        areas: of all faces that are cropped.
        hide_neighbours: show only a strong blur of the pixels that another face owns.

    Returns:
        [side, side, C] for each area.
    """
    height, width = photo.shape[:2]
    hiding = hide_neighbours and len(areas) > 1
    for number, area in enumerate(areas):
        window = source_window(area.to_crop, area.side, height, width)
        source = photo[window.slices].copy()
        if hiding:
            _hide_others(source, window, photo, areas, number)
        crop = resample(source, shifted(area.to_crop, window), area.side, area.side)
        yield _blurred_outside(crop, area, height, width)


def _hide_others(
    source: NDArray[np.float32],
    window: Window,
    photo: NDArray[np.float32],
    areas: Sequence[FaceArea],
    number: int,
) -> None:
    """Blur all faces but one in a copy of a window of the photograph, in place."""
    owner = owners(areas, window, NEIGHBOUR_RADIUS)
    for other in np.unique(owner[(owner >= 0) & (owner != number)]).tolist():
        area = areas[other]
        shared = area.window.intersection(window)
        here, there = shared.relative_to(window).slices, shared.relative_to(area.window).slices
        theirs = owner[here] == other
        blurred = _blurred(photo[area.window.slices], area.radius)
        source[here][theirs] = blurred[there][theirs]


def _blurred_outside(crop: NDArray[np.float32], area: FaceArea, height: int, width: int) -> NDArray[np.float32]:
    """The crop, blurred where it leaves a photograph of this height and width."""
    import cv2

    to_photo = inverted(area.to_crop)
    steps = np.arange(area.side)
    x, y = (np.add.outer(row[1] * steps + row[2], row[0] * steps) for row in to_photo)
    beyond = np.maximum(np.abs(x - (width - 1) / 2) - width / 2, np.abs(y - (height - 1) / 2) - height / 2)
    if beyond.max() <= 0:
        return crop
    blurred = cv2.GaussianBlur(crop, (0, 0), OUTSIDE_BLUR * area.side, borderType=cv2.BORDER_REFLECT)
    weight = smoothstep((beyond * scale_of(area.to_crop) / (OUTSIDE_RAMP * area.side)).astype(np.float32))
    return crop + weight[..., None] * (blurred.reshape(crop.shape) - crop)


def _blurred(picture: NDArray[np.float32], radius: float) -> NDArray[np.float32]:
    """A face so blurred that nobody is in it; radius of its core in pixels."""
    import cv2

    height, width = picture.shape[:2]
    factor = max(1.0, radius / BLUR_WORKING_RADIUS)
    small = max(1, round(width / factor)), max(1, round(height / factor))
    reduced = cv2.resize(picture, small, interpolation=cv2.INTER_AREA)
    blurred = cv2.GaussianBlur(reduced, (0, 0), HIDING_BLUR * radius / factor, borderType=cv2.BORDER_REFLECT)
    enlarged = cv2.resize(blurred, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(enlarged, np.float32).reshape(picture.shape)
