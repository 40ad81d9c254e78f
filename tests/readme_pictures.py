"""The README's first picture: the sample, a rendered group, before and after, through the shipped workflow's graph.

    .venv/bin/python -m tests.readme_pictures

writes docs/group-photo.jpg and the samples that come with the pack, and prints what became of every face. It takes a
minute.
"""

from __future__ import annotations

import os

# Networks this small finish before a second thread wakes up.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from PIL import Image

from harness.environment import ROOT
from harness.workflow import TEMPLATE_FOLDER
from lab.hostile.cases import Case, Painter
from lab.hostile.ordinary import ORDINARY_KIND, ordinary_options
from lab.hostile.photographs import Photograph
from lab.hostile.pipeline import Item, Pipeline, known_models
from miniature.layout import WEIGHTS
from tests.people_pictures import in_rows, picture_of

SEED = 12
PLACES = [(120.0, 190.0, 118.0), (285.0, 150.0, 112.0), (450.0, 185.0, 122.0), (610.0, 160.0, 116.0)]
"""Middle x, middle y and height of each face, pixels: as large as the miniature draws faces."""
HEIGHT, WIDTH = 420, 720
WIDEST = 18.0
"""Largest yaw in degrees."""

FILE = ROOT / "docs" / "group-photo.jpg"
SAMPLE_FILES = [TEMPLATE_FOLDER / "samples" / f"{name}.jpg" for name in ("four-people", "four-people-anonymised")]
GAP = 8
QUALITY, SAMPLE_QUALITY = 88, 92


def group() -> Photograph:
    """Draw the people."""
    return Painter(SEED, 0).scene(PLACES, HEIGHT, WIDTH, widest=WIDEST, widest_roll=8.0)


def anonymised(photograph: Photograph) -> Item:
    """Run the graph; return its results, with the saved file. Use it inside `known_models`.

    Raises:
        RuntimeError: nothing was saved, a face was not found, or one did not end anonymised and bare.
    """
    run = Pipeline().run(Case(SEED, ORDINARY_KIND, (photograph,)), ordinary_options())
    if run.error or not run.items or not run.items[0].saved:
        raise RuntimeError(f"nothing was saved: {run.error}")
    item = run.items[0]
    ends = [face.said for face in item.verdict]
    if ends != ["anonymised"] * len(photograph.faces):
        raise RuntimeError(f"the faces ended as {ends}; expected {len(photograph.faces)} that are anonymised")
    return item


def main() -> None:
    """Make the pictures."""
    with known_models(WEIGHTS):
        photograph = group()
        item = anonymised(photograph)
        with Image.open(item.saved[0]) as image:
            after = image.convert("RGB")
    for number, face in enumerate(item.verdict, start=1):
        print(f"face {number}: {face.said}, {face.similarity:.2f} of at most {item.verdict.threshold:.2f}")
    both = [picture_of(photograph), after]
    for picture, file in zip(both, SAMPLE_FILES, strict=True):
        picture.save(file, quality=SAMPLE_QUALITY, subsampling=0, optimize=True)
    in_rows(both, 2, GAP).save(FILE, quality=QUALITY, optimize=True)


if __name__ == "__main__":
    main()
