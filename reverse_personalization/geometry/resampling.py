"""Resample pictures through similarity transforms, enlarging or reducing them with subpixel accuracy.

Pictures are float32 [H, W, C]; transforms are float64 [2, 3] between pixel centres (see `alignment`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .alignment import Window, footprint, scale_of

ANTIALIAS_SIGMA = 0.5
"""Standard deviation, in target pixels, of the Gaussian that averages a source before it shrinks.

It passes 6 % at three quarters of the sampling rate and 0.7 % at the sampling rate: no moire, little softness.
"""

KERNEL_RADIUS = 4.0
"""How far `resample` reads around a pixel: this many pixels of the source or the target, whichever are larger."""


def smoothstep(x: NDArray[Any]) -> NDArray[np.float32]:
    """Rise smoothly from exactly 0, up to x = 0, to exactly 1, from x = 1 on, with horizontal tangents at both ends."""
    t: NDArray[np.float32] = np.clip(x, 0, 1).astype(np.float32, copy=False)
    return t * t * (3 - 2 * t)


def resample(
    source: NDArray[np.float32], transform: NDArray[np.float64], height: int, width: int
) -> NDArray[np.float32]:
    """Resample a picture through a transform, smoothly: what shrinks becomes a little soft (`project` keeps it sharp).

    Lanczos' kernel interpolates; if the target has fewer pixels, the source is averaged first. Beyond its edges the
    source is mirrored.

    Args:
        source: float32 [h, w, C].
        transform: from pixels of the source to pixels of the target.
        height: of the target, pixels.
        width: of the target, pixels.

    Returns:
        float32 [height, width, C], within the range of the source's values.
    """
    target = averaged(source, transform, height, width)
    return np.clip(target, source.min(), source.max(), out=target)


def averaged(
    source: NDArray[np.float32], transform: NDArray[np.float64], height: int, width: int
) -> NDArray[np.float32]:
    """What `resample` computes before it limits the values: linear in the source."""
    import cv2

    spread = averaging_variance(scale_of(transform))
    # The Gaussian alone would suffice, but its cost grows with the factor.
    while scale_of(transform) <= 0.25 and min(source.shape[:2]) > 1:
        spread -= scale_of(transform) ** 2
        source, transform = _halved(source, transform)
    if spread > 0:
        blur = spread**0.5 / scale_of(transform)
        source = np.asarray(cv2.GaussianBlur(source, (0, 0), blur, borderType=cv2.BORDER_REFLECT), np.float32)
    target = cv2.warpAffine(source, transform, (width, height), flags=cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(target, np.float32).reshape(height, width, -1)


def averaging_variance(scale: float) -> float:
    """Variance, in squared target pixels, of the Gaussian that averages at this scale; 0 where nothing shrinks."""
    return ANTIALIAS_SIGMA**2 * max(0.0, 1 - scale**2)


def _halved(
    source: NDArray[np.float32], transform: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """The source with half as many pixels both ways, averaged with the binomial of variance 1, and its transform.

    A plain average over two by two pixels would fold fine stripes into coarse ones.
    """
    import cv2

    half = np.asarray(cv2.pyrDown(source, borderType=cv2.BORDER_REFLECT), np.float32)
    return half.reshape(*half.shape[:2], -1), np.concatenate([2 * transform[:, :2], transform[:, 2:]], axis=1)


def source_window(to_crop: NDArray[np.float64], side: int, height: int, width: int) -> Window:
    """The pixels of the photograph that a crop is computed from, including those it mirrors; never empty."""
    reach = int(np.ceil(KERNEL_RADIUS * max(1.0, 1 / scale_of(to_crop)))) + 1
    x0, y0, x1, y1 = footprint(to_crop, side)
    left, right = _mirrored_range(x0 - reach, x1 + reach, width)
    top, bottom = _mirrored_range(y0 - reach, y1 + reach, height)
    return Window(left, top, right, bottom)


def _mirrored_range(start: int, stop: int, size: int) -> tuple[int, int]:
    """The part of 0..size that start..stop reads when the picture is mirrored beyond both ends."""
    low, high = start, stop
    if start < 0:
        high = max(high, -start)
    if stop > size:
        low = min(low, 2 * size - stop)
    return max(low, 0), min(high, size)
