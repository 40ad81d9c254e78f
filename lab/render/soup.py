"""Gathers a person's skin, hair, clothes and glasses in one list of triangles."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .geometry import F32, I32

CAP, CURTAIN, BEARD, GLASSES, CLOTH, LIMB = range(5, 11)
"""Part numbers beyond those of `head_mesh`: hair on the skull, hanging hair, beard, glasses, clothes and hands."""

REST, LAYER, OPEN, LIPS, LIDS, EARS, INNER, MARGIN, LASHES, FACE, ATTRIBUTES = 0, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12
"""Columns of a vertex's attributes, and their number: place on the mean head or before pose (3 columns, metres);
layer of the hair (0 root to 1 tip); open share of the sky; masks of `HeadModel`; how far inside the hair (skin and hair
on the skull: metres above the hairline; hanging hair: 0 edge to 1 inside); rims of the eyelids; metres inside the
face."""


@dataclass
class Soup:
    """Growing lists of vertices [V, 3], attributes [V, ATTRIBUTES], `follow` [V], triangles and parts."""

    vertices: list[F32] = field(default_factory=list)
    attributes: list[F32] = field(default_factory=list)
    follow: list[F32] = field(default_factory=list)
    triangles: list[I32] = field(default_factory=list)
    parts: list[NDArray[np.uint8]] = field(default_factory=list)
    count: int = 0

    def add(self, vertices: F32, attributes: F32, triangles: I32, parts: NDArray[np.uint8] | int, follow: F32) -> None:
        """Append a mesh.

        Args:
            vertices: [V, 3] metres, before pose.
            attributes: [V, ATTRIBUTES].
            triangles: [T, 3], indices into `vertices`.
            parts: [T], or one number for all.
            follow: [V] in [0, 1], how far each vertex turns with the head.
        """
        self.vertices.append(vertices.astype(np.float32))
        self.attributes.append(attributes.astype(np.float32))
        self.follow.append(follow.astype(np.float32))
        self.triangles.append(triangles + np.int32(self.count))
        self.parts.append(np.broadcast_to(np.asarray(parts, np.uint8), len(triangles)))
        self.count += len(vertices)


def plain_attributes(vertices: F32, *, layer: float = 1.0, sky: float = 0.9) -> F32:
    """Return attributes [V, ATTRIBUTES] of a mesh that is its own place of rest."""
    attributes = np.zeros((len(vertices), ATTRIBUTES), np.float32)
    attributes[:, REST : REST + 3] = vertices
    attributes[:, LAYER] = layer
    attributes[:, OPEN] = sky
    attributes[:, MARGIN] = 1
    attributes[:, FACE] = -1
    return attributes


def neck_follow(z: F32, low: float = 0.70, high: float = 0.78) -> F32:
    """Return `follow` [V]: 1 above `high` metres, 0 below `low`; the neck bends in between."""
    t = np.clip((z - low) / (high - low), 0, 1)
    result: F32 = (t * t * (3 - 2 * t)).astype(np.float32)
    return result
