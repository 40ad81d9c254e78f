"""Computes scores from embeddings and pictures.

An embedding is a row of unit length. A row of NaN stands for a picture without a face, which counts only in the share
of unmeasurable pictures. A mean over nothing is None.
"""

from __future__ import annotations

import itertools
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

DILATION = 3
"""Width in pixels of the rim around a face's mask that does not count as background, because the VAE blurs it."""

CLIPPED = 2
"""Distance in levels from 0 or 255 within which a channel counts as clipped."""

HIGHEST_PSNR = 100.0
"""PSNR in dB of equal pictures, because JSON has no infinity."""


def mean(values: NDArray[Any]) -> float | None:
    """Return the mean of the values that are not NaN, or None if there are none."""
    kept = values[~np.isnan(values)] if values.dtype.kind == "f" else values
    return float(kept.mean()) if kept.size else None


def similarities(one: Floats, other: Floats) -> Floats:
    """Return cosines [N] between corresponding rows, NaN where a face is missing."""
    cosines: Floats = (one * other).sum(1)
    return cosines


def impostor_scores(probes: Floats, gallery: Floats) -> Floats:
    """Return cosines of all pairs of different people; row i of both is person i."""
    cosines = probes @ gallery.T
    pairs: Floats = cosines[~np.eye(len(cosines), dtype=bool)]
    return pairs[~np.isnan(pairs)]


def match_rate(scores: Floats, threshold: float) -> float | None:
    """Return the share of scores at or above the threshold, leaving out missing ones."""
    return mean((scores[~np.isnan(scores)] >= threshold).astype(np.float64))


def rank_one(probes: Floats, gallery: Floats) -> float | None:
    """Return the share of probes whose nearest gallery row is the same person; row i of both is person i."""
    cosines = np.where(np.isnan(gallery).any(1), -np.inf, probes @ np.nan_to_num(gallery).T)
    seen = ~np.isnan(probes).any(1) & ~np.isnan(gallery).any(1)
    return mean((cosines[seen].argmax(1) == np.flatnonzero(seen)).astype(np.float64)) if seen.any() else None


def missing(embeddings: Floats) -> float:
    """Return the share of pictures without a face."""
    return float(np.isnan(embeddings).any(1).mean())


def recognition(probes: Floats, originals: Floats, gallery: Floats, threshold: float) -> dict[str, float | None]:
    """Measure how recognisable people still are in the results; row i of all arrays is person i.

    Returns:
        `similarity` (mean cosine with the original), `reid` (share that matches the original), `reid_gallery` (share
        that matches another picture of the person), `rank1` (share whose nearest gallery row is the same person).
    """
    cosines = similarities(probes, originals)
    return {
        "similarity": mean(cosines),
        "reid": match_rate(cosines, threshold),
        "reid_gallery": match_rate(similarities(probes, gallery), threshold),
        "rank1": rank_one(probes, gallery),
    }


def grey(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return RGB pictures [..., 3] with their brightness (Rec. 601) in all three channels."""
    luma = pictures @ np.array([0.299, 0.587, 0.114])
    return np.repeat((luma + 0.5).astype(np.uint8)[..., None], 3, axis=-1)


def dilated(masks: NDArray[np.bool_], pixels: int) -> NDArray[np.bool_]:
    """Enlarge masks [N, H, W] by some pixels on all sides."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * pixels + 1, 2 * pixels + 1))
    return np.stack([cv2.dilate(mask.astype(np.uint8), kernel) > 0 for mask in masks])


def outside_change(before: NDArray[np.uint8], after: NDArray[np.uint8], masks: NDArray[np.bool_]) -> float | None:
    """Return the mean absolute difference of pictures [N, H, W, 3] outside masks [N, H, W], in levels of 255."""
    difference = np.abs(after.astype(np.float64) - before).mean(-1)
    outside = ~masks
    counts = outside.sum((1, 2))
    sums = (difference * outside).sum((1, 2))
    return mean(sums[counts > 0] / counts[counts > 0])


def colourfulness(pictures: NDArray[np.uint8], masks: NDArray[np.bool_]) -> dict[str, float]:
    """Measure how natural colours look inside masks [N, H, W], at least one of which is not empty.

    Returns:
        `saturation`: mean of (max - min) / max over the channels, in [0, 1]; `clipped`: share of pixels with a clipped
        channel.
    """
    inside = pictures[masks].astype(np.float64)
    high, low = inside.max(-1), inside.min(-1)
    return {
        "saturation": float(((high - low) / np.maximum(high, 1)).mean()),
        "clipped": float(((high >= 255 - CLIPPED) | (low <= CLIPPED)).mean()),
    }


def psnr(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Return the mean peak signal-to-noise ratio in dB over pictures [N, H, W, 3]."""
    squared = np.square(one.astype(np.float64) - other).mean((1, 2, 3))
    ratios = 10 * np.log10(255**2 / np.maximum(squared, 255**2 / 10 ** (HIGHEST_PSNR / 10)))
    return float(ratios.mean())


def falling(values: list[float | None]) -> bool:
    """Whether each value is smaller than the one before."""
    known = [value for value in values if value is not None]
    return len(known) == len(values) and all(later < earlier for earlier, later in itertools.pairwise(known))
