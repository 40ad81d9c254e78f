"""Computes scores from embeddings and pictures.

An embedding is a row of unit length. A row of NaN stands for a picture without a face, which counts only in the share
of pictures that cannot be measured. A mean over nothing is None.
"""

from __future__ import annotations

import itertools
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

DILATION = 3
"""Width in pixels of the rim around a face's mask that is not background: the VAE mixes pixels so near."""

CLIPPED = 2
"""Levels within which of 0 or 255 a channel counts as clipped."""

HIGHEST_PSNR = 100.0
"""The value for equal pictures, because JSON has no infinity."""


def mean(values: NDArray[Any]) -> float | None:
    """Mean of the values that are not NaN; None if there are none."""
    kept = values[~np.isnan(values)] if values.dtype.kind == "f" else values
    return float(kept.mean()) if kept.size else None


def similarities(one: Floats, other: Floats) -> Floats:
    """Cosines [N] of equal rows of both; NaN where a face is missing."""
    cosines: Floats = (one * other).sum(1)
    return cosines


def impostor_scores(probes: Floats, gallery: Floats) -> Floats:
    """Cosines of all pairs of different people. Row i of both is person i."""
    cosines = probes @ gallery.T
    pairs: Floats = cosines[~np.eye(len(cosines), dtype=bool)]
    return pairs[~np.isnan(pairs)]


def threshold_at(impostors: Floats, rate: float) -> float:
    """The lowest threshold that at most `rate` of the impostors reach.

    Args:
        impostors: scores of pairs of different people, at least one.
        rate: in [0, 1).

    Returns:
        The smallest number above all impostors except the allowed ones. A pair matches at or above it.

    Raises:
        ValueError: there are no impostors.
    """
    if not len(impostors):
        raise ValueError("no pair of different people could be measured: there are not two pictures with a face")
    ordered = np.sort(impostors.astype(np.float64))[::-1]
    return float(np.nextafter(ordered[int(rate * len(ordered))], np.inf))


def match_rate(scores: Floats, threshold: float) -> float | None:
    """Share of the scores at or above the threshold, without missing ones."""
    return mean((scores[~np.isnan(scores)] >= threshold).astype(np.float64))


def rank_one(probes: Floats, gallery: Floats) -> float | None:
    """Share of the probes whose nearest in the gallery is the same person. Row i of both is person i."""
    cosines = np.where(np.isnan(gallery).any(1), -np.inf, probes @ np.nan_to_num(gallery).T)
    seen = ~np.isnan(probes).any(1) & ~np.isnan(gallery).any(1)
    return mean((cosines[seen].argmax(1) == np.flatnonzero(seen)).astype(np.float64)) if seen.any() else None


def missing(embeddings: Floats) -> float:
    """Share of the pictures without a face."""
    return float(np.isnan(embeddings).any(1).mean())


def recognition(probes: Floats, originals: Floats, gallery: Floats, threshold: float) -> dict[str, float | None]:
    """How recognisable the people still are in the results. Row i of all is person i.

    Returns:
        `similarity` (mean cosine with the original), `reid` (share that matches the original), `reid_gallery` (share
        that matches another picture of the person), `rank1` (share whose person is the nearest in the gallery).
    """
    cosines = similarities(probes, originals)
    return {
        "similarity": mean(cosines),
        "reid": match_rate(cosines, threshold),
        "reid_gallery": match_rate(similarities(probes, gallery), threshold),
        "rank1": rank_one(probes, gallery),
    }


def grey(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The brightness (Rec. 601) of RGB pictures [..., 3] in all three channels."""
    luma = pictures @ np.array([0.299, 0.587, 0.114])
    return np.repeat((luma + 0.5).astype(np.uint8)[..., None], 3, axis=-1)


def dilated(masks: NDArray[np.bool_], pixels: int) -> NDArray[np.bool_]:
    """Masks [N, H, W], enlarged by some pixels on all sides."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * pixels + 1, 2 * pixels + 1))
    return np.stack([cv2.dilate(mask.astype(np.uint8), kernel) > 0 for mask in masks])


def outside_change(before: NDArray[np.uint8], after: NDArray[np.uint8], masks: NDArray[np.bool_]) -> float | None:
    """Mean absolute difference of pictures [N, H, W, 3] outside masks [N, H, W], in levels of 255."""
    difference = np.abs(after.astype(np.float64) - before).mean(-1)
    outside = ~masks
    counts = outside.sum((1, 2))
    sums = (difference * outside).sum((1, 2))
    return mean(sums[counts > 0] / counts[counts > 0])


def colourfulness(pictures: NDArray[np.uint8], masks: NDArray[np.bool_]) -> dict[str, float]:
    """Measure whether colours look natural inside masks [N, H, W], which are not all empty.

    Returns:
        `saturation`: mean of (max - min) / max over the channels, in [0, 1]; `clipped`: share of pixels with a channel
        at either end.
    """
    inside = pictures[masks].astype(np.float64)
    high, low = inside.max(-1), inside.min(-1)
    return {
        "saturation": float(((high - low) / np.maximum(high, 1)).mean()),
        "clipped": float(((high >= 255 - CLIPPED) | (low <= CLIPPED)).mean()),
    }


def psnr(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Mean over pictures [N, H, W, 3] of their peak signal-to-noise ratio in dB."""
    squared = np.square(one.astype(np.float64) - other).mean((1, 2, 3))
    ratios = 10 * np.log10(255**2 / np.maximum(squared, 255**2 / 10 ** (HIGHEST_PSNR / 10)))
    return float(ratios.mean())


def falling(values: list[float | None]) -> bool:
    """Whether each value is smaller than the one before."""
    known = [value for value in values if value is not None]
    return len(known) == len(values) and all(later < earlier for earlier, later in itertools.pairwise(known))
