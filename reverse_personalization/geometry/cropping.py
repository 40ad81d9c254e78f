"""The aligned crops of a photograph's faces, each with its neighbours hidden."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from .alignment import Window, scale_of, shifted
from .face_area import NEIGHBOUR_RADIUS, FaceArea, owners
from .projection import project
from .resampling import resample, smoothstep, source_window

EMPTY_LEVEL = 0.5
"""Level in [0, 1] of the grey crop that stands in where there is no face."""

OUTSIDE_BLUR = 0.02
"""Standard deviation of the blur outside the photograph, as a fraction of the crop's side, as FFHQ was made."""

OUTSIDE_RAMP = 0.1
"""Fraction of the crop's side, measured from the photograph's edge, over which that blur sets in."""

HIDING_BLUR = 0.4
"""Standard deviation of the blur that hides a face, in radii of its core: fewer than three blobs remain across it."""

BLUR_WORKING_RADIUS = 24
"""Radius in pixels to which a core is reduced before that strong blur is computed."""


def take_crops(
    photo: NDArray[np.float32], areas: Sequence[FaceArea], hide_neighbours: bool
) -> Iterator[NDArray[np.float32]]:
    """Crop a photograph's faces, one after another.

    Beyond the photograph's edge a crop shows the picture mirrored, and further out blurred as well.

    Args:
        photo: float32 [H, W, C].
        areas: of all faces to crop.
        hide_neighbours: whether to blur the pixels that belong to another face beyond recognition.

    Yields:
        float32 [side, side, C] for each area, in order.
    """
    height, width = photo.shape[:2]
    hiding = hide_neighbours and len(areas) > 1
    for number, area in enumerate(areas):
        window = source_window(area.to_crop, area.side, height, width)
        source = photo[window.slices].copy()
        if hiding:
            _hide_others(source, window, photo, areas, number)
        crop = _resampled(source, shifted(area.to_crop, window), area.side)
        yield _blurred_outside(crop, area, height, width)


def _hide_others(
    source: NDArray[np.float32],
    window: Window,
    photo: NDArray[np.float32],
    areas: Sequence[FaceArea],
    number: int,
) -> None:
    """Blur all faces but one, in place, in a copy of a window of the photograph."""
    owner = owners(areas, window, NEIGHBOUR_RADIUS)
    for other in np.unique(owner[(owner >= 0) & (owner != number)]).tolist():
        area = areas[other]
        shared = area.window.intersection(window)
        here, there = shared.relative_to(window).slices, shared.relative_to(area.window).slices
        theirs = owner[here] == other
        blurred = _blurred(photo[area.window.slices], area.radius)
        source[here][theirs] = blurred[there][theirs]


def _resampled(source: NDArray[np.float32], to_crop: NDArray[np.float64], side: int) -> NDArray[np.float32]:
    """The crop of a window: enlarged by interpolation, or shrunk to what enlarging brings nearest to the window."""
    scale = scale_of(to_crop)
    if scale >= 1:
        return resample(source, to_crop, side, side)
    lowest, highest = source.min(), source.max()
    factor = int(1 / scale / 3)
    if factor > 1:
        # So much averaging costs the crop little that it could show, and saves projecting from the whole window.
        source, to_crop = _reduced(source, to_crop, factor)
    return np.clip(project(source, to_crop, side, side), lowest, highest)


def _reduced(
    source: NDArray[np.float32], transform: NDArray[np.float64], factor: int
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """The source averaged over about `factor` pixels in both directions, and the transform of the result."""
    import cv2

    height, width = source.shape[:2]
    small = max(1, round(width / factor)), max(1, round(height / factor))
    ratio = np.array([width / small[0], height / small[1]])
    shrunk = np.asarray(cv2.resize(source, small, interpolation=cv2.INTER_AREA), np.float32)
    linear = transform[:, :2] * ratio
    offset = transform[:, 2] + transform[:, :2] @ ((ratio - 1) / 2)
    return shrunk.reshape(*shrunk.shape[:2], -1), np.concatenate([linear, offset[:, None]], axis=1)


def _blurred_outside(crop: NDArray[np.float32], area: FaceArea, height: int, width: int) -> NDArray[np.float32]:
    """The crop, blurred where it extends beyond a photograph of this height and width."""
    import cv2

    beyond = area.beyond(Window(0, 0, width, height), Window(0, 0, area.side, area.side))
    if beyond.max() <= 0:
        return crop
    blurred = cv2.GaussianBlur(crop, (0, 0), OUTSIDE_BLUR * area.side, borderType=cv2.BORDER_REFLECT)
    weight = smoothstep(beyond * scale_of(area.to_crop) / (OUTSIDE_RAMP * area.side))
    return crop + weight[..., None] * (blurred.reshape(crop.shape) - crop)


def _blurred(picture: NDArray[np.float32], radius: float) -> NDArray[np.float32]:
    """A picture of a face blurred beyond recognition; `radius` is that of its core in pixels."""
    import cv2

    height, width = picture.shape[:2]
    factor = max(1.0, radius / BLUR_WORKING_RADIUS)
    small = max(1, round(width / factor)), max(1, round(height / factor))
    reduced = cv2.resize(picture, small, interpolation=cv2.INTER_AREA)
    blurred = cv2.GaussianBlur(reduced, (0, 0), HIDING_BLUR * radius / factor, borderType=cv2.BORDER_REFLECT)
    enlarged = cv2.resize(blurred, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(enlarged, np.float32).reshape(picture.shape)
