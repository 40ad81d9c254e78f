"""Upright looks at tilted faces, because detectors place the landmarks of upright faces best.

The views of a search show a picture in quarter turns, so that a face may still be tilted by 45 degrees in the best of
them. Of 387 rendered faces, six had landmarks so wrong that a recogniser did not know the person at any alignment
near them; all were tilted by 30 degrees or more from a quarter turn. Shown upright, five of them were placed as well as
others, and one, whose chin had been taken for its brow, was not seen.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .alignment import inverted
from .boxes import intersection_over_union
from .closer_looks import MATCHES_CLOSER
from .faces import Box, Detection, Landmarks
from .finds import ELSEWHERE, Finds, apart
from .template import ARCFACE_LANDMARKS

TILTED = 8.0
"""Degrees from the nearest quarter turn from which a face is looked at upright."""

SETTLED = 10.0
"""Degrees by which an upright look may still turn a face; beyond, the next look is turned by what this one saw."""

MOST_LOOKS = 3
"""Number of upright looks at one face."""

UPRIGHT_VIEWS = 4
"""How many of the closer looks (`closer_looks.CLOSER_LOOKS`, each also mirrored) make an upright one."""

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

    def landmarks_in(self, finds: Finds, looks: int) -> tuple[NDArray[np.float64], float] | None:
        """The face's landmarks as upright looks see them.

        Args:
            finds: of the looks, in pixels of the square.
            looks: how many there were.

        Returns:
            [5, 2] in pixels of the picture, the mean of all looks by their scores, and the mean score of the looks, 0
            where one saw nothing; None if none saw anything.
        """
        here = finds.only(intersection_over_union(self.box[None], finds.boxes)[0] >= MATCHES_CLOSER)
        best: dict[int, int] = {}
        for number in np.argsort(here.boxes[:, 4], kind="stable"):
            best[int(here.views[number])] = int(number)
        if not best:
            return None
        seen = list(best.values())
        scores = here.boxes[seen, 4]
        middle = (here.landmarks[seen] * scores[:, None, None]).sum(axis=0) / scores.sum()
        back = inverted(self.to_square)
        return middle @ back[:, :2].T + back[:, 2], float(scores.sum()) / looks


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


def with_upright_landmarks(face: Detection, landmarks: NDArray[np.float64], seen: bool) -> Detection:
    """A tilted face with the landmarks that upright looks see.

    Args:
        face: as the search found it.
        landmarks: [5, 2] pixels of the picture.
        seen: whether upright looks take it for a face; if not, it is unclear.

    Returns:
        The face; where the search saw the landmarks elsewhere (`finds.ELSEWHERE`), these are its other ones.
    """
    points = tuple((x, y) for x, y in landmarks.tolist())
    differ = apart(np.array(face.landmarks), landmarks) >= ELSEWHERE
    return replace(
        face,
        landmarks=points,
        other_landmarks=face.landmarks if differ else face.other_landmarks,
        landmarks_agree=face.landmarks_agree and seen,
    )
