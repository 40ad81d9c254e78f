"""Landmarks for a face of which only a box is known, because a person drew it or another detector gave no more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .boxes import intersection_over_union
from .decisions import same_face, struck_out
from .face_search import SearchPlan, crop_search_size, turned_search_plan
from .faces import Box, Decisions, Detection
from .template import ARCFACE_LANDMARKS, ARCFACE_SIDE

Picture = NDArray[np.uint8]
"""uint8 [H, W, 3], BGR."""

Search = Callable[[Picture], Sequence[Detection]]
"""Finds the faces in a part of a picture, in pixels of that part."""

PlannedSearch = Callable[[Picture, int, SearchPlan], Sequence[Detection]]
"""Finds the faces of a picture in the views of a plan, at a size of the detector's input in pixels."""

CROP_PER_HEIGHT = 1.0
"""Side of the ArcFace crop of a face, as a fraction of the height of its box: 1.01, as the median of 159 faces that
CenterFace found upright in photographs, with scores above 0.8. The other two numbers are theirs as well."""

CROP_CENTRE = 0.43
"""Where the middle of that crop lies in the box: in the middle across, and this fraction of the height below its upper
edge."""

WIDTH_PER_HEIGHT = 0.77
"""Width of the box of a face, as a fraction of its height."""

MARGIN = 1.0
"""How much of a box's longer side is searched on each side of the box: a detector wants to see more than the face."""

MIN_DRAWN_IOU = 0.25
"""Smallest intersection over union of a box that a person drew and what a detector sees there. People draw around the
hair as well, or around the features only: at half the height, in between lies 0.25."""


def standard_face(box: Box, score: float = 0.0) -> Detection:
    """An average upright frontal face in a box.

    Args:
        box: x0, y0, x1, y1 in pixels.
        score: a detector's confidence, if one saw the face.
    """
    x0, y0, x1, y1 = box
    # In a box of another shape than a face's, the shorter side says how large the face is.
    height = min(y1 - y0, (x1 - x0) / WIDTH_PER_HEIGHT)
    centre = np.array([(x0 + x1) / 2, (y0 + y1) / 2 + (CROP_CENTRE - 0.5) * height])
    points = centre + (ARCFACE_LANDMARKS / ARCFACE_SIDE - 0.5) * CROP_PER_HEIGHT * height
    return Detection(box=box, landmarks=tuple((x, y) for x, y in points.tolist()), score=score)


def part_search(search: PlannedSearch, det_size: int) -> Search:
    """The search of a part of a picture in which somebody says that a face is: in all quarter turns.

    Args:
        search: of whole pictures.
        det_size: pixels, a multiple of 32; a small part is searched at a smaller size.
    """
    return lambda part: search(part, crop_search_size(max(part.shape[:2]), det_size), turned_search_plan)


def look_closer(search: Search, picture: Picture, box: Box, others: Sequence[Detection] = ()) -> Detection | None:
    """Search the part of a picture around a box for the face in it.

    Args:
        search: of the part of the picture that is as large as the box and MARGIN on every side.
        picture: uint8 [H, W, 3], BGR.
        box: around one face, in pixels; may reach outside the picture.
        others: other known faces; none of them is taken for the face in the box.

    Returns:
        In pixels of the picture what fits the box best, weighed by its score; None if nothing does.
    """
    height, width = picture.shape[:2]
    x0, y0, x1, y1 = box
    margin = MARGIN * max(x1 - x0, y1 - y0)
    left, top = max(0, int(x0 - margin)), max(0, int(y0 - margin))
    right, bottom = min(width, int(x1 + margin) + 1), min(height, int(y1 + margin) + 1)
    if left >= right or top >= bottom:
        return None
    finds = [_moved(find, left, top) for find in search(np.ascontiguousarray(picture[top:bottom, left:right]))]
    if not finds:
        return None
    fit = intersection_over_union(np.array([find.box for find in finds]), np.array([box]))[:, 0]
    known = same_face(finds, [other.box for other in others]).any(axis=1)
    inside = [x0 <= find.centre[0] <= x1 and y0 <= find.centre[1] <= y1 for find in finds]
    rating = np.where((fit >= MIN_DRAWN_IOU) & ~known & inside, fit * [find.score for find in finds], 0.0)
    best = int(rating.argmax())
    return finds[best] if rating[best] > 0 else None


