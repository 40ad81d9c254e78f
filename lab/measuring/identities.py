"""Measures how the embeddings of the miniature's guide are spread, for made-up identities.

`python -m lab.measuring.identities` writes the file beside the guide. The people are of the training split, one picture
each, so that no measurement meets them again.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from miniature.layout import FACE_PACK, WEIGHTS
from miniature.workflow import SIDE
from reverse_personalization.geometry.faces import Sex
from reverse_personalization.method.identity_statistics import STATISTICS_FILE, measured, to_file

from ..render.identity import draw_identity
from ..render.portrait import portrait
from ..render.seeds import identity_seed
from .host_run import Workflow
from .people import PICTURES_OF_ONE
from .runs import note

FIRST = 500_000
"""First of the people in the training split who are drawn."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m lab.measuring.identities", description=__doc__)
    parser.add_argument("--people", type=int, default=600, help="number of people (default: %(default)s)")
    parser.add_argument(
        "--models", type=Path, default=WEIGHTS, metavar="DIR", help="models folder (default: the shipped weights)"
    )
    options = parser.parse_args(arguments)
    workflow = Workflow(options.models)
    embeddings: list[np.ndarray] = []
    sexes: list[Sex] = []
    for number in range(options.people):
        who = identity_seed("train", FIRST + number)
        picture = portrait(who, who * PICTURES_OF_ONE, SIDE).image[None]
        embeddings.append(workflow.embed(picture).embeddings()[0].numpy())
        sexes.append(draw_identity(who).sex)
        if (number + 1) % 100 == 0:
            note(f"{number + 1} of {options.people} people")
    file = options.models / FACE_PACK / STATISTICS_FILE
    fields = measured(np.stack(embeddings).astype(np.float64), sexes)
    file.write_bytes(to_file(fields))
    note(f"{len(fields['axes'])} axes of {options.people} people in {file.name}")


if __name__ == "__main__":
    main()
