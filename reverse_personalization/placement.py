"""What FACE_PLACEMENTS carries: where in the photographs the crops of faces belong.

Coordinates of pixels follow OpenCV: (0, 0) is the middle of the top left pixel, x to the right and y down.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .faces import Face, Faces


@dataclass(frozen=True, eq=False)
class Placement:
    """Where one crop belongs.

    Attributes:
        image: number of the photograph in its batch, from 0.
        face: number of the face among that photograph's, from 0.
        to_crop: float64 [2, 3], from pixels of the photograph to pixels of the crop.
    """

    image: int
    face: int
    to_crop: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Placements:
    """The wire type FACE_PLACEMENTS.

    Attributes:
        crops: one for each crop, in the crops' order: photograph by photograph, face by face.
        side: of the square crops, pixels.
        faces: of the photographs, all that were found and chosen, whether or not they could be cropped.
    """

    crops: tuple[Placement, ...]
    side: int
    faces: Faces

    def __len__(self) -> int:
        return len(self.crops)

    def face_of(self, placement: Placement) -> Face:
        """The face that a crop shows, in pixels of its photograph."""
        return self.faces.images[placement.image][placement.face]
