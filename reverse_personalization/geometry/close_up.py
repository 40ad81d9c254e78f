"""One face of a photograph before and after its crop is pasted, as the check of the photograph will see it.

A crop shows a face larger and sharper than its photograph does, and to the edge of the crop. Pasting shrinks it and
leaves the original around it, both of which can bring a likeness back. So a crop is best judged where it will be.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from .alignment import Window, resized_transform
from .compositing import DEFAULT_FEATHER, paste_
from .face_area import face_area
from .faces import Face, with_points_moved
from .placement import Placement, Placements

REACH = 3.0
"""How much of the photograph is seen around a face, in radii of its core: what pasting looks at, and what a detector
needs to find the face."""


class CloseUp(NamedTuple):
    """A part of a photograph around a face.

    Attributes:
        before: float32 [h, w, C] in [0, 1], of the photograph.
        after: the same part with the crop pasted.
        face: in pixels of this part.
    """

    before: Tensor
    after: Tensor
    face: Face


def close_up(photograph: Tensor, placements: Placements, placement: Placement, crop: Tensor) -> CloseUp:
    """Paste one crop into the surroundings of its face, as Paste Faces does with its defaults.

    Args:
        photograph: float [H, W, C] in [0, 1]; C is 1, 3, or 4. It is not modified.
        placements: of all crops.
        placement: of this crop.
        crop: float [s, s, 3] in [0, 1].
    """
    height, width = photograph.shape[:2]
    face, side = placements.face_of(placement), crop.shape[0]
    to_crop = resized_transform(placement.to_crop, side / placements.side)
    landmarks = np.array(face.landmarks)
    window = face_area(landmarks, to_crop, side, height, width).around(REACH)
    window = window.intersection(Window(0, 0, width, height))
    corner = np.array([window.x0, window.y0], float)
    from_corner = to_crop.copy()
    from_corner[:, 2] += to_crop[:, :2] @ corner
    before = photograph[window.slices].float().cpu()
    after = before.clone()
    paste_(
        after,
        torch.zeros(window.height, window.width),
        [face_area(landmarks - corner, from_corner, side, window.height, window.width)],
        [crop.float().cpu().numpy()],
        None,
        feather=DEFAULT_FEATHER,
        grow=0.0,
        colour_match=True,
        match_grain=True,
    )
    x0, y0, x1, y1 = (np.array(face.box) - np.tile(corner, 2)).tolist()
    return CloseUp(before, after, with_points_moved(face, lambda points: points - corner, (x0, y0, x1, y1)))
