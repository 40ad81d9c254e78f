"""Draws contact sheets for inspection."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from miniature.files import whole_file

from .portrait import portrait
from .scene import scene
from .seeds import Split, identity_seed
from .truth import FaceTruth


def tiled(images: list[NDArray[np.uint8]], columns: int) -> NDArray[np.uint8]:
    """Tile pictures of one size row by row."""
    rows = [np.hstack(images[i : i + columns]) for i in range(0, len(images), columns)]
    return np.vstack(rows)


def people_sheet(seed: int, rows: int, columns: int, side: int, split: Split, *, alike: bool) -> NDArray[np.uint8]:
    """Draw portraits of `side` pixels; one person per row with `alike`, otherwise all different."""
    images = []
    for i in range(rows * columns):
        who = identity_seed(split, seed * 1000 + (i // columns if alike else i))
        images.append(portrait(who, seed * 1_000_000 + i, side).image)
    return tiled(images, columns)


def marked(image: NDArray[np.uint8], truths: tuple[FaceTruth, ...]) -> NDArray[np.uint8]:
    """Tint masks and draw boxes and landmarks on a picture."""
    tinted = image.astype(np.float32)
    for truth in truths:
        tinted[truth.mask] = tinted[truth.mask] * 0.7 + np.array([0, 76, 0], np.float32)
    picture = Image.fromarray(tinted.astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    for truth in truths:
        draw.rectangle(truth.box, outline=(255, 255, 255))
        for x, y in truth.landmarks.tolist():
            draw.ellipse((x - 1.5, y - 1.5, x + 1.5, y + 1.5), fill=(255, 0, 0))
    return np.asarray(picture)


def scene_sheet(seed: int, count: int, columns: int, height: int, width: int, *, marks: bool) -> NDArray[np.uint8]:
    """Draw `count` scenes with seeds from `seed` on; `marks` shows the ground truth of the faces."""
    drawn = [scene(seed + i, height, width) for i in range(count)]
    return tiled([marked(s.image, s.truths) if marks else s.image for s in drawn], columns)


def save(image: NDArray[np.uint8], out: Path) -> None:
    """Write a PNG, whole or not at all."""
    with whole_file(out) as stream:
        Image.fromarray(image).save(stream, "PNG")
