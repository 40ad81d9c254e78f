"""The wire type REVERSE_IDENTITY_PLACEMENTS: where in their photographs the crops of faces belong.

Pixel coordinates follow OpenCV: (0, 0) is the centre of the top left pixel, x to the right and y down.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .alignment import crop_transform, landmark_fault, resized_transform
from .face_area import FaceArea, face_area
from .faces import Face, Faces


@dataclass(frozen=True, eq=False)
class Placement:
    """Where a crop belongs.

    Attributes:
        image: number of the photograph in its batch, from 0.
        face: number of the face in that photograph, from 0.
        to_crop: float64 [2, 3], from pixels of the photograph to pixels of the crop.
    """

    image: int
    face: int
    to_crop: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Placements:
    """The wire type REVERSE_IDENTITY_PLACEMENTS.

    Attributes:
        crops: one for each crop, in the crops' order: photograph by photograph, face by face.
        side: of the square crops, pixels.
        faces: all faces of the photographs that were chosen, whether or not they could be cropped.
    """

    crops: tuple[Placement, ...]
    side: int
    faces: Faces

    def __len__(self) -> int:
        return len(self.crops)

    def face_of(self, placement: Placement) -> Face:
        """The face that a crop shows, in pixels of its photograph."""
        return self.faces.images[placement.image][placement.face]

    def areas(self, numbers: Sequence[int], side: int, height: int, width: int) -> list[FaceArea]:
        """The areas of some crops' faces in their photograph, for `compositing.paste_`.

        Args:
            numbers: of crops of one photograph, from 0.
            side: of the crops as they are now, pixels; they may have been resized.
            height: of the photograph, pixels.
            width: of the photograph, pixels.
        """
        return [
            face_area(
                np.array(self.face_of(placement).landmarks),
                resized_transform(placement.to_crop, side / self.side),
                side,
                height,
                width,
            )
            for placement in (self.crops[number] for number in numbers)
        ]


def place_crops(
    faces: Sequence[Face], image: int, side: int, margin: float, height: int, width: int
) -> tuple[list[Placement], dict[int, str]]:
    """Place the crops of one photograph's faces.

    Args:
        faces: of the photograph, in stable order.
        image: its number in its batch, from 0.
        side: of the crops, pixels.
        margin: how much more than the FFHQ crop a crop shows, as a fraction of the FFHQ crop's side.
        height: of the photograph, pixels.
        width: of the photograph, pixels.

    Returns:
        The placements, and by its number from 0 what is wrong with each face that cannot be cropped.
    """
    placed, faults = [], {}
    for number, face in enumerate(faces):
        landmarks = np.array(face.landmarks)
        fault = landmark_fault(landmarks, height, width)
        if fault:
            faults[number] = fault
        else:
            placed.append(Placement(image=image, face=number, to_crop=crop_transform(landmarks, side, margin)))
    return placed, faults


def placed_areas(
    faces: Sequence[Face], placed: Sequence[Placement], side: int, height: int, width: int
) -> list[FaceArea]:
    """The areas of one photograph's faces, for `cropping.take_crops`.

    Args:
        faces: of the photograph, as `place_crops` was given them.
        placed: what it returned.
        side: of the crops, pixels.
        height: of the photograph, pixels.
        width: of the photograph, pixels.

    Returns:
        One for each placement, in order.
    """
    return [face_area(np.array(faces[one.face].landmarks), one.to_crop, side, height, width) for one in placed]
