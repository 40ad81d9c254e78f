"""Where the aligned crop of a face lies in its photograph: similarity transforms, float64 [2, 3].

Landmarks, boxes and fractions are continuous: 0 is the picture's edge, and its first pixel spans 0 to 1. Transforms
map pixel centres, as OpenCV and `Placement` count them: 0 is the centre of the first pixel, half a pixel further in.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .faces import Face, with_points_moved
from .template import face_axes, ffhq_fractions

MIN_FFHQ_SIDE = 2.0
"""Smallest side of a face's FFHQ crop, in pixels of the photograph; a smaller crop shows no face."""

MAX_FFHQ_SIDE_RATIO = 16.0
"""Largest side of a face's FFHQ crop, in longer sides of the photograph; a larger one cannot be right."""

MIN_LANDMARK_SPREAD = 0.02
"""Landmarks closer together than this fraction of the face's extent coincide; a set flatter than this is a line."""

MIN_HORIZONTAL = 0.2
"""Least length of a face's horizontal, as a fraction of its extent; below it, eyes and mouth contradict each other."""


class Window(NamedTuple):
    """A rectangle of pixels: columns x0 to x1 and rows y0 to y1, without x1 and y1 themselves."""

    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns, to index an array [H, W, ...] with."""
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
        """Whether it contains no pixel."""
        return self.height <= 0 or self.width <= 0

    def intersection(self, other: Window) -> Window:
        """The pixels that lie in both windows; may be empty."""
        return Window(max(self.x0, other.x0), max(self.y0, other.y0), min(self.x1, other.x1), min(self.y1, other.y1))

    def relative_to(self, other: Window) -> Window:
        """The same pixels, counted from the other window's corner."""
        return Window(self.x0 - other.x0, self.y0 - other.y0, self.x1 - other.x0, self.y1 - other.y0)


def ffhq_transform(landmarks: NDArray[np.float64]) -> NDArray[np.float64]:
    """The transform from a photograph to a face's FFHQ-aligned crop, by the rule of `ffhq_fractions`.

    Both ends are continuous; the crop's side is 1.

    Args:
        landmarks: [5, 2] pixels, such that `landmark_fault` finds nothing wrong with them.
    """
    origin, x, y = ffhq_fractions(landmarks, np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
    return np.stack([x - origin, y - origin, origin], axis=1)


def crop_transform(landmarks: NDArray[np.float64], side: int, margin: float = 0.0) -> NDArray[np.float64]:
    """The transform from pixels of the photograph to pixels of the crop (`Placement.to_crop`).

    Args:
        landmarks: [5, 2] pixels, such that `landmark_fault` finds nothing wrong with them.
        side: of the crop, pixels.
        margin: how much more the crop shows than FFHQ's, as a fraction of FFHQ's side.
    """
    fractions = ffhq_transform(landmarks)
    fractions[:, 2] -= 0.5
    fractions *= side / (1 + margin)
    fractions[:, 2] += side / 2
    # Convert both ends from continuous coordinates to pixel centres.
    fractions[:, 2] += fractions[:, :2].sum(axis=1) / 2 - 0.5
    return fractions


def resized_transform(to_crop: NDArray[np.float64], factor: float) -> NDArray[np.float64]:
    """The transform to the same crop with a side `factor` times as long."""
    resized = to_crop * factor
    resized[:, 2] += (factor - 1) / 2
    return resized


def inverted(transform: NDArray[np.float64]) -> NDArray[np.float64]:
    """The inverse transform."""
    linear = np.linalg.inv(transform[:, :2])
    return np.concatenate([linear, -linear @ transform[:, 2:]], axis=1)


def shifted(transform: NDArray[np.float64], window: Window) -> NDArray[np.float64]:
    """The same transform for pixels that are counted from the window's corner."""
    moved = transform.copy()
    moved[:, 2] += transform[:, :2] @ (window.x0, window.y0)
    return moved


def scale_of(transform: NDArray[np.float64]) -> float:
    """Target pixels per source pixel."""
    return float(np.sqrt(abs(np.linalg.det(transform[:, :2]))))


def footprint(to_crop: NDArray[np.float64], side: int) -> Window:
    """The window of the photograph whose pixels a crop can show; may extend beyond the photograph."""
    return image_of(Window(0, 0, side, side), inverted(to_crop))


def image_of(window: Window, transform: NDArray[np.float64]) -> Window:
    """The smallest window around all to which a transform takes a window's pixels, edges included."""
    edges = (window.x0 - 0.5, window.x1 - 0.5), (window.y0 - 0.5, window.y1 - 0.5)
    corners = np.array([[x, y, 1.0] for x in edges[0] for y in edges[1]])
    points = corners @ transform.T
    x0, y0 = np.floor(points.min(axis=0)).astype(int).tolist()
    x1, y1 = np.ceil(points.max(axis=0)).astype(int).tolist()
    return Window(x0, y0, x1 + 1, y1 + 1)


def face_in_crop(face: Face, to_crop: NDArray[np.float64]) -> Face:
    """The same face in pixels of its crop.

    Returns:
        The face with its landmarks and box in pixels of the crop. The new box encloses the ellipse inscribed in the
        old one, so rotation does not inflate it. The pose is dropped, because the crop turns the head.
    """
    linear, offset = to_crop[:, :2], to_crop[:, 2] - to_crop[:, :2].sum(axis=1) / 2 + 0.5
    x0, y0, x1, y1 = face.box
    centre = linear @ face.centre + offset
    half = np.sqrt(linear**2 @ (((x1 - x0) / 2) ** 2, ((y1 - y0) / 2) ** 2))
    (left, top), (right, bottom) = (centre - half).tolist(), (centre + half).tolist()
    moved = with_points_moved(face, lambda points: points @ linear.T + offset, (left, top, right, bottom))
    return replace(moved, pose=None)


def landmark_fault(landmarks: NDArray[np.float64], height: int, width: int) -> str:
    """Say why no crop can be aligned to these landmarks.

    Args:
        landmarks: [5, 2] pixels.
        height: of the photograph, pixels.
        width: of the photograph, pixels.

    Returns:
        A short reason, for people to read; "" if nothing is wrong.
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
