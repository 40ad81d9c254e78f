"""Sharpness kept on rendered photographs: `python -m lab.measuring.sharpness --seed S --photos N --json`."""

from __future__ import annotations

import os

# Several processes share the cores, and a second thread waits by computing.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from harness.in_process import part
from lab.render.scene import Scene, scene
from lab.sharpness import SIDES, SIZES, Pasted, paste_back, sharpness_figures

LARGE = 3
"""Every so many photographs, one is drawn at the larger size, so that there are large faces as well."""

FRAMES = ((512, 768), (1152, 1536))
"""Height and width of the photographs, pixels."""


def paste_back_rendered(seed: int, photos: int, sides: Sequence[int] = SIDES) -> Iterator[Pasted]:
    """Crop and paste every face of rendered photographs, one at a time."""
    for number in range(photos):
        yield from _pasted(scene(seed + number, *FRAMES[number % LARGE == 0], split="test"), sides)


def _pasted(drawn: Scene, sides: Sequence[int]) -> Iterator[Pasted]:
    faces: Any = part("reverse_personalization.geometry.faces")
    height, width = drawn.image.shape[:2]
    image = torch.from_numpy(drawn.image.astype(np.float32) / 255)[None]
    nobody = torch.nn.functional.one_hot(torch.tensor(0), faces.EMBEDDING_WIDTH).float()
    for truth in drawn.truths:
        x0, y0, x1, y1 = truth.box
        size = max(x1 - x0, y1 - y0)
        if size < SIZES[0]:
            continue
        landmarks = tuple((float(x), float(y)) for x, y in truth.landmarks)
        face = faces.Face(box=(x0, y0, x1, y1), landmarks=landmarks, score=1.0, embedding=nobody, age=None, sex=None)
        yield from paste_back(image, faces.Faces(((face,),), height, width, "", ""), size, sides)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m lab.measuring.sharpness", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="of the first photograph; the next counts on")
    parser.add_argument("--photos", type=int, default=30, help="how many (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print the figures as one line of JSON, not indented")
    given = parser.parse_args(arguments)
    rows = sharpness_figures(list(paste_back_rendered(given.seed, given.photos)))
    print(json.dumps({"photos": given.photos, "sharpness": rows}, indent=None if given.json else 1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
