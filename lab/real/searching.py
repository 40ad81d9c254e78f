"""What the pack's search makes of real pictures: whom it finds, whom it misses, and what it hides where nobody is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import host
from .cache import CHECKER, PACK_NAME
from .pictures import Box, Picture
from .replay import replayed

OVERLAP = 0.3
"""Intersection over union from which on a find is of a face."""

SMALL = 20.0
"""Longer side in pixels below which a face is counted by itself."""


@dataclass(frozen=True, eq=False)
class Searched:
    """What the pack did with one picture.

    Attributes:
        picture: it.
        faces: FACES of Embed Faces with its defaults, all chosen.
        hidden: part of the picture's area, in [0, 1], that Cover Faces hides of them.
        second: boxes that Identity Check finds in the unchanged picture.
    """

    picture: Picture
    faces: Any
    hidden: float
    second: tuple[Box, ...]

    @property
    def first(self) -> tuple[Box, ...]:
        """Boxes that Embed Faces finds."""
        return tuple(face.box for face in self.faces.images[0])


def views_of(picture: Picture, live: bool) -> AbstractContextManager[None]:
    """How the detector's finds in a picture are had: computed, or read from the store."""
    return nullcontext() if live else replayed(picture)


def embed(picture: Picture, live: bool) -> Any:
    """FACES of Embed Faces with its defaults, all chosen."""
    image = host.image(picture.pixels())
    with views_of(picture, live):
        return host.node("FaceEmbed", image, PACK_NAME, provider="CPU", select="all", no_face="empty list")[0]


def search(pictures: Iterable[Picture], live: bool) -> Iterator[Searched]:
    """Run Embed Faces, Cover Faces and Identity Check's second search on unchanged pictures."""
    for picture in pictures:
        image = host.image(picture.pixels())
        faces = embed(picture, live)
        hidden = host.node("ReverseIdentityFaceCover", image, faces=faces)[2] if len(faces) else np.zeros(1)
        nobody = _without_faces(faces)
        with views_of(picture, live):
            verdict = host.node("ReverseIdentityCheck", image, nobody, image, CHECKER, provider="CPU")[0]
        second = tuple(face.boxes[0] for face in verdict.images[0])
        yield Searched(picture, faces, float(hidden.mean()), second)


def _without_faces(faces: Any) -> Any:
    from dataclasses import replace

    return replace(faces, images=((),), left_out=((),))


def overlap(a: Box, b: Box) -> float:
    """Intersection over union."""
    across = min(a[2], b[2]) - max(a[0], b[0])
    down = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(across, 0.0) * max(down, 0.0)
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def matched(faces: Sequence[Box], finds: Sequence[Box]) -> list[int | None]:
    """For each face the find that is of it, one to one, the best overlap first; None where there is none."""
    pairs = sorted(
        ((overlap(face, find), i, j) for i, face in enumerate(faces) for j, find in enumerate(finds)), reverse=True
    )
    result: list[int | None] = [None] * len(faces)
    for shared, i, j in pairs:
        if shared >= OVERLAP and result[i] is None and j not in result:
            result[i] = j
    return result


def nobody_figures(searched: Sequence[Searched]) -> dict[str, Any]:
    """What is found and hidden in pictures without people."""
    if not searched:
        return {"pictures": 0}
    first, second = [len(one.first) for one in searched], [len(one.second) for one in searched]
    hidden = [one.hidden for one in searched]
    return {
        "pictures": len(searched),
        "finds_mean": round(float(np.mean(first)), 2),
        "finds_most": max(first),
        "second_finds_mean": round(float(np.mean(second)), 2),
        "area_mean": round(float(np.mean(hidden)), 5),
        "area_worst": round(max(hidden), 5),
        "pictures_with_cover": sum(area > 0 for area in hidden),
    }


def recall_figures(searched: Sequence[Searched]) -> dict[str, Any]:
    """Whom both searches find in pictures of people."""
    counts: dict[str, list[int]] = {}
    missed, false = [], []
    for one in searched:
        boxes = [face.box for face in one.picture.faces]
        first, second = matched(boxes, one.first), matched(boxes, one.second)
        for face, a, b in zip(one.picture.faces, first, second, strict=True):
            kind = face.note or ("small" if face.side < SMALL else "face")
            for name in (kind, "all"):
                count = counts.setdefault(name, [0, 0, 0])
                count[0] += 1
                count[1] += a is not None
                count[2] += b is not None
            if a is None or b is None:
                missed.append(
                    {
                        "picture": one.picture.path,
                        "box": face.box,
                        "note": face.note,
                        "first": a is not None,
                        "second": b is not None,
                    }
                )
        if one.picture.complete:
            false.append(len(one.first) - sum(match is not None for match in first))
    return {
        "pictures": len(searched),
        "faces": {name: {"faces": n, "first": a, "second": b} for name, (n, a, b) in sorted(counts.items())},
        "false_finds_mean": round(float(np.mean(false)), 2) if false else None,
        "missed": missed,
    }
