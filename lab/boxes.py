"""Boxes x0, y0, x1, y1."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def intersection_over_union(first: NDArray[np.floating], second: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the intersection over union of each pair of boxes.

    Args:
        first: [M, 4].
        second: [N, 4].

    Returns:
        [M, N] in [0, 1].
    """
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(-1)
    areas = [np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(-1) for boxes in (first, second)]
    result: NDArray[np.float64] = shared / np.maximum(areas[0][:, None] + areas[1][None] - shared, 1e-9)
    return result
