"""Which find shows which face that was drawn, and which shows nobody."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lab.boxes import intersection_over_union

from .photographs import TrueFace

MATCHED = 0.4
"""Least intersection over union at which a found box matches a face, as in the pack
(`geometry.finds.SAME_FACE_IOU`); a box with less may show hair or a neighbour."""

ALIKE = 0.15
"""Largest mean distance between the landmarks of a find and its face, in units of the face's longer side.

A box around the visible half of a face overlaps the true box by half at most, so boxes alone would not match."""


class Find(NamedTuple):
    """A find in a photograph: box x0, y0, x1, y1 and landmarks [5, 2], in pixels."""

    box: tuple[float, ...]
    landmarks: NDArray[np.float64]

    def lies_on(self, mask: NDArray[np.bool_]) -> bool:
        """Whether the middle of its box lies on a mask [H, W]."""
        x, y = (round((low + high) / 2) for low, high in ((self.box[0], self.box[2]), (self.box[1], self.box[3])))
        return 0 <= y < mask.shape[0] and 0 <= x < mask.shape[1] and bool(mask[y, x])


class Stranger(NamedTuple):
    """A face in the verdict that was not drawn.

    Attributes:
        found: the search that found it, "first" or "second".
        size: the longer side of its first box, pixels.
        score: of the find, None if the verdict does not say it.
        on_head: whether its middle lies on a drawn head: a fragment, or one find of two people.
    """

    found: str
    size: float
    score: float | None
    on_head: bool


def match(true: Sequence[TrueFace], found: Sequence[Find]) -> list[int | None]:
    """Match finds with faces one to one, best matches first; return the index of each face's find, or None.

    A find matches a face if their boxes overlap enough (MATCHED) or their landmarks agree (ALIKE).
    """
    matches: list[int | None] = [None] * len(true)
    if not true or not found:
        return matches
    parts = intersection_over_union(np.array([face.box for face in true]), np.array([find.box for find in found]))
    points = [np.stack([one.landmarks for one in faces]) for faces in (true, found)]
    away = np.linalg.norm(points[0][:, None] - points[1][None], axis=-1).mean(-1)
    alike = away <= ALIKE * np.array([face.size for face in true])[:, None]
    parts = np.where(alike, np.maximum(parts, MATCHED), parts)
    while parts.max() >= MATCHED:
        face, number = np.unravel_index(parts.argmax(), parts.shape)
        matches[int(face)] = int(number)
        parts[face, :] = parts[:, number] = -1
    return matches


def match_in_turn(true: Sequence[TrueFace], found: Sequence[Find], handled: int) -> list[int | None]:
    """Match all faces with the first `handled` finds, then the remaining faces with the other finds."""
    matches = match(true, found[:handled])
    left = [face for face, number in enumerate(matches) if number is None]
    for face, number in zip(left, match([true[face] for face in left], found[handled:]), strict=True):
        matches[face] = None if number is None else handled + number
    return matches


def strangers(
    finds: Sequence[Find],
    scores: Sequence[float | None],
    matches: Sequence[int | None],
    handled: int,
    heads: NDArray[np.bool_],
) -> tuple[Stranger, ...]:
    """The finds that show nobody who was drawn.

    Args:
        finds: in the verdict's order.
        scores: of the finds; None where the verdict does not say it.
        matches: for each face the number of its find.
        handled: how many of the finds the first search made.
        heads: [H, W], where heads were drawn.
    """
    return tuple(
        Stranger(
            found="first" if number < handled else "second",
            size=max(find.box[2] - find.box[0], find.box[3] - find.box[1]),
            score=score,
            on_head=find.lies_on(heads),
        )
        for number, (find, score) in enumerate(zip(finds, scores, strict=True))
        if number not in matches
    )
