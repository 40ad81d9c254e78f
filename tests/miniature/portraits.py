"""Portraits whose faces were marked by hand."""

from __future__ import annotations

import numpy as np
from PIL import Image

from harness.environment import ROOT

PORTRAITS = ROOT / "tests" / "data" / "portraits"


# Hairline to chin and cheek to cheek, marked by hand: x0, y0, x1, y1 in pixels.
FACES = {
    "portrait_09": (118, 118, 400, 437),
    "portrait_22": (122, 84, 392, 427),
    "portrait_31": (105, 68, 448, 484),
}


def portrait(name: str) -> np.ndarray:
    """Blue, green, red uint8 [512, 512, 3], as InsightFace wants it."""
    with Image.open(PORTRAITS / f"{name}.png") as image:
        return np.asarray(image.convert("RGB"))[:, :, ::-1].copy()


def overlap(a, b) -> float:
    """Intersection over union of two boxes."""
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    both = width * height
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)
