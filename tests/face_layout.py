"""Lays out faces freely, and makes photographs that are defined between their pixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from reverse_personalization.geometry.alignment import Window
from reverse_personalization.geometry.face_area import FaceArea
from reverse_personalization.geometry.faces import EMBEDDING_WIDTH, Face, Faces
from reverse_personalization.geometry.template import FFHQ_LANDMARKS

Field = Callable[[np.ndarray, np.ndarray], np.ndarray]


def landmarks_at(x: float, y: float, frame: float, degrees: float = 0.0) -> np.ndarray:
    """Return landmarks of an average face with an FFHQ crop around (x, y) of `frame` pixels, turned clockwise."""
    turn = np.exp(1j * np.radians(degrees))
    points = (FFHQ_LANDMARKS - 0.5) @ (1, 1j) * frame * turn + (x + 1j * y)
    return np.stack([points.real, points.imag], axis=1)


def face_at(x: float, y: float, frame: float, degrees: float = 0.0, direction: int = 0) -> Face:
    landmarks = landmarks_at(x, y, frame, degrees)
    return face_of(landmarks, (x - frame / 4, y - frame / 3, x + frame / 4, y + frame / 3), direction)


def face_of(landmarks: Sequence[Sequence[float]] | np.ndarray, box: tuple[float, ...], direction: int = 0) -> Face:
    embedding = torch.zeros(EMBEDDING_WIDTH)
    embedding[direction] = 1.0
    points = tuple((float(x), float(y)) for x, y in landmarks)
    return Face(box=box, landmarks=points, score=0.9, embedding=embedding, age=30, sex="female")


def faces_of(height: int, width: int, *images: Sequence[Face]) -> Faces:
    return Faces(tuple(map(tuple, images)), height, width, "fake", "CPUExecutionProvider")


def waves(period: float, seed: int = 0) -> Field:
    """Make a smooth colour picture of any size with no wave shorter than `period`; x and y count from pixel middles."""
    random = np.random.default_rng(seed)
    angles, phases = random.uniform(0, 2 * np.pi, (2, 3, 3))
    lengths = period * random.uniform(1, 3, (3, 3))

    def field(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        along = x[..., None, None] * np.cos(angles) + y[..., None, None] * np.sin(angles)
        return 0.5 + 0.15 * np.sin(2 * np.pi * along / lengths + phases).sum(axis=-1)

    return field


def photograph(field: Field, height: int, width: int) -> torch.Tensor:
    """float32 [1, H, W, 3]."""
    y, x = np.mgrid[:height, :width].astype(np.float64)
    return torch.from_numpy(field(x, y).astype(np.float32))[None]


def owners(areas: Sequence[FaceArea], height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the nearest face of every pixel of a photograph, -1 for none, and the distance from it."""
    whole = Window(0, 0, width, height)
    distances = np.stack([area.distance(whole) for area in areas] or [np.full((height, width), np.inf)])
    nearest = distances.min(axis=0)
    return np.where(np.isinf(nearest), -1, distances.argmin(axis=0)), nearest
