"""What the commands that make the project's pictures share: drawn people, and pictures side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from lab.hostile.photographs import Photograph


def picture_of(photograph: Photograph) -> Image.Image:
    """A drawn photograph as it would be saved."""
    return Image.fromarray((np.clip(photograph.pixels, 0, 1) * 255).round().astype(np.uint8))


def in_rows(pictures: Sequence[Image.Image], columns: int, line: int) -> Image.Image:
    """Put pictures of one size into rows, with white lines of this many pixels between them."""
    width, height = pictures[0].size
    rows = -(-len(pictures) // columns)
    joined = Image.new("RGB", (columns * (width + line) - line, rows * (height + line) - line), "white")
    for number, picture in enumerate(pictures):
        row, column = divmod(number, columns)
        joined.paste(picture, (column * (width + line), row * (height + line)))
    return joined
