"""Pictures with faces made flat, to see what a detector still finds without them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .cover_outline import FACE_ALONE, place_cover
from .faces import Detection


def without_faces(picture: NDArray[np.uint8], faces: Sequence[Sequence[Detection]]) -> NDArray[np.uint8]:
    """A copy of a picture in which faces are flat patches of their mean colour.

    Args:
        picture: uint8 [H, W, 3].
        faces: for each its places in the picture, at least one.

    Raises:
        ValueError: a face has no place in the picture.
    """
    height, width = picture.shape[:2]
    flat = picture.copy()
    for places in faces:
        boxes, landmarks = [place.box for place in places], [place.landmarks for place in places]
        patch = place_cover(boxes, landmarks, height, width, FACE_ALONE)
        pixels = flat[patch.rows, patch.columns]
        pixels[patch.mask] = np.round(pixels[patch.mask].mean(axis=0)).astype(np.uint8)
    return flat