def _moved(find: Detection, left: int, top: int) -> Detection:
    x0, y0, x1, y1 = find.box
    return replace(
        find,
        box=(x0 + left, y0 + top, x1 + left, y1 + top),
        landmarks=tuple((x + left, y + top) for x, y in find.landmarks),
    )


@dataclass(frozen=True, eq=False)
class Decided:
    """The faces of one image after a person's decisions. Numbers count from 0.

    Attributes:
        faces: the finds in their order, with what is struck out, then the drawn faces that are none of them.
        struck: for each face the number of the decision that strikes it out, or None.
        drawn: for each drawn box the number of its face.
        found: how many of the faces were found; the others are only drawn.
    """

    faces: tuple[Detection, ...]
    struck: tuple[int | None, ...]
    drawn: tuple[int, ...]
    found: int

    @property
    def numbers_struck(self) -> frozenset[int]:
        """Numbers of the faces that are struck out."""
        return frozenset(number for number, by in enumerate(self.struck) if by is not None)

    @property
    def kept(self) -> tuple[int, ...]:
        """Numbers of the faces that are not struck out, ascending."""
        return tuple(number for number, by in enumerate(self.struck) if by is None)

    @property
    def doubtful(self) -> tuple[int, ...]:
        """Numbers of the finds that may be something else than a face and that nobody has decided about, ascending."""
        return tuple(number for number in self.kept if self.faces[number].doubtful and number not in self.drawn)

    def drawn_by(self, number: int) -> int | None:
        """The number of the drawn box whose face has this number; None if nobody drew it."""
        return self.drawn.index(number) if number in self.drawn else None


def decide(finds: Sequence[Detection], decisions: Decisions, search: Search, picture: Picture) -> Decided:
    """Apply a person's decisions to what a search found.

    A drawn box that fits a find confirms it, unless the same person has struck it out; then the box is another face.
    Of any other box, the closer look gives landmarks, or else they are an average face's.

    Args:
        finds: of the picture, in their order.
        decisions: about the picture.
        search: for the closer look, see `look_closer`.
        picture: uint8 [H, W, 3], BGR.
    """
    faces = list(finds)
    struck = struck_out(finds, decisions.not_faces)
    drawn = []
    for box in decisions.drawn_faces:
        free = [number for number, by in enumerate(struck) if by is None]
        people = [faces[number] for number in free]
        confirmed = _fitting(people, box)
        if confirmed is not None:
            drawn.append(free[confirmed])
            continue
        drawn.append(len(faces))
        faces.append(look_closer(search, picture, box, people) or standard_face(box))
        struck.append(None)
    return Decided(tuple(faces), tuple(struck), tuple(drawn), len(finds))


def _fitting(faces: Sequence[Detection], box: Box) -> int | None:
    """Number of the face that a box fits best, if it fits any."""
    fit: NDArray[Any] = same_face(faces, [box])
    if not len(fit) or fit.max() == 0:
        return None
    return int(fit.argmax())


def with_detections(
    finds: Sequence[Detection], given: Sequence[Detection], search: Search, picture: Picture
) -> list[Detection]:
    """Add what another detector found to what the search found.

    Args:
        finds: of the picture.
        given: by the other detector; without landmarks where it gives none.
        search: for the landmarks of these, see `look_closer`.
        picture: uint8 [H, W, 3], BGR.

    Returns:
        The finds, then what is none of them; all with landmarks.
    """
    faces = list(finds)
    for face in given:
        if _fitting(faces, face.box) is not None:
            continue
        if not face.landmarks:
            closer = look_closer(search, picture, face.box, faces)
            face = standard_face(face.box, face.score) if closer is None else replace(closer, score=face.score)
        faces.append(face)
    return faces
