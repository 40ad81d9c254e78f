"""The pack's search on stored finds: its nodes run as they are, but the finds of a view are read, not computed.

Closer and upright looks depend on what was found, so they are not stored; they are quick and computed as ever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import host
from .finds import THRESHOLD, Finds, read
from .pictures import Picture

COMPUTED = ("_look_closer", "_look_upright")
"""Methods of the pack whose looks are computed."""

Key = tuple[int, float, bool, int, tuple[int, ...]]


def _keys(finds: Finds) -> dict[Key, int]:
    columns = zip(
        finds.look_size, finds.look_border, finds.look_mirrored, finds.look_turns, finds.look_tile, strict=True
    )
    return {
        (int(size), float(border), bool(mirrored), int(turns), tuple(tile.tolist())): number
        for number, (size, border, mirrored, turns, tile) in enumerate(columns)
    }


@contextmanager
def replayed(picture: Picture) -> Iterator[None]:
    """Within, the pack finds in any picture what it has found in this one: only this one may be searched.

    Raises:
        FileNotFoundError: its finds are not stored.
        LookupError: the pack takes a view that is not stored, or asks for scores below those that are.
    """
    finds = read(picture)
    numbers = _keys(finds)

    def detect(self: Any, view: Any, *canvas: Any) -> tuple[NDArray[Any], NDArray[Any]]:
        lowest = min(evidence.LOOK_SCORE, self.threshold)
        if lowest < THRESHOLD:
            raise LookupError(f"scores from {lowest:g} on are asked for; stored from {THRESHOLD:g} on")
        key = (view.size, view.border, view.mirrored, view.turns, tuple(view.tile or (-1,) * 4))
        if key not in numbers:
            raise LookupError(f"{view} of {picture.path} is not stored; delete its finds and compute them again")
        here = (finds.look == numbers[key]) & (finds.scores >= lowest)
        boxes = np.concatenate([finds.boxes[here], finds.scores[here, None]], axis=1)
        return boxes, finds.landmarks[here].astype(np.float64)

    kind: Any = host.module("host.insight").FacePack
    evidence: Any = host.module("reverse_personalization.geometry.evidence")
    own = kind._detect
    computed = {name: getattr(kind, name) for name in COMPUTED}

    def computing(look: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any) -> Any:
            kind._detect = own
            try:
                return look(*arguments)
            finally:
                kind._detect = detect

        return wrapped

    kind._detect = detect
    for name, look in computed.items():
        setattr(kind, name, computing(look))
    try:
        yield
    finally:
        kind._detect = own
        for name, look in computed.items():
            setattr(kind, name, look)
