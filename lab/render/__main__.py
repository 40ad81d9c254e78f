"""Draws a contact sheet: `python -m lab.render OUT.png --seed S`."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from .portrait import portrait
from .seeds import SPLITS
from .sheet import people_sheet, save, scene_sheet


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Draw a contact sheet of rendered people.")
    parser.add_argument("out", type=Path, metavar="OUT.png")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--split", choices=SPLITS, default="test", help="split of the people (default: %(default)s)")
    parser.add_argument("--grid", type=int, default=8, help="pictures per row and column (default: %(default)s)")
    parser.add_argument("--side", type=int, default=128, help="side of a portrait or height of a scene, in pixels")
    parser.add_argument("--person-a-row", action="store_true", help="each row shows one person")
    parser.add_argument("--scene", action="store_true", help="draw whole scenes, half as many per row")
    parser.add_argument("--marks", action="store_true", help="mark masks, boxes and landmarks on scenes")
    given = parser.parse_args()
    grid, side = given.grid, given.side
    portrait(0, 0, 16)  # Compiles the kernels before the time is taken.
    start = time.perf_counter()
    if given.scene:
        columns = max(grid // 2, 1)
        count = columns * grid
        image = scene_sheet(given.seed, count, columns, side, side * 3 // 2, marks=given.marks)
    else:
        count = grid * grid
        image = people_sheet(given.seed, grid, grid, side, given.split, alike=given.person_a_row)
    save(image, given.out)
    print(f"{given.out}: {count} pictures, {count / (time.perf_counter() - start):.1f} a second")


if __name__ == "__main__":
    main()
