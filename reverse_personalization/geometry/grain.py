"""Give a pasted face the grain and the sharpness of its surroundings.

A generated face is as smooth as an autoencoder leaves it and as sharp as its crop. In a grainy or a soft photograph
that betrays it. Both are measured in the photograph outside the masks, and in what is pasted; the original face has no
part.

Surroundings also have texture of their own, which a face must not take over. Grain is everywhere and the same, so it is
never more than in the smoothest direction from the face, and only if it is even there. Softness that the camera or an
enlargement made is everywhere too, so the sharpest direction counts. Where content and surroundings nearly agree, the
content stays as it is, bit for bit.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DIRECTIONS = 6
"""Sectors around a face that are measured apart."""

LEAST_DIRECTIONS = 3
"""Sectors that must be measurable; below it nothing is known about the surroundings."""

LEAST_PIXELS = 40
"""Pixels without which a sector is not measured."""

LEAST_EDGES = 12
"""Pixels at edges without which a sector's sharpness is not measured."""

QUIET = 0.25
"""Part of a sector's pixels, the smoothest, in which grain is measured."""

QUIET_IN_FACES = 0.1
"""The same part of what is pasted: a face has features nearly everywhere."""

UNEVEN = 3.0
"""How many times its lower quartile a sector's upper quartile of energy may be; above it, there is texture."""

LEAST_GRAIN = 0.5 / 255
"""Standard deviation of brightness below which grain is not seen."""

LEAST_SOFTNESS = 1.2
"""Width of the surroundings' sharpest edges, in pixels, up to which a photograph is sharp, its background blurred."""

WIDEST_EDGE = 4.0
"""Width, in pixels, from which it is shading, and says nothing about sharpness."""

ALIKE = 1.5
"""Ratio of surroundings to content, of grain or of an edge's width, up to which they agree."""

UNLIKE = 2.0
"""Ratio from which the content is adapted fully; in between, gradually."""

DARKEST, BRIGHTEST = 0.03, 0.97
"""Brightness outside which a picture may be clipped, and its grain with it."""

EDGE_CONTRAST = 4 / 255
"""Least slope of an edge, in brightness per pixel."""

EDGES = 0.2
"""Part of a sector's pixels, the steepest, that are taken for edges; and of the edges, the sharpest, that count."""

FINE = 1.0, 3
"""Standard deviation and radius, in pixels, of the Gaussian that parts grain and picture."""

REACH = 5
"""How far the measurements read around a pixel, pixels: that radius and half a 5 x 5 average."""

