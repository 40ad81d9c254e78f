"""Upright looks at tilted faces, because detectors place the landmarks of upright faces best.

The views of a search show a picture in quarter turns, so that a face may still be tilted by 45 degrees in the best of
them. Of 387 rendered faces, six had landmarks so wrong that a recogniser did not know the person at any alignment
near them; all were tilted by 30 degrees or more from a quarter turn. Shown upright, all six are placed as well as
others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .alignment import inverted
from .boxes import intersection_over_union
from .closer_looks import MATCHES_CLOSER
from .evidence import CERTAIN
from .faces import Box, Detection, Landmarks
from .finds import ELSEWHERE, TURNED_OTHERWISE, Finds, apart
from .template import ARCFACE_LANDMARKS

TILTED = 8.0
"""Degrees from the nearest quarter turn from which a face is looked at upright."""

SURER = 0.06
"""How much more an upright look must score than looks at the same face turned otherwise, to tell which way up it is.
Of 14 rendered faces of which the views did not agree, the wrong way up scored most once, by 0.01."""

UNRIVALLED = 0.75
"""An upright look that scores this much leaves no room for another way up that scores SURER more. If all that saw it
agree, its landmarks leave no doubt either: of 17 such faces whose landmarks the views had seen in two places, all but
one of 16 pixels were placed within 0.27 of their spread, and the other places were up to 0.57 off."""

RIVALS_BY = 0.03
"""How much more than it another way up must score for a face not to be turned as the search saw it. Of 529 rendered
faces that were placed rightly, none had one that scored more than 0.02 more; of a face tilted by 52 degrees, which all
upright views took for one tilted by 26 the other way, it scored 0.17 more."""

SETTLED = 10.0
"""Degrees by which an upright look may still turn a face; beyond, the next look is turned by what this one saw."""

MOST_LOOKS = 3
"""Number of upright looks at one face."""

UPRIGHT_VIEWS = 4
"""How many of the closer looks (`closer_looks.CLOSER_LOOKS`, each also mirrored) make an upright one."""

LEAST_SPREAD = 0.05
"""Standard deviation of a face's landmarks, in x or y and in longer sides of its box, below which they say nothing
about where it is; in rendered faces it is 0.12 or more."""

SQUARE = 3.0
"""Side of the square shown around a face, in longer sides of its box."""

MOST_PIXELS = 450
"""Longest side of that square in pixels: a closer look does not show more."""


def tilt(landmarks: NDArray[np.float64]) -> float:
    """Degrees clockwise by which a face is turned in its picture, in (-180, 180].

    Args:
        landmarks: [5, 2] pixels. The rotation that fits them to the average face best counts.
    """
    points, upright = (places @ (1, 1j) for places in (landmarks, ARCFACE_LANDMARKS))
    return float(np.angle(((points - points.mean()) * (upright - upright.mean()).conj()).sum(), deg=True))


def is_tilted(landmarks: Landmarks) -> bool:
    """Whether a face is turned by TILTED or more from the nearest quarter turn."""
    return abs((tilt(np.array(landmarks)) + 45) % 90 - 45) >= TILTED


@dataclass(frozen=True, eq=False)
class Upright:
    """What upright looks see of a face.

    Attributes:
        landmarks: [5, 2] in pixels of the picture, the mean of all looks by their scores.
        score: the mean score of the looks, 0 where one saw nothing.
        agree: whether all that saw it have its landmarks at nearly the same place (`finds.ELSEWHERE`).
    """

    landmarks: NDArray[np.float64]
    score: float
    agree: bool


@dataclass(frozen=True, eq=False)
class UprightSquare:
    """A square in which a face is shown upright, alone in its middle.

    Attributes:
        to_square: [2, 3], from pixels of the picture to pixels of the square.
        side: of the square, pixels.
        box: [4], the face's box in it.
    """

    to_square: NDArray[np.float64]
    side: int
    box: NDArray[np.float64]

    def face_in(self, finds: Finds, looks: int) -> Upright | None:
        """The face as upright looks see it.

        Args:
            finds: of the looks, in pixels of the square.
            looks: how many there were.

        Returns:
            None if none saw anything.
        """
        overlaps = intersection_over_union(self.box[None], finds.boxes)[0]
        matches = overlaps >= MATCHES_CLOSER
        here, overlaps = finds.only(matches), overlaps[matches]
        best: dict[int, int] = {}
        # A neighbour may be seen more clearly, but further away.
        for number in np.argsort(here.boxes[:, 4] * overlaps, kind="stable"):
            best[int(here.views[number])] = int(number)
        if not best:
            return None
        seen = list(best.values())
        scores = here.boxes[seen, 4]
        middle = (here.landmarks[seen] * scores[:, None, None]).sum(axis=0) / scores.sum()
        back = inverted(self.to_square)
        agree = bool((apart(here.landmarks[seen], middle) < ELSEWHERE).all())
        return Upright(middle @ back[:, :2].T + back[:, 2], float(scores.sum()) / looks, agree)


def upright_square(box: Box, landmarks: NDArray[np.float64]) -> UprightSquare:
    """The square that shows a face upright.

    Args:
        box: of the face, pixels of the picture.
        landmarks: [5, 2], likewise; they tell how it is turned.
    """
    corners = np.array(box).reshape(2, 2)
    longest = float((corners[1] - corners[0]).max())
    side = max(int(np.ceil(min(SQUARE * longest, MOST_PIXELS))), 1)
    scale = side / (SQUARE * longest)
    turn = scale * np.exp(-1j * np.deg2rad(tilt(landmarks)))
    linear = np.array([[turn.real, -turn.imag], [turn.imag, turn.real]])
    offset = side / 2 - linear @ corners.mean(axis=0)
    half = scale * longest / 2
    middle = np.full(2, side / 2)
    return UprightSquare(
        np.concatenate([linear, offset[:, None]], axis=1), side, np.concatenate([middle - half, middle + half])
    )


UprightLook = Callable[[UprightSquare], "Upright | None"]
"""Shows a square of the picture to the detector."""


def seen_upright(face: Detection, look: UprightLook, least: float, clear: float) -> Detection:
    """A face as upright looks see it, if it is tilted or uncertain, or if the views of the search do not agree on it.

    Args:
        face: as the search found it.
        look: at the picture.
        least: lowest score of a face that the search knows to be turned as it is; other ways up count only if they
            score RIVALS_BY more.
        clear: lowest score of a face that the search does not know so; the same face must also score SURER more than
            turned otherwise.

    Returns:
        The face with its landmarks as upright looks see them; unclear if they do not see it clearly.
    """
    misplaced = is_tilted(face.landmarks) or bool(face.other_landmarks)
    if face.landmarks_agree and not misplaced and face.score >= CERTAIN:
        return face
    ways = _ways(face, [0], look)
    known = face.landmarks_agree and bool(ways) and ways[0].score >= least
    if not known or ways[0].score < UNRIVALLED:
        ways += _ways(face, [1, 2, 3], look)
    if known and not _rivals(ways[0], ways, RIVALS_BY):
        return _with_landmarks(face, ways[0]) if misplaced else face
    best = max(ways, key=lambda one: one.score, default=None)
    if best is None or not best.agree or best.score < clear or _rivals(best, ways, -SURER):
        return replace(face, landmarks_agree=False)
    return replace(_with_landmarks(face, best), landmarks_agree=True)


def one_each(before: Sequence[Detection], after: Sequence[Detection]) -> list[Detection]:
    """Leave out finds that turn out to be another find's face: their landmarks are those of that face.

    Args:
        before: the faces as the search found them, the surest first.
        after: the same faces as upright looks see them.

    Returns:
        The faces of `after` without a find that had a surer face's landmarks (nearer than `finds.ELSEWHERE`) in the
        search already, or that was doubtful and has those of a certain face now. Another that has them now may be
        somebody beside that face, whom the upright looks did not see: it is unclear, and lies where it lay before.
    """
    kept: list[Detection] = []
    for face, seen in zip(before, after, strict=True):
        same = [one for one in kept if _same_place(one, seen)]
        if not same:
            kept.append(seen)
        elif not any(_same_place(one, face) or (face.doubtful and one.score >= CERTAIN) for one in same):
            kept.append(replace(face, landmarks_agree=False))
    return kept


def _same_place(face: Detection, other: Detection) -> bool:
    """Whether two faces have their landmarks at one place; those of a faulty detector may all be at one point."""
    points = np.array(face.landmarks)
    corners = np.array(face.box).reshape(2, 2)
    if points.std(axis=0).max() < LEAST_SPREAD * (corners[1] - corners[0]).max():
        return False
    return bool(apart(np.array(other.landmarks), points) < ELSEWHERE)


def _rivals(face: Upright, ways: Sequence[Upright], by: float) -> list[Upright]:
    """What shows it turned otherwise (`finds.TURNED_OTHERWISE`) and scores more than it by so much."""
    degrees = tilt(face.landmarks)
    return [
        one
        for one in ways
        if one.score > face.score + by and abs(_turned(tilt(one.landmarks) - degrees)) > TURNED_OTHERWISE
    ]


def _ways(face: Detection, turns: Sequence[int], look: UprightLook) -> list[Upright]:
    """What upright looks see of a face turned clockwise by each of so many quarters from how the search saw it."""
    return [seen for turn in turns if (seen := _settled(face, turn, look))]


def _settled(face: Detection, turns: int, look: UprightLook) -> Upright | None:
    """What upright looks see of a face, if it is turned clockwise by so many quarters from how the search saw it."""
    x0, y0, x1, y1 = face.box
    middle = np.array([(x0 + x1) / 2, (y0 + y1) / 2])
    arms = np.array(face.landmarks) - middle
    for _ in range(turns):
        arms = np.stack([-arms[:, 1], arms[:, 0]], axis=1)
    landmarks, seen = arms + middle, None
    for _ in range(MOST_LOOKS):
        degrees = tilt(landmarks)
        seen = look(upright_square(face.box, landmarks))
        if seen is None:
            return None
        landmarks = seen.landmarks
        if abs(_turned(tilt(landmarks) - degrees)) <= SETTLED:
            break
    return seen


def _turned(degrees: float) -> float:
    """The same angle in [-180, 180)."""
    return (degrees + 180) % 360 - 180


def _with_landmarks(face: Detection, seen: Upright) -> Detection:
    """The face with its landmarks as upright looks see them.

    If they were clearly elsewhere (`finds.ELSEWHERE`), they are its other ones, unless the looks leave no doubt.
    """
    points = tuple((x, y) for x, y in seen.landmarks.tolist())
    if seen.agree and seen.score >= UNRIVALLED:
        return replace(face, landmarks=points, other_landmarks=())
    differ = apart(np.array(face.landmarks), seen.landmarks) >= ELSEWHERE
    return replace(face, landmarks=points, other_landmarks=face.landmarks if differ else face.other_landmarks)
