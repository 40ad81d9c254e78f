"""How the checker, at the threshold it has, tells strangers apart and knows people again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import host, judge
from .cache import CHECKER, PACK_NAME
from .pictures import Picture
from .searching import embed, matched

THRESHOLDS = (0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5)
"""At which a recogniser that nobody measured is looked at."""

LEAST_SIDE = 40.0
"""Longer side in pixels of faces that are compared: in less there is hardly anybody."""


@dataclass(frozen=True, eq=False)
class Measured:
    """One face and what recognisers say of it.

    Attributes:
        picture: number of its picture.
        person: "" for somebody who is in no other picture.
        units: [9, D], unit vectors of the checker at `nearby_alignments`.
        judged: [128] of the judge.
        again: for each way to spoil the picture, [9, D] of the same place in it.
    """

    picture: int
    person: str
    units: NDArray[np.float64]
    judged: NDArray[np.float64]
    again: dict[str, NDArray[np.float64]]


def measure_faces(pictures: Sequence[Picture], live: bool) -> tuple[list[Measured], float]:
    """Faces that are found, large enough and measurable, and the checker's threshold.

    Args:
        pictures: of people.
        live: see `views_of`.
    """
    checker = host.module("host.checker").open_checker(CHECKER, "CPU", 0.0, 0.1, PACK_NAME)
    spoilt = host.module("reverse_personalization.assurance.spoiling").SPOILT
    faces = []
    for number, picture in enumerate(pictures):
        known = [face for face in picture.faces if not face.note and face.side >= LEAST_SIDE]
        if not known:
            continue
        found = embed(picture, live).images[0]
        matches = matched([face.box for face in known], [one.box for one in found])
        pixels = picture.pixels()
        before = host.bgr(pixels)
        for face, match in zip(known, matches, strict=True):
            if match is None:
                continue
            units = checker.original(before, found[match]).units
            if not units or any(unit is None for unit in units):
                continue
            again = {
                name: np.stack(checker.original(spoil(before), found[match]).units) for name, spoil in spoilt.items()
            }
            faces.append(Measured(number, face.person, np.stack(units), judge.describe(pixels, face.box), again))
    return faces, float(checker.threshold)


def recognising_figures(faces: Sequence[Measured], threshold: float) -> dict[str, Any]:
    """Strangers taken for one person, and people known again.

    Two faces in different pictures are strangers unless they are annotated as one person's or the judge says that they
    may be (distance below `TWO_PEOPLE`); one person's if annotated and the judge does not say otherwise.
    """
    units = np.stack([face.units for face in faces])
    judged = np.stack([face.judged for face in faces])
    distances = judge.distances(judged, judged)
    at_nine = np.einsum("and,bnd->abn", units, units)
    any_two = np.einsum("and,bmd->abnm", units, units).max(axis=(2, 3))
    rows, columns = np.triu_indices(len(faces), 1)
    strangers: list[tuple[int, int]] = []
    genuine: list[tuple[int, int]] = []
    unclear = 0
    for a, b in zip(rows.tolist(), columns.tolist(), strict=True):
        same = bool(faces[a].person) and faces[a].person == faces[b].person
        if same:
            if distances[a, b] <= judge.TWO_PEOPLE:
                genuine.append((a, b))
        elif distances[a, b] > judge.TWO_PEOPLE:
            strangers.append((a, b))
        else:
            unclear += 1
    apart, together = np.array(strangers).reshape(-1, 2).T, np.array(genuine).reshape(-1, 2).T
    spoiled = {
        name: np.array([np.einsum("nd,nd->n", face.units, face.again[name]).max() for face in faces])
        for name in (faces[0].again if faces else ())
    }
    one, nine, every = at_nine[(*apart, 0)], at_nine[tuple(apart)].max(axis=1), any_two[tuple(apart)]
    known = at_nine[tuple(together)].max(axis=1)
    return {
        "threshold": threshold,
        "faces": len(faces),
        "strangers": {
            "pairs": len(strangers),
            "recognisable_at_one_alignment": _part(one >= threshold),
            "recognisable_at_nine": _part(nine >= threshold),
            "quantiles_at_one": _quantiles(one),
            "quantiles_at_nine": _quantiles(nine),
            "quantiles_at_any_of_81": _quantiles(every),
        },
        "at_nine": {
            f"{one_of:g}": {"strangers": _part(nine >= one_of), "one_person": _part(known >= one_of)}
            for one_of in THRESHOLDS
        },
        "unclear_pairs": unclear,
        "one_person": {"pairs": len(genuine), "caught": _part(known >= threshold), "quantiles": _quantiles(known)},
        "same_photograph": {
            name: {"caught": _part(values >= threshold), "quantiles": _quantiles(values)}
            for name, values in spoiled.items()
        },
    }


def _part(which: NDArray[np.bool_]) -> float | None:
    return round(float(which.mean()), 4) if which.size else None


def _quantiles(values: NDArray[np.float64]) -> dict[str, float]:
    if not values.size:
        return {}
    return {f"{q:g}": round(float(np.quantile(values, q)), 3) for q in (0, 0.01, 0.05, 0.5, 0.95, 0.99, 1)}
