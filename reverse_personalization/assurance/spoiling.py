"""The same photograph, spoilt: what stands in for a second picture of a person.

A picture is uint8 [H, W, 3]. Every function returns a new one of the same size.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]


def _stored(picture: Picture) -> Picture:
    import cv2

    coded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 35])[1]
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)


def _blurred(picture: Picture) -> Picture:
    import cv2

    return np.asarray(cv2.GaussianBlur(picture, (0, 0), 1.5), np.uint8)


def _darker(picture: Picture) -> Picture:
    return (255 * (picture / 255.0) ** 1.8).round().astype(np.uint8)


def _noisy(picture: Picture) -> Picture:
    noise = np.random.default_rng(0).normal(0, 12, picture.shape)
    return (picture + noise).clip(0, 255).round().astype(np.uint8)


def _shifted(picture: Picture) -> Picture:
    import cv2

    height, width = picture.shape[:2]
    moved = np.array([[1.0, 0.0, 2.0], [0.0, 1.0, 1.0]])
    return np.asarray(cv2.warpAffine(picture, moved, (width, height), borderMode=cv2.BORDER_REFLECT), np.uint8)


SPOILT: dict[str, Callable[[Picture], Picture]] = {
    "jpeg": _stored,
    "blur": _blurred,
    "dark": _darker,
    "noise": _noisy,
    "shift": _shifted,
}
"""JPEG of quality 35; a Gaussian blur of 1.5 pixels; a gamma of 1.8; noise of 12 levels; a shift by 2 and 1 pixels."""
