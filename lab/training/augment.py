"""Spoils pictures of faces as cameras, codecs, autoencoders and other white balances do."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from .crops import Images

LUMA = (0.299, 0.587, 0.114)
HUE_PLANE = 1 / np.sqrt(3)


@dataclass(frozen=True)
class Augmentation:
    """How strongly pictures are spoilt.

    Attributes:
        grey: probability of a picture without colour.
        hue: largest rotation of the hues, in radians.
        saturation: largest deviation of the saturation factor from 1.
        gain: standard deviation of the logarithm of each channel's gain.
        brightness: largest shift, in [0, 1].
        contrast: largest deviation of the contrast factor from 1.
        gamma: largest logarithm of the gamma.
        noise: largest standard deviation of the noise, in [0, 1].
        blur: probability of one of three kinds of blur.
        codec: probability of JPEG artefacts.
    """

    grey: float = 0.5
    hue: float = 0.5
    saturation: float = 0.6
    gain: float = 0.12
    brightness: float = 0.12
    contrast: float = 0.25
    gamma: float = 0.35
    noise: float = 0.04
    blur: float = 0.4
    codec: float = 0.15


def grey_images(images: Images) -> Images:
    """Return the images [N, H, W, 3] without colour."""
    luma = (images @ np.array(LUMA, np.float32)).round().astype(np.uint8)
    return np.repeat(luma[..., None], 3, axis=3)


def spoil(image: Images, plan: Augmentation, rng: np.random.Generator) -> Images:
    """Randomly blur or compress an image [H, W, 3]."""
    side = image.shape[0]
    if rng.random() < plan.blur:
        way = rng.integers(3)
        if way == 0:
            image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 1.4)).astype(np.uint8, copy=False)
        else:
            small = round(side * rng.uniform(0.35, 0.95))
            enlarge = cv2.INTER_LINEAR if way == 1 else cv2.INTER_CUBIC
            reduced = cv2.resize(image, (small, small), interpolation=cv2.INTER_AREA)
            image = cv2.resize(reduced, (side, side), interpolation=enlarge).astype(np.uint8, copy=False)
    if rng.random() < plan.codec:
        _, code = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 90))])
        image = np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR), np.uint8)
    return image


def colour_maps(count: int, plan: Augmentation, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Draw linear maps [count, 3, 3] of RGB and shifts [count, 3, 1], including brightness and contrast."""
    angle = rng.uniform(-plan.hue, plan.hue, count)
    cross = HUE_PLANE * np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]])
    turn = np.cos(angle)[:, None, None] * np.eye(3) + np.sin(angle)[:, None, None] * cross
    turn += (1 - np.cos(angle))[:, None, None] / 3
    luma = np.tile(np.array(LUMA), (3, 1))
    saturation = rng.uniform(1 - plan.saturation, 1 + plan.saturation, count)
    saturation[rng.random(count) < plan.grey] = 0
    fade = saturation[:, None, None] * np.eye(3) + (1 - saturation[:, None, None]) * luma
    gain = np.exp(plan.gain * rng.normal(size=(count, 3, 1))) * (saturation > 0)[:, None, None]
    gain[saturation == 0] = 1
    contrast = rng.uniform(1 - plan.contrast, 1 + plan.contrast, (count, 1, 1))
    maps = contrast * gain * (fade @ turn)
    shift = 0.45 * (1 - contrast) + rng.uniform(-plan.brightness, plan.brightness, (count, 1, 1))
    shifts = np.broadcast_to(shift, (count, 3, 1))
    return torch.from_numpy(maps).float(), torch.from_numpy(shifts.copy()).float()


def augmented(images: Images, plan: Augmentation, rng: np.random.Generator) -> Tensor:
    """Spoil images [N, S, S, 3]; return [N, 3, S, S] float32 in [0, 1].

    Noise comes from torch's generator, everything else from `rng`.
    """
    count, side = images.shape[:2]
    spoilt = np.stack([spoil(image, plan, rng) for image in images])
    values = as_input(spoilt).flatten(2)
    maps, shifts = colour_maps(count, plan, rng)
    values = torch.baddbmm(shifts, maps, values).clamp_(0.001, 1)
    gamma = torch.from_numpy(np.exp(rng.uniform(-plan.gamma, plan.gamma, (count, 1, 1)))).float()
    values = values.pow_(gamma)
    strength = torch.from_numpy(rng.uniform(0, plan.noise, (count, 1, 1)) * (rng.random((count, 1, 1)) < 0.5)).float()
    values = values.addcmul_(torch.randn_like(values), strength).clamp_(0, 1)
    return values.view(count, 3, side, side)


def as_input(images: Images) -> Tensor:
    """Convert images [N, H, W, 3] to [N, 3, H, W] float32 in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2))).float() / 255
