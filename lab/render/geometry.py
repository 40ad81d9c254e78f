"""Small tools on triangle meshes: normals, rotations, tubes."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from .compiled import kernel

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]


@kernel
def vertex_normals(vertices: F32, triangles: I32) -> F32:
    """Return area-weighted unit normals [V, 3] of vertices [V, 3] with triangles [T, 3]."""
    normals = np.zeros_like(vertices)
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        ux, uy, uz = (
            vertices[b, 0] - vertices[a, 0],
            vertices[b, 1] - vertices[a, 1],
            vertices[b, 2] - vertices[a, 2],
        )
        wx, wy, wz = (
            vertices[c, 0] - vertices[a, 0],
            vertices[c, 1] - vertices[a, 1],
            vertices[c, 2] - vertices[a, 2],
        )
        nx, ny, nz = uy * wz - uz * wy, uz * wx - ux * wz, ux * wy - uy * wx
        for i in (a, b, c):
            normals[i, 0] += nx
            normals[i, 1] += ny
            normals[i, 2] += nz
    for i in range(normals.shape[0]):
        length = np.sqrt(normals[i, 0] ** 2 + normals[i, 1] ** 2 + normals[i, 2] ** 2) + np.float32(1e-12)
        for d in range(3):
            normals[i, d] /= length
    return normals


def head_rotation(yaw: float, pitch: float, roll: float) -> F32:
    """Return the head's rotation matrix [3, 3]; x is image right, y away from the camera, z up.

    Args:
        yaw: degrees, positive turns the nose to image right.
        pitch: degrees, positive lifts the nose.
        roll: degrees, positive turns the face clockwise in the image (its image-right side sinks).
    """
    cy, cp, cr = np.cos(np.radians([yaw, pitch, roll]))
    sy, sp, sr = np.sin(np.radians([yaw, pitch, roll]))
    about_z = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
    about_y = np.array([[cr, 0, sr], [0, 1, 0], [-sr, 0, cr]])
    return (about_y @ about_x @ about_z).astype(np.float32)


def tube(path: F32, radii: F32, segments: int, *, closed: bool = False) -> tuple[F32, I32]:
    """Build a tube around a path that runs mostly along one direction in each piece.

    Args:
        path: [N, 3] points.
        radii: [N, 2] half-axes at each point: the first across the path in the plane nearest to x, the second
            across both.
        segments: corners of the cross-section.
        closed: whether the last point is joined to the first.

    Returns:
        Vertices [N * segments, 3] and triangles [T, 3].
    """
    n = len(path)
    along = np.roll(path, -1, 0) - np.roll(path, 1, 0) if closed else np.gradient(path, axis=0)
    along = along / (np.linalg.norm(along, axis=1, keepdims=True) + 1e-9)
    # The helper direction must nowhere be parallel to the path: x for upright tubes, y for rims.
    helper = np.array([1.0, 0, 0]) if np.abs(along[:, 0]).max() < 0.9 else np.array([0, 1.0, 0])
    second = np.cross(along, helper)
    second /= np.linalg.norm(second, axis=1, keepdims=True)
    first = np.cross(second, along)
    turn = np.arange(segments) / segments * 2 * np.pi
    ring = (
        first[:, None] * (radii[:, 0, None] * np.cos(turn))[..., None]
        + second[:, None] * (radii[:, 1, None] * np.sin(turn))[..., None]
    )
    vertices = (path[:, None] + ring).reshape(-1, 3).astype(np.float32)
    return vertices, grid_triangles(n, segments, wrap_rows=closed, wrap_columns=True)


@cache
def grid_triangles(rows: int, columns: int, *, wrap_rows: bool = False, wrap_columns: bool = False) -> I32:
    """Return triangles [T, 3] of a grid of vertices in row-major order, optionally joined at its borders."""
    i, j = np.meshgrid(
        np.arange(rows if wrap_rows else rows - 1), np.arange(columns if wrap_columns else columns - 1), indexing="ij"
    )
    i2, j2 = (i + 1) % rows, (j + 1) % columns
    a, b, c, d = i * columns + j, i * columns + j2, i2 * columns + j, i2 * columns + j2
    return np.concatenate([np.stack(q, -1).reshape(-1, 3) for q in ((a, b, c), (b, d, c))]).astype(np.int32)
