"""Runs the search for faces alone: `python -m lab.hostile.search --seed 2 --photos 1000 --workers 2`.

Whether both searches of the graph miss a person depends on the original alone: a missed face is unchanged in the
result. This command leaves out everything else, takes a third of the time, and can be limited to the hardest kinds.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from harness.in_process import part
from miniature.layout import FACE_PACK, WEIGHTS
from miniature.workflow import FOUND_SCORE
from reverse_personalization.geometry.face_search import DEFAULT_DETECTOR_SIZE

from .cases import HUGE_KIND, RARE, SCHEDULE, cases, draw_case, kind_of
from .finds import Find, match
from .judging import SEEN, FaceRecord
from .photographs import Photograph
from .summary import PROMISED_SIZE, SMALL_SIZE, promised, table
from .workers import Worker, run_all

KINDS = tuple(kind for kind in (*SCHEDULE, *RARE) if kind not in ("one pixel", "not finite"))
USUAL = tuple(kind for kind in KINDS if kind != HUGE_KIND)
"""The kinds that are searched in seconds."""


@dataclass(frozen=True)
class Row:
    """What the search found in one photograph.

    Attributes:
        case: number of the case.
        kind: of the case.
        faces: every face that was drawn, without results.
        false_finds: number of finds that match no face.
    """

    case: int
    kind: str
    faces: tuple[FaceRecord, ...]
    false_finds: int


class Searcher(Worker[Row]):
    """Runs the search that Embed Faces and Identity Check share."""

    def __init__(self, seed: int, models: Path, deadline: float) -> None:
        super().__init__(seed, models, deadline)
        self._plan = part("reverse_personalization.geometry.face_search").second_search_plan
        self._pack = part("host.insight").load_pack(FACE_PACK.name, "CPU", FOUND_SCORE)

    def records(self, seed: int, number: int, left: int) -> list[Row]:
        """Draw a case and search its photographs."""
        case = draw_case(seed, number, left)
        return [Row(case.number, case.kind, *self.search(photograph)) for photograph in case.photographs]

    def search(self, photograph: Photograph) -> tuple[tuple[FaceRecord, ...], int]:
        """Return a record of every face that was drawn, and the number of finds that match none."""
        levels = np.round(np.clip(photograph.pixels, 0, 1) * 255).astype(np.uint8)[..., :3]
        picture = np.ascontiguousarray(np.broadcast_to(levels, (*levels.shape[:2], 3))[..., ::-1])
        finds = self._pack.search(picture, DEFAULT_DETECTOR_SIZE, self._plan)
        places = [Find(find.box, np.array(find.landmarks)) for find in finds]
        matches = match(photograph.faces, places)
        faces = tuple(
            FaceRecord(
                size=face.size,
                yaw=face.yaw,
                roll=face.roll,
                seen=face.visible * face.inside,
                found="" if number is None else "first",
            )
            for face, number in zip(photograph.faces, matches, strict=True)
        )
        return faces, len(finds) - sum(bool(face.found) for face in faces)


def wanted(photographs: int, kinds: Sequence[str]) -> list[tuple[int, int]]:
    """Return the entries of `cases` that are of these kinds."""
    return [(number, left) for number, left in cases(photographs) if kind_of(number) in kinds]


def figures(rows: Sequence[Row]) -> dict[str, Any]:
    """Return counts and a list of the missed faces: case, kind, pixels, yaw, roll, percent visible."""
    faces = [(row, face) for row in rows for face in row.faces]
    kinds = {"": PROMISED_SIZE, "_small": SMALL_SIZE}
    result: dict[str, Any] = {"photos": len(rows), "faces": len(faces)}
    for name, smallest in kinds.items():
        largest = np.inf if smallest == PROMISED_SIZE else PROMISED_SIZE
        meant = [face for _, face in faces if promised(face, smallest, largest)]
        result[f"faces_promised{name}"] = len(meant)
        result[f"found_second_only{name}"] = sum(face.found == "second" for face in meant)
        result[f"missed{name}"] = sum(not face.found for face in meant)
    missed = [(row, face) for row, face in faces if not face.found and face.seen >= SEEN]
    return result | {
        "false_finds_a_photo": sum(row.false_finds for row in rows) / max(len(rows), 1),
        "misses": table(face for _, face in missed),
        "listed_misses": [
            [row.case, row.kind, *map(round, (face.size, face.yaw, face.roll, 100 * face.seen))]
            for row, face in missed
            if promised(face, SMALL_SIZE, np.inf)
        ],
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return 1 if a face that must be found was missed."""
    parser = argparse.ArgumentParser(prog="python -m lab.hostile.search", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="seed of people and pictures (default: %(default)s)")
    parser.add_argument("--photos", type=int, default=100, help="number of photographs (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=1, help="number of processes (default: %(default)s)")
    parser.add_argument(
        "--models", type=Path, default=WEIGHTS, help="models folder in ComfyUI's layout (default: the shipped weights)"
    )
    parser.add_argument("--kind", action="append", choices=KINDS, help="only photographs of this kind; may be repeated")
    parser.add_argument(
        "--minutes", type=float, default=float("inf"), help="start no further photograph after this time"
    )
    parser.add_argument("--json", action="store_true", help="print the figures as one line of JSON")
    options = parser.parse_args(arguments)
    deadline = time.time() + 60 * options.minutes
    rows: list[Row] = []
    make = partial(Searcher, options.seed, options.models, deadline)
    for found in run_all(make, wanted(options.photos, options.kind or USUAL), options.workers):
        rows += found
        for row in found:
            for face in row.faces:
                if not face.found and promised(face, SMALL_SIZE, np.inf):
                    print(f"missed in case {row.case}, {row.kind}: {face}", file=sys.stderr, flush=True)
    result = figures(rows)
    print(json.dumps(result, indent=None if options.json else 2))
    return int(result["missed"] > 0)


if __name__ == "__main__":
    sys.exit(main())
