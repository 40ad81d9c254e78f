"""What the detector's outputs mean, and which of them must find which face.

The network knows faces of about one size. It looks at the picture at several scales, so what it learns serves faces of
all sizes. At each scale there is one output for each cell of a grid, in units of SIDE. Coordinates are pixels
of the scaled picture, with (0, 0) at its top left corner. A cell's point is its top left corner, as InsightFace has it.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

F32 = NDArray[np.float32]

STRIDE = 8
"""Side of a cell in pixels."""

SIDE = 28.0
"""Face size that the network knows best: the square root of the box's area, in pixels."""

SCALES = (1, 2, 4, 8, 16)
"""Factors by which the picture is shrunk."""

HALF = 0.5
"""Distance of a box's edges from the point at output 0, in units of SIDE."""

LANDMARKS = ((-0.19, -0.08), (0.19, -0.08), (0.0, 0.18), (-0.15, 0.34), (0.15, 0.34))
"""Landmarks at output 0, relative to the point, in units of SIDE."""

FITTING = 0.6
"""Octaves by which the size of a face that must be found may differ from SIDE."""

UNDECIDED = 0.25
"""Further octaves within which it may or may not be found."""

NEAR = 0.9
"""Strides from the middle of a face within which points must find it."""

AROUND = 0.6
"""Further strides within which a point may or may not find it."""

NEGATIVE, EITHER = -1, -2
"""Labels of a point without a face, and of one that may or may not find a face."""


def overlap(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Return intersection over union, in [0, 1], and GIoU, in [-1, 1], of pairs of boxes [P, 4]."""
    low, high = torch.maximum(first, second), torch.minimum(first, second)
    shared = (high[:, 2:] - low[:, :2]).clamp(min=0).prod(1)
    areas = [(boxes[:, 2:] - boxes[:, :2]).clamp(min=0).prod(1) for boxes in (first, second)]
    union = areas[0] + areas[1] - shared + 1e-6
    around = (low[:, 2:].maximum(high[:, 2:]) - torch.minimum(low[:, :2], high[:, :2])).clamp(min=0).prod(1) + 1e-6
    part = shared / union
    return part, part - (around - union) / around


@lru_cache(maxsize=16)
def points_of(height: int, width: int) -> F32:
    """Return the points [N, 2] of a picture, row by row. Partial cells at the border count as cells."""
    y, x = np.mgrid[: -(-height // STRIDE), : -(-width // STRIDE)]
    return (np.stack([x, y], axis=-1).reshape(-1, 2) * STRIDE).astype(np.float32)


def assign(points: F32, boxes: F32, counted: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Assign to each point the face that it must find.

    Args:
        points: [N, 2].
        boxes: [F, 4].
        counted: [F]; the other faces may or may not be found.

    Returns:
        [N]: index of the face, NEGATIVE or EITHER.
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
    """Decode outputs [..., 4] at `points` [..., 2] to boxes [..., 4]."""
    distances = (raw + HALF) * SIDE
    return torch.cat([points - distances[..., :2], points + distances[..., 2:]], dim=-1)


def decode_landmarks(raw: Tensor, points: Tensor) -> Tensor:
    """Decode outputs [..., 10] at `points` [..., 2] to landmarks [..., 5, 2]."""
    places = raw.unflatten(-1, (5, 2)) + torch.tensor(LANDMARKS, dtype=raw.dtype)
    return points[..., None, :] + places * SIDE
