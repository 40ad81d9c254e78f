"""Where the five landmarks of an average face lie in an FFHQ-aligned crop.

Nothing here is measured: FFHQ's crop rule is applied to the face to which InsightFace aligns every crop.
Points are complex numbers x + iy with y down, so multiplying by i turns them by 90 degrees.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from .faces import EMBEDDING_WIDTH, Detection, Face, landmark_distance

ARCFACE_SIDE = 112.0
"""Side in pixels of the crops that ArcFace recognisers take."""

ARCFACE_LANDMARKS: NDArray[np.float64] = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
"""[5, 2] pixels: eyes, nose and mouth corners in an ArcFace crop, those of an average frontal face.

The numbers are those that InsightFace publishes for its alignment (`face_align.arcface_dst`).
"""

MAX_TEMPLATE_DISTANCE = 0.25
"""Mean distance of the landmarks from the template's, as a fraction of the crop's side, from which they belong to
somebody else.

Rendered faces that look up to 45 degrees aside are off by at most 0.06, and faces with the widest margin of Crop Faces
by 0.09. In 60 rendered groups of four, no neighbour came closer than 0.29 in somebody else's crop.
"""


def face_axes(landmarks: NDArray[np.float64]) -> tuple[complex, complex]:
    """A face's two axes: e from eye to eye, and m from the midpoint of the eyes to that of the mouth corners.

    Args:
        landmarks: [5, 2] pixels, in InsightFace's order (eyes, nose, mouth corners).
    """
    eye, other_eye, _, corner, other_corner = (landmarks @ (1, 1j)).tolist()
    return other_eye - eye, (corner + other_corner) / 2 - (eye + other_eye) / 2


def ffhq_extent(landmarks: NDArray[np.float64]) -> tuple[complex, float]:
    """Centre and half the side of a face's FFHQ-aligned crop, in pixels, whichever way the face is turned.

    Args:
        landmarks: [5, 2] pixels, in InsightFace's order.
    """
    e, m = face_axes(landmarks)
    eyes = complex(landmarks[:2].mean(axis=0) @ (1, 1j))
    return eyes + 0.1 * m, max(2.0 * abs(e), 1.8 * abs(m))


def ffhq_fractions(landmarks: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Take points near a face to the face's FFHQ-aligned crop.

    The rule is that of the FFHQ data set (Karras, Laine, Aila, "A Style-Based Generator Architecture for
    Generative Adversarial Networks", 2019): with the axes e and m of `face_axes`, the crop is centred
    0.1 m below the midpoint of the eyes, its horizontal is the mean of e and of m turned by 90 degrees, and half its
    side is the longer of 2.0 |e| and 1.8 |m|.

    Args:
        landmarks: [5, 2] pixels, in InsightFace's order.
        points: [P, 2] in the same pixels.

    Returns:
        [P, 2], x and y as fractions of the crop's side; in [0, 1] inside the crop.
    """
    e, m = face_axes(landmarks)
    centre, length = ffhq_extent(landmarks)
    right = e - 1j * m
    half_side = right / abs(right) * length
    offsets = (points @ (1, 1j) - centre) / half_side
    return np.stack([offsets.real, offsets.imag], axis=1) / 2 + 0.5


FFHQ_LANDMARKS: NDArray[np.float64] = ffhq_fractions(ARCFACE_LANDMARKS, ARCFACE_LANDMARKS)
"""[5, 2]: landmarks of an average face in an FFHQ-aligned crop, as fractions of the crop's side.

About (0.38, 0.47), (0.62, 0.47), (0.50, 0.61), (0.40, 0.75), (0.60, 0.75).
"""

FFHQ_BOX: NDArray[np.float64] = ffhq_fractions(ARCFACE_LANDMARKS, np.array([[0.0, 0.0], [ARCFACE_SIDE, ARCFACE_SIDE]]))
"""[2, 2]: top left and bottom right corner of that face's ArcFace crop, as fractions of the FFHQ crop's side."""


def template_detection(height: int, width: int) -> Detection:
    """The face of an FFHQ-aligned crop where the alignment puts it, without any detector.

    Args:
        height: of the image, pixels.
        width: of the image, pixels. Of an image that is not square the centre square counts as the crop, as if bars
            had been added to it.

    Returns:
        Landmarks and box in pixels of the image, score 0.
    """
    side = min(height, width)
    corner = np.array([(width - side) / 2, (height - side) / 2])
    (x0, y0), (x1, y1) = (corner + FFHQ_BOX * side).tolist()
    landmarks = tuple((x, y) for x, y in (corner + FFHQ_LANDMARKS * side).tolist())
    return Detection(box=(x0, y0, x1, y1), landmarks=landmarks, score=0.0)


def face_of_crop(finds: Sequence[Detection], height: int, width: int) -> Detection:
    """Choose, among the finds in an FFHQ-aligned crop, the face that the crop was made for.

    Neither the highest score nor the largest box decides alone: a neighbour in the corner may score higher, and half a
    face seen from too near is larger. The alignment says where the face should be, so a find's score counts for less
    the further its landmarks are from the template's.

    Args:
        finds: in pixels of the image.
        height: of the image, pixels.
        width: of the image, pixels; of an image that is not square the centre square counts as the crop.

    Returns:
        One of the finds, or the template with score 0 if none of them is near it.
    """
    template = template_detection(height, width)
    limit = MAX_TEMPLATE_DISTANCE * min(height, width)

    def plausibility(find: Detection) -> float:
        return find.score * (1 - landmark_distance(find, template) / limit)

    # Landmarks that are not finite fail this comparison too.
    near = [find for find in finds if landmark_distance(find, template) < limit]
    return max(near, key=plausibility, default=template)


def stand_in(side: int) -> Face:
    """A face for a crop that shows nobody: at the template's place, with the null identity.

    Args:
        side: of the crop, pixels.
    """
    place = template_detection(side, side)
    return Face(box=place.box, landmarks=place.landmarks, score=0.0, embedding=torch.zeros(EMBEDDING_WIDTH))
