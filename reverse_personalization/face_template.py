"""Where an average face's five landmarks are in an FFHQ-aligned crop.

Nothing here is measured: the crop rule of FFHQ is applied to the face that InsightFace aligns every crop to.
Points are complex numbers x + iy, y down, so that a turn by 90 degrees is a multiplication by i.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from .faces import EMBEDDING_WIDTH, Detection, Face
from .matching import landmark_distance

ARCFACE_SIDE = 112.0
"""Side in pixels of the crop that ArcFace recognisers take."""

ARCFACE_LANDMARKS: NDArray[np.float64] = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
"""[5, 2] pixels: where an ArcFace crop has eyes, nose and mouth corners, i.e. an average frontal face.

These are the published numbers of InsightFace's alignment (`face_align.arcface_dst`).
"""


MAX_TEMPLATE_DISTANCE = 0.25
"""Mean distance of five landmarks from the template's, in parts of the crop's side, from which on they are another's.

Rendered faces that look aside by up to 45 degrees are off by at most 0.06, faces with the widest margin of Crop Faces
by 0.09. In 60 rendered groups of four nobody was nearer than 0.29 in a neighbour's crop.
"""


def face_axes(landmarks: NDArray[np.float64]) -> tuple[complex, complex]:
    """A face's two directions: e from eye to eye, and m from the eyes' centre to the mouth's.

    Args:
        landmarks: [5, 2] pixels, in InsightFace's order (see `Detection`).
    """
    eye, other_eye, _, corner, other_corner = (landmarks @ (1, 1j)).tolist()
    return other_eye - eye, (corner + other_corner) / 2 - (eye + other_eye) / 2


def ffhq_extent(landmarks: NDArray[np.float64]) -> tuple[complex, float]:
    """Centre and half the side of a face's FFHQ-aligned crop, however the face is turned; see `ffhq_fractions`.

    Args:
        landmarks: [5, 2] pixels, in InsightFace's order.
    """
    e, m = face_axes(landmarks)
    eyes = complex(landmarks[:2].mean(axis=0) @ (1, 1j))
    return eyes + 0.1 * m, max(2.0 * abs(e), 1.8 * abs(m))


def ffhq_fractions(landmarks: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where points near a face land in the FFHQ-aligned crop of that face.

    The rule is that of the FFHQ data set (Karras, Laine, Aila, "A Style-Based Generator Architecture for
    Generative Adversarial Networks", 2019): with e from eye to eye and m from the eyes' centre to the
    mouth's, the crop is centred 0.1 m below the eyes' centre, its horizontal is the mean of e and of m turned
    by 90 degrees, and half its side is the longer of 2.0 |e| and 1.8 |m|.

    Args:
        landmarks: [5, 2] pixels, in InsightFace's order (see `Detection`).
        points: [P, 2] pixels in the same frame.

    Returns:
        [P, 2], x and y as fractions of the crop's side; inside the crop they are in [0, 1].
    """
    e, m = face_axes(landmarks)
    centre, length = ffhq_extent(landmarks)
    right = e - 1j * m
    half_side = right / abs(right) * length
    offsets = (points @ (1, 1j) - centre) / half_side
    return np.stack([offsets.real, offsets.imag], axis=1) / 2 + 0.5


FFHQ_LANDMARKS: NDArray[np.float64] = ffhq_fractions(ARCFACE_LANDMARKS, ARCFACE_LANDMARKS)
"""[5, 2]: an average face's landmarks in an FFHQ-aligned crop, as fractions of its side.

About (0.38, 0.47), (0.62, 0.47), (0.50, 0.61), (0.40, 0.75), (0.60, 0.75).
"""

FFHQ_BOX: NDArray[np.float64] = ffhq_fractions(ARCFACE_LANDMARKS, np.array([[0.0, 0.0], [ARCFACE_SIDE, ARCFACE_SIDE]]))
"""[2, 2]: top left and bottom right of the ArcFace crop of that face, the extent its geometry knows."""


def template_detection(height: int, width: int) -> Detection:
    """The face of an FFHQ-aligned crop where the alignment says it is, unseen by any detector.

    Args:
        height: of the image, pixels.
        width: of the image, pixels. If the image is not square, its centre square is taken for the crop: that
            is what is left of a square crop after bars were added.

    Returns:
        Landmarks and box in pixels of the image, score 0.
    """
    side = min(height, width)
    corner = np.array([(width - side) / 2, (height - side) / 2])
    (x0, y0), (x1, y1) = (corner + FFHQ_BOX * side).tolist()
    landmarks = tuple((x, y) for x, y in (corner + FFHQ_LANDMARKS * side).tolist())
    return Detection(box=(x0, y0, x1, y1), landmarks=landmarks, score=0.0)


def face_of_crop(finds: Sequence[Detection], height: int, width: int) -> Detection:
    """The one face that an FFHQ-aligned crop was made of, among whatever was found in it.

    The alignment says where that face is, so neither the largest nor the surest find alone is believed: a neighbour in
    the corner may be surer, and half a face seen too close is larger. What counts is the score, less the further the
    landmarks are from the template's.

    Args:
        finds: in pixels of the image.
        height: see `template_detection`.
        width: see `template_detection`.

    Returns:
        One of the finds, or the template with score 0 if none of them is at its place.
    """
    template = template_detection(height, width)
    farthest = MAX_TEMPLATE_DISTANCE * min(height, width)

    def belief(find: Detection) -> float:
        return find.score * (1 - landmark_distance(find, template) / farthest)

    # Landmarks that are not finite are nowhere near either.
    there = [find for find in finds if landmark_distance(find, template) < farthest]
    return max(there, key=belief, default=template)


def stand_in(side: int) -> Face:
    """The face of a crop that shows nobody: at the standard places, with the null identity.

    Args:
        side: of the crop, pixels.
    """
    place = template_detection(side, side)
    return Face(box=place.box, landmarks=place.landmarks, score=0.0, embedding=torch.zeros(EMBEDDING_WIDTH))
