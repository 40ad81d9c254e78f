"""What the detector's outputs mean, and which of them a face is to come out of.

The network knows faces of about one size. It looks at the picture at several scales, so that what it learns of any
face serves faces of all sizes. At each scale its outputs stand on a grid, one for each cell, and are relative to
SIDE. Coordinates are pixels of the scaled picture, (0, 0) its top left corner; a cell's point is its top left corner,
which is where InsightFace counts from.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

F32 = NDArray[np.float32]

STRIDE = 8
"""Pixels of a cell's side."""

SIDE = 28.0
"""Pixels of a face's size, the root of its box's area, that the network knows best."""

SCALES = (1, 2, 4, 8, 16)
"""How many times smaller the picture is made."""

HALF = 0.5
"""Distance of a box's sides from the point at output 0, in SIDE."""

LANDMARKS = ((-0.19, -0.08), (0.19, -0.08), (0.0, 0.18), (-0.15, 0.34), (0.15, 0.34))
"""Places of the landmarks at output 0, in SIDE from the point."""

FITTING = 0.6
"""Octaves that a face's size may differ from SIDE for it to be found."""

UNDECIDED = 0.25
"""More octaves within which it may be found or not."""

NEAR = 0.9
"""Strides from the middle of a face within which points are to find it."""

AROUND = 0.6
"""More strides within which a point may find it or not."""

NEGATIVE, EITHER = -1, -2
"""Of a point that no face belongs to, and one that may find a face or not."""


def overlap(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Of each two boxes [P, 4] the part of their union that they share, in [0, 1], and the same by GIoU, in [-1, 1]."""
    low, high = torch.maximum(first, second), torch.minimum(first, second)
    shared = (high[:, 2:] - low[:, :2]).clamp(min=0).prod(1)
    areas = [(boxes[:, 2:] - boxes[:, :2]).clamp(min=0).prod(1) for boxes in (first, second)]
    union = areas[0] + areas[1] - shared + 1e-6
    around = (low[:, 2:].maximum(high[:, 2:]) - torch.minimum(low[:, :2], high[:, :2])).clamp(min=0).prod(1) + 1e-6
    part = shared / union
    return part, part - (around - union) / around


@lru_cache(maxsize=16)
def points_of(height: int, width: int) -> F32:
    """The points [N, 2] of a picture, row by row; every part of a cell counts as a cell."""
    y, x = np.mgrid[: -(-height // STRIDE), : -(-width // STRIDE)]
    return (np.stack([x, y], axis=-1).reshape(-1, 2) * STRIDE).astype(np.float32)


def assign(points: F32, boxes: F32, counted: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Which face each point is to find.

    Args:
        points: [N, 2].
        boxes: [F, 4].
        counted: [F]; the others are faces that may be found or not.

    Returns:
        [N]: number of the face, NEGATIVE or EITHER.
    """
    result = np.full(len(points), NEGATIVE, np.int64)
    if len(boxes) == 0:
        return result
    extent = np.maximum(boxes[:, 2:] - boxes[:, :2], 1e-3)
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    octaves = np.abs(np.log2(np.sqrt(extent.prod(1)) / SIDE))[:, None]
    offset = np.abs(points[None] - middle[:, None])
    distance = offset.max(-1) / STRIDE
    positive = (octaves <= FITTING) & (distance <= NEAR) & counted[:, None]
    either = (octaves <= FITTING + UNDECIDED) & (distance <= NEAR + AROUND)
    either |= ~counted[:, None] & (offset <= extent[:, None] / 2).all(-1) & (octaves <= 2 * FITTING)
    result[either.any(0)] = EITHER
    taken = positive.any(0)
    result[taken] = np.where(positive, distance, np.inf).argmin(0)[taken]
    return result


def decode_boxes(raw: Tensor, points: Tensor) -> Tensor:
    """Boxes [..., 4] from the network's [..., 4] at `points` [..., 2]."""
    distances = (raw + HALF) * SIDE
    return torch.cat([points - distances[..., :2], points + distances[..., 2:]], dim=-1)


def decode_landmarks(raw: Tensor, points: Tensor) -> Tensor:
    """Landmarks [..., 5, 2] from the network's [..., 10]."""
    places = raw.unflatten(-1, (5, 2)) + torch.tensor(LANDMARKS, dtype=raw.dtype)
    return points[..., None, :] + places * SIDE
