"""Closer looks at a find: it alone, at the sizes that every detector knows best.

Boxes are float [F, 5] arrays: x0, y0, x1, y1 in pixels of the picture, and the score in [0, 1].
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .boxes import intersection_over_union
from .face_search import View
from .faces import Detection

CLOSER_LOOKS = ((3.0, 224), (2.0, 224), (4.0, 192), (6.0, 256))
"""How closer looks show a find: the shown square's side, as a multiple of the find's, and the detector's input side in
pixels. The find then spans 75, 112, 48 and 43 pixels: sizes that every detector knows best."""

Look = Callable[[Sequence[View]], Sequence[NDArray[Any]]]
"""Shows the detector a picture in some views; returns what each sees, boxes [F, 5] in the picture's pixels."""

LookWithout = Callable[[Sequence[Detection], Sequence[View]], Sequence[NDArray[Any]]]
"""A `Look` at the picture with these faces made flat (`flat_faces`)."""

MATCHES_CLOSER = 0.3
"""Intersection over union with the find from which what a closer look sees is the same thing."""


def closer_views(
    box: NDArray[Any], turns: int, height: int, width: int, fixed_size: int | None = None
) -> tuple[View, ...]:
    """The closer looks at a find: around it at four sizes, each also mirrored.

    Args:
        box: [4 or more], x0, y0, x1, y1.
        turns: quarter turns of the view that made the find.
        height: of the picture, pixels.
        width: of the picture, pixels.
        fixed_size: the only size that the detector's file accepts, or None if it accepts any.
    """
    middle, side = (box[:2] + box[2:4]) / 2, float(np.max(box[2:4] - box[:2]))
    views = []
    for times, size in CLOSER_LOOKS:
        reach = times * side / 2
        x0, y0 = (int(max(np.floor(corner), 0)) for corner in middle - reach)
        x1, y1 = (int(np.ceil(corner)) for corner in middle + reach)
        tile = (min(x0, width - 1), min(y0, height - 1), max(min(x1, width), 1), max(min(y1, height), 1))
        # What lies beyond the picture is black, so that the find keeps its size.
        longest = max(tile[2] - tile[0], tile[3] - tile[1])
        border = max(0.0, (2 * reach / longest - 1) / 2)
        for mirrored in (False, True):
            views.append(View(fixed_size or size, border, mirrored, turns, tile))
    return tuple(views)


def of_closer_looks(
    box: NDArray[Any],
    views: Sequence[View],
    look: Look,
    others: NDArray[Any],
    worth_it: Callable[[float], bool] = lambda mean: True,
) -> float:
    """What closer looks say of a find: the mean score over all of them, 0 where one saw nothing there.

    Args:
        box: [5], the find.
        views: the looks, in pairs that show the same square.
        look: takes them.
        others: [M, 4 or more], surer finds: what fits one of them better is not this one.
        worth_it: told after each pair how large the mean can still become; False ends the looks.

    Returns:
        The mean, or how large it could have become where it was not worth it.
    """
    scores: list[float] = []
    most = 1.0
    for start in range(0, len(views), 2):
        for seen in look(views[start : start + 2]):
            fit = intersection_over_union(np.concatenate([box[None, :4], others[:, :4]]), seen)
            same = (fit[0] >= MATCHES_CLOSER) & (fit[0] >= fit.max(axis=0))
            scores.append(float(seen[same, 4].max()) if same.any() else 0.0)
        most = (sum(scores) + len(views) - len(scores)) / len(views)
        if not worth_it(most):
            break
    return most
