"""The pictures of the in-app help that show what targets do, made by the nodes on rendered people.

    .venv/bin/python -m tests.target_pictures

writes `targets.jpg` and `pseudonyms.jpg` into js/docs, with the miniature's weights, in about a minute.
"""

from __future__ import annotations

import hashlib
import os
from typing import Any

import numpy as np
from PIL import Image

from harness.in_process import part, run_node
from lab.measuring.host_run import Workflow
from lab.measuring.people import Pictures, draw_people
from miniature.layout import WEIGHTS
from miniature.workflow import DEFAULT_SCALE, DENOISE, SIDE
from reverse_personalization.method.quality import FAST
from tests.help_pictures import FOLDER, QUALITY, WIDTH
from tests.people_pictures import in_rows

SEED, SHOWN = 24, (1, 4)
"""Of the people, and which of them are shown."""

KINDS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("synthetic", {"seed": 1}),
    ("synthetic", {"seed": 2}),
    ("rotated", {"angle": 90.0, "seed": 1}),
    ("opposite", {}),
)
KEYS = ("one", "other")
TOWARDS, STRONG = 1.0, 2.0


def main() -> None:
    """Make both pictures."""
    workflow = Workflow(WEIGHTS)
    people = draw_people(SEED, max(SHOWN) + 1, SIDE)

    def changed(picture: Pictures, faces: Any, target: Any, towards: float) -> Pictures:
        latent = workflow.encode(picture)
        options = {"steps": 0, "denoise": DENOISE, "seed": 1, "target": target, "towards": towards}
        return workflow.decode(workflow.edit(latent, faces, FAST, DEFAULT_SCALE, **options))

    rows: list[Pictures] = []
    for number in SHOWN:
        picture = people.pictures[[number]]
        faces = workflow.embed(picture)
        targets = [workflow.target(faces, kind, **options) for kind, options in KINDS]
        rows += [picture, *(changed(picture, faces, target, TOWARDS) for target in (None, *targets))]
    save("targets", rows, 2 + len(KINDS))
    for key in KEYS:
        # Nobody is in these pictures, so the keys may be known.
        variable = part("host.pseudonym_keys").variable_of(key)
        os.environ[variable] = hashlib.sha256(key.encode()).hexdigest()
    rows = []
    for picture in (people.pictures[[SHOWN[0]]], people.gallery[[SHOWN[0]]]):
        faces = workflow.embed(picture)
        targets = [run_node("ReverseIdentityPseudonym", faces, key) for key in KEYS]
        rows += [picture, *(changed(picture, faces, target, STRONG) for target in (None, *targets))]
    save("pseudonyms", rows, 2 + len(KEYS))


def save(name: str, rows: list[Pictures], columns: int) -> None:
    """Write pictures in rows, no wider than the help panel needs."""
    strip = in_rows([Image.fromarray(np.ascontiguousarray(row[0])) for row in rows], columns, 4)
    strip.thumbnail((WIDTH, WIDTH), Image.Resampling.LANCZOS)
    strip.save(FOLDER / f"{name}.jpg", quality=QUALITY, optimize=True)


if __name__ == "__main__":
    main()
