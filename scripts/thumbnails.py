"""Makes the thumbnails by which the editor's template browser shows the shipped workflows.

    python -m scripts.thumbnails SCREENSHOTS           write workflows/NAME.jpg for every NAME-done.png in a folder
    python -m scripts.thumbnails SCREENSHOTS NAME ...  write only these

tests/editor/test_frontend.py takes the screenshots, below pytest's --basetemp.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

from PIL import Image

from .workflow_generator.graphs import WORKFLOWS
from .workflows import FOLDER

CANVAS = (190, 100, 1430, 900)
"""The part of a screenshot that shows the graph, without the editor's bars: left, top, right, bottom in pixels."""

SIZE = (640, 413)
QUALITY = 80


def write(screenshots: Path, names: Iterable[str] = WORKFLOWS) -> None:
    """Write the thumbnails of these workflows, by default of all."""
    for name in names:
        with Image.open(screenshots / f"{name}-done.png") as shot:
            graph = shot.convert("RGB").crop(CANVAS)
        graph.resize(SIZE, Image.Resampling.LANCZOS).save(FOLDER / f"{name}.jpg", quality=QUALITY)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m scripts.thumbnails", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("screenshots", type=Path, help="folder with a NAME-done.png for every workflow")
    parser.add_argument("names", nargs="*", metavar="NAME", help="a workflow's name (default: all)")
    options = parser.parse_args()
    write(options.screenshots, options.names or WORKFLOWS)
