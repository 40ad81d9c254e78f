"""What somebody may do to a picture to undo changes that fool a recogniser but hardly change the face.

An anonymised face that is somebody else's stays somebody else's, whatever is done to the picture. A face that is still
the person's, under a pattern that a recogniser cannot see through, is known again when the pattern is gone. So each
picture is purified, in several ways, and the recogniser looks again:

    noise    the picture is encoded, noise is added, y = x_0 + S n, and one denoising step takes it away again: what
             comes back is the denoised prediction m(y, S) under the null identity, at two levels S
    JPEG     the picture is stored with few bits
    blur     a Gaussian

How similar a face is after the best of them, for whoever does this, is `largest`.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping

import cv2
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from .people import Pictures
from .scores import Floats

NOISE_LEVELS = {"noise_low": 0.3, "noise_high": 0.57}
"""S of the noise by the purification's name."""

JPEG_QUALITY = 60
"""As Pillow takes it, from 0 to 100."""

BLUR_SIGMA = 1.0
"""Standard deviation of the blur in pixels of a portrait of 128."""

PURIFICATIONS = (*NOISE_LEVELS, "jpeg", "blur")
"""The names of all purifications."""

Redraw = Callable[[Pictures, float], Pictures]
"""Adds noise of level S to encoded pictures and denoises them in one step: (pictures, S) -> pictures, same form."""


def purify(pictures: Pictures, redraw: Redraw) -> dict[str, Pictures]:
    """Purify pictures in every way.

    Args:
        pictures: uint8 [N, H, W, 3], RGB.
        redraw: the way by noise, at a level S.

    Returns:
        By each name of `PURIFICATIONS`, pictures of the same form.
    """
    by_noise = {name: redraw(pictures, level) for name, level in NOISE_LEVELS.items()}
    return {**by_noise, "jpeg": compressed(pictures, JPEG_QUALITY), "blur": blurred(pictures, BLUR_SIGMA)}


def compressed(pictures: Pictures, quality: int) -> Pictures:
    """Return pictures [N, H, W, 3], RGB, as they come back from a JPEG file.

    Args:
        pictures: uint8.
        quality: of the file, 0 to 100.
    """
    back = []
    for picture in pictures:
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "JPEG", quality=quality)
        back.append(np.asarray(Image.open(file)))
    return np.stack(back)


def blurred(pictures: Pictures, sigma: float) -> Pictures:
    """Return pictures [N, H, W, 3] under a Gaussian blur.

    Args:
        pictures: uint8.
        sigma: standard deviation in pixels, above 0.
    """
    return np.stack([cv2.GaussianBlur(picture, (0, 0), sigma) for picture in pictures]).astype(np.uint8)


def fixed_noise(seed: int, shape: torch.Size) -> Tensor:
    """Return the noise n of one person, the same for every level and for every result.

    Args:
        seed: of the person.
        shape: [1, C, h, w] of the person's latent.

    Returns:
        float32, standard normal, on the CPU.
    """
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float32)


def largest(similarities: Mapping[str, Floats]) -> Floats:
    """Return each person's largest similarity over the purifications: what the best of them brings back.

    Args:
        similarities: cosines [N] by purification, NaN where a face is missing.

    Returns:
        [N]; NaN only where the face is missing after every purification.

    Raises:
        ValueError: there are no purifications.
    """
    if not similarities:
        raise ValueError("there are no purifications, so nothing can be the largest similarity after them")
    found: Floats = np.fmax.reduce(np.stack(list(similarities.values())))
    return found
