"""Cuts the crops that InsightFace feeds to its models, in batches and with a real detector's errors."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from miniature.insight import ATTRIBUTE_SIDE

Images = NDArray[np.uint8]
"""[N, H, W, 3] RGB."""

ATTRIBUTE_MARGIN = 1.5
"""Side of the crop for age and sex, relative to the longer side of the face's box."""

TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
"""Landmarks [5, 2] in a crop of RECOGNITION_SIDE, as InsightFace aligns it."""

LANDMARK_ERROR = 0.04
"""Largest standard deviation of a detector's landmarks per direction, relative to the distance between the eyes."""

BOX_ERROR = 0.04
"""Standard deviation of each edge of a detector's box, relative to its longer side."""


def similarity(points: NDArray[Any], target: NDArray[np.float64] = TEMPLATE) -> NDArray[np.float64]:
    """Return least-squares similarities [N, 2, 3] without reflection from points [N, P, 2] to `target`."""
    mean, target_mean = points.mean(1, keepdims=True), target.mean(0)
    here = (points - mean) @ np.array([1, 1j])
    there = (target - target_mean) @ np.array([1, 1j])
    factor = (here.conj() * there).sum(1) / (np.abs(here) ** 2).sum(1)
    turn = np.stack([factor.real, -factor.imag, factor.imag, factor.real], 1).reshape(-1, 2, 2)
    shift = target_mean[:, None] - turn @ mean.transpose(0, 2, 1)
    return np.concatenate([turn, shift], 2)


def centring(boxes: NDArray[Any], side: int = ATTRIBUTE_SIDE) -> NDArray[np.float64]:
    """Return maps [N, 2, 3] that centre boxes [N, 4 (x0, y0, x1, y1)] in crops with ATTRIBUTE_MARGIN."""
    size = (boxes[:, 2:] - boxes[:, :2]).max(1)
    scale = side / (size * ATTRIBUTE_MARGIN)
    centre = (boxes[:, 2:] + boxes[:, :2]) / 2
    maps = np.zeros((len(boxes), 2, 3))
    maps[:, [0, 1], [0, 1]] = scale[:, None]
    maps[:, :, 2] = side / 2 - centre * scale[:, None]
    return maps


def warp(images: Images, maps: NDArray[np.float64], side: int) -> Images:
    """Cut crops [N, side, side, 3] of images [N, H, W, 3] under maps [N, 2, 3], black outside, as InsightFace does."""
    crops = [cv2.warpAffine(image, one, (side, side)) for image, one in zip(images, maps, strict=True)]
    return np.stack(crops).astype(np.uint8, copy=False)


def noisy_landmarks(landmarks: NDArray[Any], rng: np.random.Generator) -> NDArray[np.float64]:
    """Perturb landmarks [N, 5, 2] as a detector might; the standard deviation per picture is up to LANDMARK_ERROR."""
    distance = np.linalg.norm(landmarks[:, 1] - landmarks[:, 0], axis=1)
    error = distance * rng.uniform(0, LANDMARK_ERROR, len(landmarks))
    noisy: NDArray[np.float64] = landmarks + error[:, None, None] * rng.normal(size=landmarks.shape)
    return noisy


def noisy_boxes(boxes: NDArray[Any], rng: np.random.Generator) -> NDArray[np.float64]:
    """Perturb boxes [N, 4] as a detector might."""
    size = (boxes[:, 2:] - boxes[:, :2]).max(1, keepdims=True)
    noisy: NDArray[np.float64] = boxes + BOX_ERROR * size * rng.normal(size=boxes.shape)
    return noisy
