"""Finds of a search, made by hand."""

from __future__ import annotations

import numpy as np

from reverse_personalization.geometry.finds import Finds


def finds_of(boxes: list[list[float]], views: list[int], upright: bool = True) -> Finds:
    """Finds with their landmarks in the middle of their boxes."""
    array = np.array(boxes, float).reshape(-1, 5)
    middles = (array[:, :2] + array[:, 2:4]) / 2
    count = len(array)
    return Finds(
        array,
        np.repeat(middles[:, None], 5, axis=1),
        np.array(views, np.intp),
        np.zeros(count, bool),
        np.full(count, upright),
    )
