"""Where the aligned crop of a face lies in its photograph: similarity transforms, float64 [2, 3].

Landmarks, boxes and fractions are continuous: 0 is the picture's edge, and its first pixel reaches from 0 to 1. A
transform takes pixels as OpenCV and `Placement` count them: 0 is the middle of the first pixel, half a pixel inwards.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .face_template import face_axes, ffhq_fractions
from .faces import Face

MIN_FFHQ_SIDE = 2.0
"""Side in pixels of the photograph below which there is no face in a crop."""

MAX_FFHQ_SIDE_RATIO = 16.0
"""Side of a crop, in longer sides of the photograph, above which the landmarks cannot be a face's."""

MIN_LANDMARK_SPREAD = 0.02
"""Points nearer than this part of the face's extent are in one place; flatter than this, they are in one line."""

MIN_HORIZONTAL = 0.2
"""Part of the face's extent that its horizontal must have, or eyes and mouth contradict each other."""


class Window(NamedTuple):
    """Pixels of a picture: columns x0 up to x1, rows y0 up to y1, the last ones not included."""

    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns, to index an array [H, W, ...]."""
        return slice(self.y0, self.y1), slice(self.x0, self.x1)

    @property
    def height(self) -> int:
        """Number of rows."""
        return self.y1 - self.y0

    @property
    def width(self) -> int:
        """Number of columns."""
        return self.x1 - self.x0

    @property
    def empty(self) -> bool:
        """Whether no pixel is in it."""
        return self.height <= 0 or self.width <= 0

    def intersection(self, other: Window) -> Window:
        """What both have in common; may be empty."""
        return Window(max(self.x0, other.x0), max(self.y0, other.y0), min(self.x1, other.x1), min(self.y1, other.y1))

    def relative_to(self, other: Window) -> Window:
        """The same pixels, counted from the other's corner."""
        return Window(self.x0 - other.x0, self.y0 - other.y0, self.x1 - other.x0, self.y1 - other.y0)


def ffhq_transform(landmarks: NDArray[np.float64]) -> NDArray[np.float64]:
    """From the photograph to its face's FFHQ-aligned crop of side 1, both continuous (rule: `ffhq_fractions`).

    Args:
        landmarks: [5, 2] pixels, without a `landmark_fault`.
    """
    origin, x, y = ffhq_fractions(landmarks, np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
    return np.stack([x - origin, y - origin, origin], axis=1)


def crop_transform(landmarks: NDArray[np.float64], side: int, margin: float = 0.0) -> NDArray[np.float64]:
    """From pixels of the photograph to pixels of the crop (`Placement.to_crop`).

    Args:
        landmarks: [5, 2] pixels, without a `landmark_fault`.
        side: of the crop, pixels.
        margin: what the crop shows more than FFHQ's, as a part of FFHQ's side.
    """
    fractions = ffhq_transform(landmarks)
    fractions[:, 2] -= 0.5
    fractions *= side / (1 + margin)
    fractions[:, 2] += side / 2
    # Both ends from continuous coordinates to the middles of pixels.
    fractions[:, 2] += fractions[:, :2].sum(axis=1) / 2 - 0.5
    return fractions


def resized_transform(to_crop: NDArray[np.float64], factor: float) -> NDArray[np.float64]:
    """The transform to the same crop at `factor` times the side."""
    resized = to_crop * factor
    resized[:, 2] += (factor - 1) / 2
    return resized


def inverted(transform: NDArray[np.float64]) -> NDArray[np.float64]:
    """The way back."""
    linear = np.linalg.inv(transform[:, :2])
    return np.concatenate([linear, -linear @ transform[:, 2:]], axis=1)


def shifted(transform: NDArray[np.float64], window: Window) -> NDArray[np.float64]:
    """The transform of pixels that are counted from the window's corner."""
    moved = transform.copy()
    moved[:, 2] += transform[:, :2] @ (window.x0, window.y0)
    return moved


def scale_of(transform: NDArray[np.float64]) -> float:
    """Target pixels per source pixel."""
    return float(np.sqrt(abs(np.linalg.det(transform[:, :2]))))


def footprint(to_crop: NDArray[np.float64], side: int) -> Window:
    """The pixels whose middles a crop may show, in its photograph's count; may reach outside the photograph."""
    corners = np.array([[x, y, 1.0] for x in (-0.5, side - 0.5) for y in (-0.5, side - 0.5)])
    points = corners @ inverted(to_crop).T
    x0, y0 = np.floor(points.min(axis=0)).astype(int).tolist()
    x1, y1 = np.ceil(points.max(axis=0)).astype(int).tolist()
    return Window(x0, y0, x1 + 1, y1 + 1)


def face_in_crop(face: Face, to_crop: NDArray[np.float64]) -> Face:
    """The face as its crop shows it.

    Returns:
        The same person, landmarks and box in pixels of the crop. The box is that around the ellipse in the
        photograph's box, so that turning does not blow it up. The pose is dropped: the crop has turned the head.
    """
    linear, offset = to_crop[:, :2], to_crop[:, 2] - to_crop[:, :2].sum(axis=1) / 2 + 0.5
    x0, y0, x1, y1 = face.box
    centre = linear @ face.centre + offset
    half = np.sqrt(linear**2 @ (((x1 - x0) / 2) ** 2, ((y1 - y0) / 2) ** 2))
    (left, top), (right, bottom) = (centre - half).tolist(), (centre + half).tolist()
    landmarks = (np.array(face.landmarks) @ linear.T + offset).tolist()
    return replace(face, box=(left, top, right, bottom), landmarks=tuple((x, y) for x, y in landmarks), pose=None)


def landmark_fault(landmarks: NDArray[np.float64], height: int, width: int) -> str:
    """Why no crop can be aligned to landmarks.

    Args:
        landmarks: [5, 2] pixels.
        height: of the photograph, pixels.
        width: of the photograph, pixels.

    Returns:
        A few words for people, "" if there is nothing wrong.
    """
    if not np.isfinite(landmarks).all():
        return "its landmarks are not finite"
    e, m = face_axes(landmarks)
    extent = max(abs(e), abs(m))
    if min(abs(e), abs(m)) <= MIN_LANDMARK_SPREAD * extent:
        return "its eyes are in one place" if abs(e) <= abs(m) else "its mouth is between its eyes"
    if abs(e - 1j * m) < MIN_HORIZONTAL * extent:
        return "its eyes and mouth are the wrong way round"
    spread = np.linalg.svd(landmarks - landmarks.mean(axis=0), compute_uv=False)
    if spread[1] <= MIN_LANDMARK_SPREAD * spread[0]:
        return "its landmarks are in one line"
    frame = 1 / scale_of(ffhq_transform(landmarks))
    if frame < MIN_FFHQ_SIDE:
        return "it is smaller than a pixel"
    if frame > MAX_FFHQ_SIDE_RATIO * max(height, width):
        return "it is far larger than the picture"
    if footprint(crop_transform(landmarks, 1), 1).intersection(Window(0, 0, width, height)).empty:
        return "it is outside the picture"
    return ""
