"""Shrink a picture so that enlarging it again gives back all that the fewer pixels can hold.

`resample` enlarges by interpolation, E. Shrinking by averaging alone, S, does not undo it: S E is a mild blur, and a
face that is cropped and pasted back loses half of its detail. `project` looks for the small picture p whose enlargement
agrees with the source c under the same averaging, S E p = S c. It is a projection (Unser and Aldroubi, "A General
Sampling Theory for Nonideal Acquisition Devices", 1994): a source that is an enlargement comes back as what it was,
and anything finer is averaged as S averages it, so there is no moire. S E is the averaging Gaussian, nearly, which the
cosine transform inverts; a few steps of p += G^-1 S (c - E p) remove what is left. Their number limits how much is
amplified where E has lost something, at scales near 1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .alignment import inverted, scale_of
from .resampling import averaged, averaging_variance, resample

STEPS = 2
"""Corrections where the source has at least `EASY_SCALE` as many pixels a side: white noise comes back within 2 %."""

STEPS_NEAR_ONE = 6
"""Corrections at scales nearer to 1; they amplify by at most 1.7, and that only near the finest detail."""

EASY_SCALE = 1.5
"""Source pixels per target pixel from which all detail of the target is well inside what the source can show."""

LEAST_SHOWN = 0.05
"""Where less than this part of a target pixel's surroundings is shown, the target is the source's mean."""


def project(
    source: NDArray[np.float32],
    transform: NDArray[np.float64],
    height: int,
    width: int,
    shown: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Shrink a picture to the one whose enlargement with `resample` is nearest to it.

    Args:
        source: float32 [h, w, C].
        transform: from pixels of the source to pixels of the target; its scale is at most 1.
        height: of the target, pixels.
        width: of the target, pixels.
        shown: [h, w], 1 for the source's pixels that the target is to agree with, 0 for those without a part in it;
            None takes all.

    Returns:
        float32 [height, width, C]; at edges it may leave the range of the source's values.
    """
    scale, back = scale_of(transform), inverted(transform)
    rows, columns = source.shape[:2]
    sharpening = _sharpening(averaging_variance(scale), height, width)
    weight = part = np.ones((1, 1, 1), np.float32)
    if shown is not None and not shown.all():
        if not shown.any():
            return resample(source, transform, height, width)
        weight = shown[..., None]
        part = averaged(weight, transform, height, width)
        part[part < LEAST_SHOWN] = np.inf
    # Counted from here, an even picture is 0 and stays exactly even.
    level = ((source * weight).mean(axis=(0, 1), dtype=np.float64) / np.mean(weight)).astype(np.float32)
    target = np.full((height, width, len(level)), level)
    missing = (source - level) * weight
    for step in range(1 + (STEPS if 1 / scale >= EASY_SCALE else STEPS_NEAR_ONE)):
        if step:
            missing = (source - resample(target, back, rows, columns)) * weight
        target += _filtered(averaged(missing, transform, height, width) / part, sharpening)
    return target


def _sharpening(variance: float, height: int, width: int) -> NDArray[np.float32]:
    """The inverse of a Gaussian of this variance at the frequencies of the cosine transform, [height, width, 1]."""
    down, across = (np.exp(variance / 2 * (np.pi * np.arange(size) / size) ** 2) for size in (height, width))
    return np.multiply.outer(down, across)[..., None].astype(np.float32)


def _filtered(picture: NDArray[np.float32], gains: NDArray[np.float32]) -> NDArray[np.float32]:
    """A picture, mirrored beyond its edges, with each of its frequencies multiplied by its gain."""
    from scipy import fft

    result: NDArray[np.float32] = fft.idctn(fft.dctn(picture, axes=(0, 1)) * gains, axes=(0, 1))
    return result
