"""The faces that a recogniser is calibrated on: whom a picture shows, and how the recogniser sees them.

A picture is uint8 [H, W, 3] in BGR.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ..geometry.face_search import DEFAULT_DETECTOR_SIZE
from ..geometry.faces import Detection, with_points_moved
from .comparison import ALIGNMENT_ERROR, Unit, nearby_alignments, unit_of
from .matching import measurable
from .recogniser import FaceRecogniser
from .spoiling import SPOILT

LEAST_SCORE = 0.5
"""Lowest score of a face: a thing that is none would count as a stranger."""

LARGEST_NEIGHBOUR = 0.25
"""Largest area of a second face, as a fraction of the first's: a picture has to show one person."""

ROOM = 1.0
"""How much of the picture around a face is kept, as a fraction of its box's longer side."""

SPOILT_FACES = 100
"""How many faces are spoilt at most: each takes six times as long."""

RESCALED_FACES = 20
"""How many are also seen with the other input scaling."""


@dataclass(frozen=True, eq=False)
class Seen:
    """A face as a recogniser sees it.

    Attributes:
        units: its embeddings at the nine `nearby_alignments`.
        again: its embeddings at four alignments half as far away, where a detector may find it again.
    """

    units: tuple[Unit, ...] = field(repr=False)
    again: tuple[Unit, ...] = field(repr=False)


@dataclass(frozen=True, eq=False)
class Sample:
    """A face of a known person.

    Attributes:
        person: number of the person; equal in all pictures of one.
        seen: the face.
        spoilt: the same place in the spoilt picture, by a name from `SPOILT`; may be empty.
    """

    person: int
    seen: Seen
    spoilt: Mapping[str, Seen]


def only_face(recogniser: FaceRecogniser, picture: NDArray[np.uint8]) -> Detection | str:
    """The face of the one person that a picture shows, or why there is none, in a few words.

    Args:
        recogniser: finds faces.
        picture: to search.
    """
    found = [face for face in recogniser.search(picture, DEFAULT_DETECTOR_SIZE) if face.score >= LEAST_SCORE]
    found.sort(key=lambda face: face.area, reverse=True)
    if not found:
        return "no face was found"
    if len(found) > 1 and found[1].area > LARGEST_NEIGHBOUR * found[0].area:
        return f"it shows {len(found)} faces, and the largest does not stand out"
    return found[0] if measurable(found[0]) else "its face is too small or its landmarks are unclear"


def sample(
    recogniser: FaceRecogniser, picture: NDArray[np.uint8], face: Detection, person: int, spoil: bool = True
) -> Sample | None:
    """Embed a face, and the same place in the spoilt picture; None if that is not possible.

    Args:
        recogniser: embeds faces.
        picture: that shows the face.
        face: such that `measurable` holds.
        person: number of the person.
        spoil: whether to embed the spoilt picture too.
    """
    picture, face = _surroundings(picture, face)
    seen = _see(recogniser, picture, face)
    spoilt = {name: _see(recogniser, change(picture), face) for name, change in SPOILT.items()} if spoil else {}
    known = {name: one for name, one in spoilt.items() if one is not None}
    return None if seen is None or len(known) < len(spoilt) else Sample(person, seen, known)


def _surroundings(picture: NDArray[np.uint8], face: Detection) -> tuple[NDArray[np.uint8], Detection]:
    """The part of the picture that alignments can reach: spoiling a photograph of 48 megapixels takes seconds."""
    x0, y0, x1, y1 = face.box
    room = ROOM * max(x1 - x0, y1 - y0)
    left, top = max(0, int(x0 - room)), max(0, int(y0 - room))
    part = picture[top : int(y1 + room) + 1, left : int(x1 + room) + 1]
    # Landmarks seen elsewhere would give some faces more alignments than others.
    alone = replace(face, other_landmarks=())
    moved = with_points_moved(alone, lambda points: points - (left, top), (x0 - left, y0 - top, x1 - left, y1 - top))
    return np.ascontiguousarray(part), moved


def _see(recogniser: FaceRecogniser, picture: NDArray[np.uint8], face: Detection) -> Seen | None:
    # The first of the nearby alignments is the face itself, the next four are moved to the four sides.
    places = [*nearby_alignments(face), *nearby_alignments(face, ALIGNMENT_ERROR / 2)[1:5]]
    units = [unit_of(recogniser.embedding(picture, place)) for place in places]
    known = tuple(unit for unit in units if unit is not None)
    return Seen(known[:-4], known[-4:]) if len(known) == len(units) else None
