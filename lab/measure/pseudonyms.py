"""Measures how alike the targets of one person are under a key, and of strangers: `python -m lab.measure.pseudonyms`.

Beside the pack's pseudonyms stand code books, which the pack does not use: a key draws K directions and as many
targets, and an embedding gets the targets of the directions near it, weighted by exp(B cos). With a large B that is one
of K.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from harness.in_process import part
from miniature.layout import FACE_PACK, WEIGHTS
from miniature.workflow import SIDE
from reverse_personalization.method.identity_statistics import IdentityStatistics, even_sphere
from reverse_personalization.method.pseudonym import pseudonyms

from ..measuring.host_run import Workflow
from ..measuring.people import PICTURES_OF_ONE, person_seed
from ..measuring.report import table
from ..measuring.runs import note
from ..render.portrait import portrait

PHOTOGRAPHS = 3
"""Of each person."""

KEYS = (b"one key of the laboratory, not secret", b"another key of the laboratory, neither")

BOOKS = ((16, 1000.0), (16, 10.0), (64, 10.0))
"""K and B of the code books."""

Targets = Callable[[Tensor, bytes], Tensor]
"""(embeddings [F, 512], key) -> their targets."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m lab.measure.pseudonyms", description=__doc__)
    parser.add_argument("--seed", type=int, default=95, help="seed of the people (default: %(default)s)")
    parser.add_argument("--people", type=int, default=60, help="number of people, at least 2 (default: %(default)s)")
    options = parser.parse_args(arguments)
    workflow = Workflow(WEIGHTS)
    rows = []
    for number in range(options.people):
        who = person_seed(options.seed, number)
        pictures = [portrait(who, who * PICTURES_OF_ONE + one, SIDE).image[None] for one in range(PHOTOGRAPHS)]
        rows.append(torch.cat([workflow.embed(picture).embeddings() for picture in pictures]))
        note(f"{number + 1} of {options.people} people")
    statistics = part("host.identity_statistics").statistics_of(FACE_PACK.name)
    print(figures(torch.stack(rows), statistics), flush=True)


def figures(embeddings: Tensor, statistics: IdentityStatistics) -> str:
    """Compare the targets of everybody's photographs, as a Markdown table of means and standard deviations.

    Args:
        embeddings: [N, P, 512], of N people in P photographs each.
        statistics: of the recogniser.
    """
    ways: dict[str, Targets] = {
        "embeddings": lambda faces, key: faces,
        "pseudonyms": lambda faces, key: pseudonyms(faces, key, statistics),
        "whole sphere": lambda faces, key: pseudonyms(faces, key, even_sphere()),
        **{f"code book {k}, {b:g}": _code_book(k, b, statistics) for k, b in BOOKS},
    }
    names = ("", "one person", "two people", "target and person", "target and others", "two keys")
    return table(list(names), [[name, *_cosines(embeddings, way)] for name, way in ways.items()])


def _cosines(embeddings: Tensor, way: Targets) -> list[str]:
    people, photographs = embeddings.shape[:2]
    made, other = (way(embeddings.flatten(0, 1), key).view_as(embeddings) for key in KEYS)
    first, second = made[:, 0], made[:, 1]
    apart = ~torch.eye(people, dtype=torch.bool)
    same = [(made[:, a] * made[:, b]).sum(-1) for a in range(photographs) for b in range(a)]
    return [
        _said(torch.cat(same)),
        _said((first @ second.T)[apart]),
        _said((made * embeddings).sum(-1)),
        _said((first @ embeddings[:, 0].T)[apart]),
        _said((made * other).sum(-1)),
    ]


def _said(cosines: Tensor) -> str:
    return f"{float(cosines.mean()):.3f} ± {float(cosines.std()):.3f}"


def _code_book(count: int, sharpness: float, statistics: IdentityStatistics) -> Targets:
    def targets(faces: Tensor, key: bytes) -> Tensor:
        generator = np.random.default_rng(list(key))
        width = len(statistics.axes)
        entries, made = (
            F.normalize(torch.from_numpy(generator.standard_normal((count, width))), dim=1) for _ in range(2)
        )
        near = F.normalize(statistics.coordinates(faces), dim=1) @ entries.T
        return statistics.identities((sharpness * near).softmax(1) @ made)

    return targets


if __name__ == "__main__":
    main()
