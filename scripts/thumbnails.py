"""The pictures by which the editor's template browser shows the shipped workflows.

    python -m scripts.thumbnails SCREENSHOTS           writes workflows/NAME.jpg from the NAME-done.png in a folder
    python -m scripts.thumbnails SCREENSHOTS NAME ...  only these

The screenshots are those of tests/test_frontend.py, below pytest's --basetemp.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

from PIL import Image

from scripts.workflow_graphs import WORKFLOWS

FOLDER = Path(__file__).resolve().parents[1] / "workflows"

CANVAS = (190, 100, 1430, 900)
"""Where the screenshots show the graph, beside the editor's bars: left, top, right and bottom in pixels."""

SIZE = (640, 413)
QUALITY = 80


def write(screenshots: Path, names: Iterable[str] = WORKFLOWS) -> None:
    """Write thumbnails, by default all."""
    for name in names:
        with Image.open(screenshots / f"{name}-done.png") as shot:
            graph = shot.convert("RGB").crop(CANVAS)
        graph.resize(SIZE, Image.Resampling.LANCZOS).save(FOLDER / f"{name}.jpg", quality=QUALITY)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m scripts.thumbnails", description=__doc__.partition("\n")[0])
    parser.add_argument("screenshots", type=Path, help="folder with a NAME-done.png for every workflow")
    parser.add_argument("names", nargs="*", metavar="NAME", help="of workflows, by default all")
    options = parser.parse_args()
    write(options.screenshots, options.names or WORKFLOWS)
