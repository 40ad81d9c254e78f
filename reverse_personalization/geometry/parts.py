"""Masks of eyes, nose, mouth and glasses, drawn from a face's five landmarks.

Points are complex numbers x + iy in pixels, y down; (0, 0) is the centre of the top left pixel. A part is measured in
the distance between the eyes that the face would have from the front. It rotates with the face and narrows with the
visible distance between the eyes as the face turns away. The proportions are means of adult faces (eyes 63 mm apart,
an eye opening 30 mm wide, a nose 35 mm, a mouth 50 mm, a pair of glasses 140 mm by 45 mm), enlarged to include open
mouths, lashes and wide frames.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .faces import Detection, Faces
from .template import ARCFACE_LANDMARKS, face_axes

Part = Literal["eyes", "nose", "mouth", "glasses"]

PARTS: tuple[Part, ...] = ("eyes", "nose", "mouth", "glasses")

MIN_EYE_DISTANCE = 2.0
"""Pixels; if the eyes are closer together, five landmarks cannot locate the parts."""

MIN_WIDTH_FRACTION = 0.5
"""Smallest width of a part, as a fraction of its width from the front, however far the face is turned away."""

_FRONTAL_ACROSS, _FRONTAL_DOWN = (abs(length) for length in face_axes(ARCFACE_LANDMARKS))


@dataclass(frozen=True)
class _Frame:
    """A face's position, direction and size.

    Attributes:
        right: unit vector along the line through the eyes.
        unit: distance in pixels that the eyes would have from the front.
        narrowing: width of a part relative to its width from the front, in [MIN_WIDTH_FRACTION, 1].
        points: the five landmarks, pixels.
    """

    right: complex
    unit: float
    narrowing: float
    points: tuple[complex, ...]


def _frame(detection: Detection) -> _Frame:
    landmarks = np.array(detection.landmarks, np.float64)
    across, down = face_axes(landmarks)
    # As in the FFHQ crop: in profile the eyes' line loses its direction, but the other axis keeps its own.
    right = across - 1j * down
    # Turning the head shortens one axis, nodding the other.
    unit = max(abs(across), abs(down) * _FRONTAL_ACROSS / _FRONTAL_DOWN)
    if not (np.isfinite(landmarks).all() and unit >= MIN_EYE_DISTANCE and abs(right) >= MIN_EYE_DISTANCE):
        raise ValueError(
            f"its landmarks are {[tuple(round(c, 1) for c in point) for point in detection.landmarks]}; expected two "
            f"eyes, a nose and two mouth corners, with the eyes at least {MIN_EYE_DISTANCE:g} pixels apart; leave this "
            "face out (select in Embed Faces), or enlarge the picture"
        )
    narrowing = max(abs(across) / unit, MIN_WIDTH_FRACTION)
    return _Frame(right / abs(right), unit, narrowing, tuple(complex(x, y) for x, y in landmarks.tolist()))


def faces_mask(faces: Faces, parts: Iterable[Part], *, grow: float, soft: float) -> Tensor:
    """Draw masks of parts of all faces, one mask for each image.

    Args:
        faces: of the images, any number in each.
        parts: to mark.
        grow: how far a part extends beyond its outline, in eye distances; negative shrinks it.
        soft: width of the edge, in eye distances; at least a pixel is used.

    Returns:
        float32 [B, H, W] in [0, 1]; 0 throughout in an image without a face.

    Raises:
        ValueError: no part is given, or a face's landmarks are degenerate.
    """
    chosen = tuple(parts)
    if not chosen:
        raise ValueError(f"no part of the face is chosen; turn on at least one of {', '.join(PARTS)}")
    masks = np.zeros((len(faces.images), faces.height, faces.width), np.float32)
    for number, (mask, found) in enumerate(zip(masks, faces.images, strict=True), start=1):
        for which, face in enumerate(found, start=1):
            try:
                frame = _frame(face)
            except ValueError as error:
                raise ValueError(f"face {which} of image {number} cannot be marked: {error}") from None
            _draw(mask, frame, chosen, grow * frame.unit, max(soft * frame.unit, 1.0))
    return torch.from_numpy(masks)


def _draw(mask: NDArray[np.float32], frame: _Frame, parts: tuple[Part, ...], grow: float, edge: float) -> None:
    """Add one face's parts to a mask [H, W] in place; `grow` and `edge` are in pixels."""
    reach = 1.5 * frame.unit + max(grow, 0.0) + edge  # no part extends further from the landmarks
    points = np.array([[p.real, p.imag] for p in frame.points])
    (x0, y0), (x1, y1) = np.floor(points.min(0) - reach), np.ceil(points.max(0) + reach)
    height, width = mask.shape
    columns = slice(int(np.clip(x0, 0, width)), int(np.clip(x1 + 1, 0, width)))
    rows = slice(int(np.clip(y0, 0, height)), int(np.clip(y1 + 1, 0, height)))
    window = mask[rows, columns]
    z = np.arange(columns.start, columns.stop) + 1j * np.arange(rows.start, rows.stop)[:, None]
    for part in parts:
        marked = np.clip(0.5 - (_distance(part, frame, z) - grow) / edge, 0, 1)
        np.maximum(window, marked, out=window, casting="same_kind")