SIZES = np.linspace(0, 1.5, 16)
"""Standard deviations, in pixels, of the Gaussians that make white noise into grain."""

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in brightness (ITU-R BT.601)."""


@dataclass(frozen=True, eq=False)
class Grain:
    """The grain of one region: the picture less its blur.

    Attributes:
        deviation: standard deviation of its brightness.
        covariance: float64 [C, C], of its colours.
        likeness: correlation of its brightness in pixels side by side.
        even: whether it is the same all over the region.
    """

    deviation: float
    covariance: NDArray[np.float64]
    likeness: float
    even: bool


def match_surroundings(
    content: NDArray[np.float32],
    inside: NDArray[np.bool_],
    photo: NDArray[np.float32],
    outside: NDArray[np.bool_],
    angle: NDArray[np.float32],
    seed: int,
) -> NDArray[np.float32]:
    """Soften a face that is sharper than its surroundings, and add grain if it has less.

    Args:
        content: float32 [h, w, C] in [0, 1], what is pasted; C is 1 or 3.
        inside: [h, w], the pixels that show nothing but content.
        photo: float32 [H, W, C], a window of the photograph around the face.
        outside: [H, W], the window's pixels that may be looked at.
        angle: [H, W] in [-pi, pi], their direction from the face.
        seed: of the grain.

    Returns:
        float32 [h, w, C]; the content itself if nothing is to be done.
    """
    import cv2

    # Zero before anything is computed: not even a rounding error may depend on the original.
    seen = _Measured.of(np.where(outside[..., None], photo, np.float32(0)))
    inner = _inner(outside)
    sector = np.floor((angle / np.pi + 1) / 2 * DIRECTIONS).astype(np.int32) % DIRECTIONS
    sectors = [inner & (sector == number) for number in range(DIRECTIONS)]
    core, shown = _inner(inside), _Measured.of(content)
    edges = [width for width in (_edge_width(seen, part) for part in sectors) if width is not None]
    own = _edge_width(shown, core)
    if own is not None and len(edges) >= LEAST_DIRECTIONS and min(edges) > max(LEAST_SOFTNESS, ALIKE * own):
        variance = (min(edges) ** 2 - own**2) * _unlikeness(min(edges) / own)
        soft = cv2.GaussianBlur(content, (0, 0), variance**0.5, borderType=cv2.BORDER_REFLECT)
        content = np.asarray(soft, np.float32).reshape(content.shape)
        shown = _Measured.of(content)
    grains = [grain for grain in (_grain(seen, part, QUIET) for part in sectors) if grain is not None]
    present = _grain(shown, core, QUIET_IN_FACES)
    if present is None or len(grains) < LEAST_DIRECTIONS:
        return content
    wanted = min(grains, key=lambda grain: grain.deviation)
    if not wanted.even or wanted.deviation <= max(LEAST_GRAIN, ALIKE * present.deviation):
        return content
    missing = (wanted.covariance - present.covariance) * _unlikeness(wanted.deviation / present.deviation)
    height, width = content.shape[:2]
    return content + _made(missing, wanted.likeness, height, width, seed)


def _unlikeness(ratio: float) -> float:
    """0 up to `ALIKE`, 1 from `UNLIKE` on."""
    return float(np.clip((ratio - ALIKE) / (UNLIKE - ALIKE), 0, 1))


def _inner(region: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A region's pixels around which `REACH` pixels belong to it too; beyond the picture is no obstacle."""
    import cv2

    square = np.ones((2 * REACH + 1, 2 * REACH + 1), np.uint8)
    return cv2.erode(region.astype(np.uint8), square, borderType=cv2.BORDER_REFLECT) > 0


