"""Spoils pictures for the detector: light, colour, blur, noise and compression."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
"""[H, W, 3] RGB."""

GREY = 0.12
"""Share of the pictures that turn grey."""


def recoloured(image: Picture, rng: np.random.Generator) -> Picture:
    """Change exposure, contrast and colour balance; sometimes make the picture grey."""
    steps = np.arange(256, dtype=np.float32) / 255
    gains = np.exp(0.25 * rng.normal() + 0.12 * rng.normal(size=3) * (rng.random() < 0.6))
    gamma = np.exp(rng.uniform(-0.45, 0.45))
    contrast = rng.uniform(0.7, 1.25)
    curves = np.clip(((steps[:, None] ** gamma) * gains - 0.5) * contrast + 0.5, 0, 1)
    table = (curves * 255 + 0.5).astype(np.uint8)[None]
    result = np.asarray(cv2.LUT(image, np.ascontiguousarray(table)), np.uint8)
    if rng.random() < GREY:
        grey = cv2.cvtColor(result, cv2.COLOR_RGB2GRAY)
        result = np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), np.uint8)
    return result


def blurred(image: Picture, rng: np.random.Generator, strongest: float) -> Picture:
    """Blur a picture as if out of focus or enlarged, by a radius of at most `strongest` pixels."""
    radius = float(rng.uniform(0.3, max(strongest, 0.4)))
    if rng.random() < 0.5:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), radius), np.uint8)
    height, width = image.shape[:2]
    factor = 1 + radius
    small = cv2.resize(image, (max(int(width / factor), 8), max(int(height / factor), 8)), interpolation=cv2.INTER_AREA)
    way = cv2.INTER_CUBIC if rng.random() < 0.5 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(small, (width, height), interpolation=way), np.uint8)


def noisy(image: Picture, rng: np.random.Generator) -> Picture:
    """Add a sensor's grain, or a generator's blotches a few pixels wide."""
    height, width = image.shape[:2]
    grain = int(rng.choice([1, 1, 2, 4]))
    strength = rng.uniform(1.5, 14.0)
    shape = (-(-height // grain), -(-width // grain), 3)
    noise = rng.standard_normal(shape, np.float32) * np.float32(strength)
    if grain > 1:
        noise = np.asarray(cv2.resize(noise, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
    return np.asarray(np.clip(image + noise, 0, 255), np.uint8)


def compressed(image: Picture, rng: np.random.Generator) -> Picture:
    """Compress a picture as JPEG."""
    stored = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(20, 92))])[1]
    return np.asarray(cv2.imdecode(stored, cv2.IMREAD_COLOR), np.uint8)


def spoiled(image: Picture, rng: np.random.Generator, *, strongest_blur: float = 1.2) -> Picture:
    """Apply a little of everything, or leave the picture alone."""
    if rng.random() < 0.8:
        image = recoloured(image, rng)
    if rng.random() < 0.3:
        image = blurred(image, rng, strongest_blur)
    if rng.random() < 0.3:
        image = noisy(image, rng)
    if rng.random() < 0.25:
        image = compressed(image, rng)
    return image