def _distance(part: Part, frame: _Frame, z: NDArray[np.complex128]) -> NDArray[np.float64]:
    """Distance in pixels from points z to a part's outline; negative inside."""
    eye, other_eye, nose, corner, other_corner = frame.points
    down, unit, narrowing = 1j * frame.right, frame.unit, frame.narrowing
    if part == "eyes":
        half = (0.33 * unit * narrowing, 0.20 * unit)
        return np.minimum(*(_ellipse((z - centre) / frame.right, *half) for centre in (eye, other_eye)))
    if part == "mouth":
        # The mouth has a direction of its own, as it may be askew, and it opens downwards, with the chin.
        along = other_corner - corner
        if abs(along) < 0.3 * unit * narrowing:
            along = frame.right * 0.3 * unit * narrowing
        centre = (corner + other_corner) / 2 + 0.05 * unit * down
        return _ellipse((z - centre) * (abs(along) / along), 0.5 * abs(along) + 0.16 * unit * narrowing, 0.33 * unit)
    if part == "nose":
        top, bottom = (eye + other_eye) / 2 + 0.08 * unit * down, nose + 0.22 * unit * down
        axis = bottom - top
        return _ellipse(
            (z - (top + bottom) / 2) / (axis / abs(axis)), abs(axis) / 2, 0.38 * unit * max(narrowing, 0.75)
        )
    half_width = abs(other_eye - eye) / 2 + 0.70 * unit * narrowing
    centre = (eye + other_eye) / 2 + 0.05 * unit * down
    return _rounded_box((z - centre) / frame.right, half_width, 0.40 * unit, 0.2 * unit)


def _ellipse(z: NDArray[np.complex128], a: float, b: float) -> NDArray[np.float64]:
    """Distance to an ellipse around 0 with half axes a along x and b along y, to first order; negative inside."""
    inner = np.hypot(z.real / a, z.imag / b)
    slope = np.hypot(z.real / a**2, z.imag / b**2)
    # At the centre the quotient is 0 / 0; the outline is the shorter half axis away.
    return np.divide(inner * (inner - 1), slope, out=np.full(z.shape, -min(a, b)), where=slope > 0)


def _rounded_box(z: NDArray[np.complex128], a: float, b: float, radius: float) -> NDArray[np.float64]:
    """Distance to a box around 0 with half sides a along x and b along y and round corners; negative inside."""
    x, y = np.abs(z.real) - (a - radius), np.abs(z.imag) - (b - radius)
    return np.hypot(np.maximum(x, 0), np.maximum(y, 0)) + np.minimum(np.maximum(x, y), 0) - radius
