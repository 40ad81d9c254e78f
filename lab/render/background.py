"""Draws the places behind people: muted, soft, without faces."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from .geometry import F32
from .seeds import generator

Kind = Literal["studio", "wall", "room", "garden", "street", "lights"]
KINDS: tuple[Kind, ...] = get_args(Kind)

SHARPEST = 768
"""Most pixels of the shorter side at which a background is composed, before it is enlarged."""


def muted(rng: np.random.Generator, low: float, high: float, saturation: float = 0.11) -> F32:
    """Draw a colour [3] between two brightnesses, far less saturated than a face."""
    hue = rng.random() * 2 * np.pi
    tint = np.cos(hue + np.array([0, 2.1, 4.2])) * saturation * rng.random()
    colour: F32 = (rng.uniform(low, high) * (1 + tint)).astype(np.float32)
    return colour


def cloudy(rng: np.random.Generator, height: int, width: int, features: int, octaves: int = 3) -> F32:
    """Draw smooth noise [height, width] around 0, in about [-1, 1], with `features` along the shorter side."""
    total = np.zeros((height, width), np.float32)
    weight = 1.0
    for octave in range(octaves):
        cells = features * 2**octave
        shape = (max(2, cells * height // min(height, width)), max(2, cells * width // min(height, width)))
        grid = rng.uniform(-1, 1, shape).astype(np.float32)
        total += weight * np.asarray(Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC))
        weight *= 0.5
    return total / np.float32(1.5)


def _edge(distance: NDArray[np.floating], softness: float) -> F32:
    return np.clip(0.5 - distance / softness, 0, 1).astype(np.float32)


class Canvas:
    """A picture under construction: `colour` [H, W, 3]; x runs from 0 to `aspect`, y from 0 down to 1."""

    def __init__(self, height: int, width: int) -> None:
        self.aspect = width / height
        self.y, self.x = np.meshgrid(
            (np.arange(height, dtype=np.float32) + 0.5) / height,
            (np.arange(width, dtype=np.float32) + 0.5) / height,
            indexing="ij",
        )
        self.colour = np.zeros((height, width, 3), np.float32)

    def paint(self, colour: F32, cover: F32) -> None:
        """Blend a colour [3] or [H, W, 3] over the picture with opacity `cover` [H, W] in [0, 1]."""
        self.colour += (colour - self.colour) * cover[..., None]

    def rectangle(self, colour: F32, x: float, y: float, width: float, height: float) -> None:
        """Paint a rectangle around (x, y)."""
        distance = np.maximum(np.abs(self.x - x) - width / 2, np.abs(self.y - y) - height / 2)
        self.paint(colour, _edge(distance, 0.006))

    def ellipse(self, colour: F32, x: float, y: float, width: float, height: float, strength: float = 1.0) -> None:
        """Paint an ellipse around (x, y)."""
        radius = np.sqrt(((self.x - x) / width * 2) ** 2 + ((self.y - y) / height * 2) ** 2)
        self.paint(colour, _edge((radius - 1) * min(width, height) / 2, 0.008) * np.float32(strength))

    def gradient(self, above: F32, below: F32, angle: float = 0.0) -> None:
        """Fill with a gradient from top to bottom, turned by `angle` radians."""
        along = (self.y - 0.5) * np.cos(angle) + (self.x - self.aspect / 2) / self.aspect * np.sin(angle) + 0.5
        along = np.clip(along, 0, 1)[..., None]
        self.colour[:] = above * (1 - along) + below * along


def _studio(rng: np.random.Generator, c: Canvas, horizon: float) -> None:
    c.gradient(muted(rng, 0.25, 0.8), muted(rng, 0.2, 0.7), rng.uniform(-1, 1))
    distance = np.hypot(c.x - c.aspect * rng.uniform(0.3, 0.7), c.y - rng.uniform(0.2, 0.6))
    c.colour *= (1.08 - 0.35 * distance)[..., None]


def _wall(rng: np.random.Generator, c: Canvas, horizon: float) -> None:
    c.gradient(muted(rng, 0.35, 0.8), muted(rng, 0.3, 0.75), rng.uniform(-1.5, 1.5))
    c.colour *= (1 + 0.05 * cloudy(rng, *c.y.shape, 6, 5))[..., None]
    if rng.random() < 0.4:
        line = rng.uniform(0.4, 0.9)
        c.paint(muted(rng, 0.2, 0.7), _edge(line - c.y, 0.006))


def _room(rng: np.random.Generator, c: Canvas, horizon: float) -> None:
    c.gradient(muted(rng, 0.5, 0.8), muted(rng, 0.4, 0.7), rng.uniform(-0.6, 0.6))
    floor = horizon + rng.uniform(0.25, 0.4)
    c.paint(muted(rng, 0.2, 0.5), _edge(floor - c.y, 0.006))
    for _ in range(rng.integers(1, 5)):
        x, kind = rng.uniform(0, c.aspect), rng.integers(4)
        if kind == 0:
            c.rectangle(muted(rng, 0.8, 0.95, 0.05), x, 0.3, rng.uniform(0.2, 0.5), rng.uniform(0.3, 0.5))
            c.rectangle(muted(rng, 0.5, 0.7), x, 0.3, 0.015, 0.5)
        elif kind == 1:
            c.rectangle(muted(rng, 0.25, 0.55), x, floor - 0.22, rng.uniform(0.15, 0.3), 0.6)
        elif kind == 2:
            c.rectangle(muted(rng, 0.15, 0.4), x, 0.35, 0.22, 0.2)
            c.rectangle(muted(rng, 0.4, 0.75), x, 0.35, 0.18, 0.16)
        else:
            c.ellipse(muted(rng, 0.8, 0.95, 0.12), x, rng.uniform(0.2, 0.5), 0.12, rng.uniform(0.1, 0.16))
            c.rectangle(muted(rng, 0.2, 0.4), x, 0.72, 0.012, 0.5)
    c.colour *= (1 + 0.04 * cloudy(rng, *c.y.shape, 4, 4))[..., None]


def _garden(rng: np.random.Generator, c: Canvas, horizon: float) -> None:
    c.gradient(np.array([0.62, 0.70, 0.78], np.float32) * rng.uniform(0.8, 1.1), muted(rng, 0.7, 0.85, 0.05))
    shape = c.y.shape
    green = np.array([0.31, 0.35, 0.25], np.float32) * np.float32(rng.uniform(0.7, 1.25))
    green = green * (1 + 0.12 * rng.normal(size=3)).astype(np.float32)
    leaves = cloudy(rng, *shape, 7, 5)
    skyline = horizon - 0.22 + 0.20 * cloudy(rng, *shape, 3, 3) * rng.uniform(0.3, 1)
    c.paint(green * (1 + 0.40 * leaves)[..., None], _edge(skyline - c.y, 0.02))
    lawn = np.array([0.41, 0.43, 0.33], np.float32) * np.float32(rng.uniform(0.75, 1.15))
    c.paint(lawn * (1 + 0.12 * cloudy(rng, *shape, 16, 4))[..., None], _edge(horizon + 0.1 - c.y, 0.02))
    for _ in range(rng.integers(0, 4)):
        c.rectangle(muted(rng, 0.15, 0.3), rng.uniform(0, c.aspect), horizon - 0.05, rng.uniform(0.02, 0.06), 0.4)


def _street(rng: np.random.Generator, c: Canvas, horizon: float) -> None:
    c.gradient(np.array([0.66, 0.71, 0.77], np.float32) * rng.uniform(0.8, 1.1), muted(rng, 0.7, 0.85, 0.05))
    x = -0.1
    while x < c.aspect:
        width, top = rng.uniform(0.2, 0.5), rng.uniform(-0.2, horizon - 0.15)
        height = horizon + 0.12 - top
        c.rectangle(muted(rng, 0.3, 0.65), x + width / 2, top + height / 2, width, height)
        panes = muted(rng, 0.2, 0.5)
        for row in np.arange(top + 0.06, horizon, 0.13):
            for column in np.arange(x + 0.06, x + width - 0.05, 0.10):
                c.rectangle(panes, float(column), float(row), 0.05, 0.07)
        x += width
    c.paint(muted(rng, 0.35, 0.55, 0.05), _edge(horizon + 0.12 - c.y, 0.006))
    c.colour *= (1 + 0.05 * cloudy(rng, *c.y.shape, 8, 4))[..., None]


def _lights(rng: np.random.Generator, c: Canvas, horizon: float) -> None:
    c.gradient(muted(rng, 0.10, 0.35), muted(rng, 0.12, 0.4), rng.uniform(-1, 1))
    for _ in range(rng.integers(8, 22)):
        size = rng.uniform(0.03, 0.14)
        warm = np.array([0.80, 0.68, 0.50], np.float32) * (1 + 0.15 * rng.normal(size=3)).astype(np.float32)
        c.ellipse(warm, rng.uniform(0, c.aspect), rng.uniform(0, 0.9), size, size, rng.uniform(0.08, 0.4))


PAINTERS = {
    "studio": _studio,
    "wall": _wall,
    "room": _room,
    "garden": _garden,
    "street": _street,
    "lights": _lights,
}


def draw_background(
    seed: int, height: int, width: int, *, kind: Kind | None = None, blur: float = 0.02, horizon: float = 0.5
) -> F32:
    """Draw a place without people.

    Args:
        seed: not negative.
        height: pixels.
        width: pixels.
        kind: kind of place; by default drawn from the seed.
        blur: radius of the lens blur as a fraction of the shorter side.
        horizon: height of the camera's eye as a fraction of the picture's, from the top.

    Returns:
        [height, width, 3] sRGB in [0, 1].
    """
    rng = generator("background", seed)
    drawn = KINDS[rng.choice(len(KINDS), p=[0.2, 0.2, 0.2, 0.16, 0.14, 0.1])]
    # A blurred picture can be composed small.
    scale = min(1.0, min(SHARPEST, 1.5 / max(blur, 1e-4)) / min(height, width))
    canvas = Canvas(max(round(height * scale), 2), max(round(width * scale), 2))
    PAINTERS[kind or drawn](rng, canvas, horizon)
    image = Image.fromarray((np.clip(canvas.colour, 0, 1) * 255 + 0.5).astype(np.uint8))
    image = image.filter(ImageFilter.GaussianBlur(blur * min(canvas.y.shape)))
    image = image.resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(image, np.float32) / np.float32(255)
