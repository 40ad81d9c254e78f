"""What is anonymised: portraits that no run has seen before, and photographs of a chosen size with so many people."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lab.hostile.cases import Painter
from miniature.showcase import PORTRAIT

FACE = 110.0
"""Height of a face from hairline to chin in a group, pixels."""

CELL = (170, 150)
"""Height and width of the place that each person has there, pixels."""

COLUMNS = 4
ROWS = 2

Pixels = NDArray[np.uint8]

SEED = 7
"""Of the people."""


class Portraits:
    """Makes portraits of one person in other light: each is a file that nobody has seen, and costs the same.

    Args:
        folder: for the files.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made = 0
        with Image.open(PORTRAIT) as opened:
            self._pixels = np.asarray(opened.convert("RGB"))

    def new(self) -> Path:
        """Write the next portrait, 128 x 128 pixels, and return its path."""
        self._made += 1
        file = self._folder / f"portrait-{self._made}.png"
        Image.fromarray(in_other_light(self._pixels, self._made)).save(file)
        return file


def in_other_light(pixels: Pixels, number: int) -> Pixels:
    """A picture that hardly differs, but has other pixels for every number below 10,000.

    Args:
        pixels: [H, W, 3].
        number: 0 or more.
    """
    light = 1.0 - 0.002 * (number % 100)
    changed = np.rint(pixels * light).astype(np.uint8)
    changed[0, 0] = (number % 100, number // 100 % 100, 0)
    return changed


def group(people: int) -> Pixels:
    """A photograph of this many people in two rows, whose size is always the same, uint8 [H, W, 3].

    Args:
        people: 1 to COLUMNS * ROWS.
    """
    height, width = ROWS * CELL[0], COLUMNS * CELL[1]
    painter = Painter(SEED, 0)
    places = [
        (CELL[1] * (number % COLUMNS + 0.5), CELL[0] * (number // COLUMNS + 0.5), FACE) for number in range(people)
    ]
    return np.rint(255 * painter.scene(places, height, width, widest=15.0).pixels).astype(np.uint8)


def on_wall(pixels: Pixels, megapixels: float) -> Pixels:
    """A photograph in a corner of a larger one that shows only a wall besides, in the shape of four to three.

    Args:
        pixels: [h, w, 3].
        megapixels: of the larger one; it is never smaller than the photograph.
    """
    height = max(round((megapixels * 1e6 * 3 / 4) ** 0.5), pixels.shape[0])
    width = max(round(height * 4 / 3), pixels.shape[1])
    ramp = np.linspace(150, 190, width, dtype=np.float32)[None, :, None] + np.zeros((height, 1, 3), np.float32)
    wall = ramp.astype(np.uint8)
    wall[: pixels.shape[0], : pixels.shape[1]] = pixels
    return wall