def _smooth(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    import cv2

    sigma, radius = FINE
    size = 2 * radius + 1
    smooth = cv2.GaussianBlur(picture, (size, size), sigma, borderType=cv2.BORDER_REFLECT)
    return np.asarray(smooth, np.float32).reshape(picture.shape)


def _brightness(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    weights = LUMA if picture.shape[2] == len(LUMA) else (1.0,)
    return picture @ np.array(weights, np.float32)


@dataclass(frozen=True, eq=False)
class _Measured:
    """What is measured in every pixel of a picture, whichever region is asked about. All but `fine` are [H, W].

    Attributes:
        level: brightness of the picture's blur.
        fine: [H, W, C], the picture less its blur.
        brightness: of `fine`.
        energy: of `brightness`.
        slope: of the picture's brightness, per pixel.
        blurred_slope: the same of its blur.
    """

    level: NDArray[np.float32]
    fine: NDArray[np.float32]
    brightness: NDArray[np.float32]
    energy: NDArray[np.float32]
    slope: NDArray[np.float32]
    blurred_slope: NDArray[np.float32]

    @classmethod
    def of(cls, picture: NDArray[np.float32]) -> _Measured:
        """Measure a picture, float32 [H, W, C] in [0, 1]."""
        smooth = _smooth(picture)
        fine = picture - smooth
        brightness, whole = _brightness(fine), _brightness(picture)
        blurred = _smooth(whole[..., None])[..., 0]
        return cls(_brightness(smooth), fine, brightness, _energy(brightness), _slope(whole), _slope(blurred))


def _slope(brightness: NDArray[np.float32]) -> NDArray[np.float32]:
    import cv2

    along = (cv2.Sobel(brightness, cv2.CV_32F, *axis, ksize=3, scale=1 / 8) for axis in ((1, 0), (0, 1)))
    return np.hypot(*along)


def _grain(picture: _Measured, region: NDArray[np.bool_], quiet: float) -> Grain | None:
    """The grain of a region, measured in the smoothest part of it; None if the region is too small."""
    region = region & (picture.level > DARKEST) & (picture.level < BRIGHTEST)
    if np.count_nonzero(region) < LEAST_PIXELS:
        return None
    brightness, energy = picture.brightness, picture.energy
    limit, lower, upper = np.quantile(energy[region], (quiet, 0.25, 0.75))
    calm = region & (energy <= limit)
    # Something is divided by it; a region that is drawn may have no grain at all.
    deviation = max(float(limit / _quiet_share(quiet)) ** 0.5, 1e-6)
    of_calm = brightness[calm].astype(np.float64)
    variance = max(float((of_calm**2).mean()), 1e-12)
    values = picture.fine[calm].astype(np.float64)
    covariance = values.T @ values / len(values)
    # The smoothest part was chosen by brightness, so only what goes along with brightness is too small.
    along = values.T @ of_calm / len(values) / variance
    covariance += (deviation**2 - variance) * np.outer(along, along)
    rows, columns = np.nonzero(calm)
    # The first row and column have the last ones beside them.
    beside = (brightness[rows - 1, columns] + brightness[rows, columns - 1]) / 2
    return Grain(deviation, covariance, float((of_calm * beside).mean() / variance), bool(upper <= UNEVEN * lower))


def _energy(brightness: NDArray[np.float32]) -> NDArray[np.float32]:
    import cv2

    # OpenCV's running sums leave a little less than 0 where there is nothing.
    energy = cv2.blur(brightness**2, (5, 5), borderType=cv2.BORDER_REFLECT)
    return np.maximum(np.asarray(energy, np.float32), 0)


@functools.cache
def _quiet_share(quiet: float) -> float:
    """The largest energy in the smoothest part of even grain, as a part of the mean."""
    noise = np.random.default_rng(0).standard_normal((256, 256, 1), np.float32)
    energy = _energy((noise - _smooth(noise))[..., 0])
    return float(np.quantile(energy, quiet) / energy.mean())


def _edge_width(picture: _Measured, region: NDArray[np.bool_]) -> float | None:
    """Standard deviation, in pixels, of the blur of a region's sharpest edges; None if there are too few.

    An edge of that width loses slope when it is blurred once more, the more the sharper it was (Zhuo and Sim, "Defocus
    Map Estimation from a Single Image", 2011).
    """
    if np.count_nonzero(region) < LEAST_PIXELS:
        return None
    slope = picture.slope[region]
    steep = slope >= max(EDGE_CONTRAST, float(np.quantile(slope, 1 - EDGES)))
    if not steep.any():
        return None
    loss = np.maximum(slope[steep] / np.maximum(picture.blurred_slope[region][steep], 1e-6), 1 + 1e-4)
    widths = FINE[0] / np.sqrt(loss**2 - 1)
    widths = widths[widths < WIDEST_EDGE]
    return float(np.quantile(widths, EDGES)) if len(widths) >= LEAST_EDGES else None


def _made(covariance: NDArray[np.float64], likeness: float, height: int, width: int, seed: int) -> NDArray[np.float32]:
    """Grain [height, width, C] that is measured, as far as possible, with this covariance and likeness."""
    likenesses, variances = _measured_sizes()
    size = float(np.interp(likeness, likenesses, SIZES))
    values, axes = np.linalg.eigh(covariance / np.interp(size, SIZES, variances))
    root = (axes * np.sqrt(np.maximum(values, 0))) @ axes.T
    noise = np.random.default_rng(seed).standard_normal((height, width, len(values)), np.float32)
    return _blurred(noise, size) @ root.astype(np.float32)


def _blurred(noise: NDArray[np.float32], size: float) -> NDArray[np.float32]:
    import cv2

    if size == 0:
        return noise
    blurred = cv2.GaussianBlur(noise, (0, 0), size, borderType=cv2.BORDER_REFLECT)
    return np.asarray(blurred, np.float32).reshape(noise.shape)


@functools.cache
def _measured_sizes() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Likeness and variance that `_grain` measures of white noise of variance 1 blurred to each of the sizes."""
    impulse = np.zeros((41, 41, 1), np.float32)
    impulse[20, 20] = 1
    responses = [blurred - _smooth(blurred) for blurred in (_blurred(impulse, size) for size in SIZES.tolist())]
    variances = np.array([(one**2).sum() for one in responses], np.float64)
    beside = np.array([(one * np.roll(one, 1, axis=0)).sum() for one in responses], np.float64)
    return beside / variances, variances
