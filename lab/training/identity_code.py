"""Identity as a few numbers: the shape of the face, which a recogniser must see in every picture."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from ..render.geometry import F32
from ..render.head_mesh import SKIN, head_model
from ..render.identity import Brows, Identity, draw_identity
from ..render.person import inside_face

AGE = 40.0
"""Age in years at which shapes are compared."""

BORDER = -0.015
"""Metres around the face within which the shape counts."""

SPARSENESS = 6
"""Every how many vertices one is used; neighbours are redundant."""

BROW_NUMBERS = len(Brows._fields)
"""How many numbers at the end of a code describe the brows."""

BROW_SPREAD = Brows(thickness=0.0006, arch=0.0016, tilt=0.045, height=0.0014, inner=0.0012, outer=0.0017)
"""Standard deviations of the brows' form within one sex."""

BROW_WEIGHT = 0.4
"""Weight of the brows' form relative to the shape's first component, each in standard deviations."""

EVENNESS = 0.5
"""Exponent of the components' standard deviations: 1 keeps small ones small, 0 makes all equal."""


@cache
def _seen() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return every SPARSENESS-th vertex of the face's skin, and the mirror image of each."""
    model = head_model()
    chosen = np.flatnonzero((model.vertex_parts == SKIN) & (inside_face(model.mean) > BORDER) & (model.masks[3] < 0.1))
    mirrored = model.mean[chosen] * np.array([-1, 1, 1], np.float32)
    partner = np.array([np.linalg.norm(model.mean[chosen] - one, axis=1).argmin() for one in mirrored[::SPARSENESS]])
    return chosen[::SPARSENESS], chosen[partner]


def raw_shape(identity: Identity) -> tuple[F32, F32]:
    """Return the face [M * 3] in metres and its mirror image, both at AGE."""
    chosen, partner = _seen()
    vertices = identity.vertices(AGE)
    mirrored = vertices[partner] * np.array([-1, 1, 1], np.float32)
    return vertices[chosen].reshape(-1), mirrored.reshape(-1)


def identity_codes(seeds: NDArray[np.int64], components: int) -> F32:
    """Return codes [2, P, components + BROW_NUMBERS] of the people with these seeds and of their mirror images.

    A code holds the principal components of the shape, the first with standard deviation 1, and the form of the brows.
    """
    people = [draw_identity(int(seed)) for seed in seeds]
    shapes = np.stack([np.stack(raw_shape(person)) for person in people], 1)
    flat = shapes.reshape(-1, shapes.shape[2]).astype(np.float64)
    flat -= flat.mean(0)
    values, vectors = np.linalg.eigh(flat.T @ flat / len(flat))
    values, vectors = np.maximum(values[::-1][:components], 1e-12), vectors[:, ::-1][:, :components]
    deviation = np.sqrt(values)
    scale = (deviation / deviation[0]) ** EVENNESS / deviation
    parts = (flat @ vectors * scale).reshape(2, len(people), components)
    brows = np.array([person.brows for person in people])
    male = np.array([person.sex == "male" for person in people])
    for group in (male, ~male):
        if group.any():
            brows[group] -= brows[group].mean(0)
    brows *= BROW_WEIGHT / np.array(BROW_SPREAD)
    codes: F32 = np.concatenate([parts, np.stack([brows, brows])], 2).astype(np.float32)
    return codes
