"""Measures a detector through InsightFace itself.

A face counts if at least half of it is visible, nine tenths of its box are in the picture, the detector sees it at
SMALLEST pixels high or more, and its yaw and roll are within the limits; any other face may or may not be found.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..boxes import intersection_over_union
from .portraits import Arrays
from .scenes import WIDEST_ROLL, WIDEST_YAW
from .spoiling import spoiled

SMALLEST = 24.0
MIN_VISIBLE, MIN_INSIDE = 0.5, 0.9
FOUND = 0.5
"""Least intersection over union at which a find matches a face."""

TOUCHED = 0.3
"""The same for a face that does not count: a find near it is not an error."""

SIZES = (24, 36, 60, 120, 10_000)
"""Limits of face height in pixels, for the figures by size."""

USUAL_SIZE = 640
LOOKS = (
    ("as it is", None, 0.0),
    ("640", 640, 0.0),
    ("640, border 0.25", 640, 0.25),
    ("320", 320, 0.0),
    ("320, border 0.75", 320, 0.75),
)
"""Ways in which the pack shows a portrait to the detector: name, side of the square, black border."""


class Tally:
    """Counts over pictures."""

    def __init__(self) -> None:
        self.faces = self.found = self.right = self.wrong = self.best = 0
        self.errors: list[float] = []
        self.heights: list[float] = []
        self.hits: list[bool] = []

    def add(
        self,
        boxes: NDArray[Any],
        landmarks: NDArray[Any],
        true_boxes: NDArray[Any],
        true_landmarks: NDArray[Any],
        counted: NDArray[np.bool_],
    ) -> None:
        """Count a picture: found boxes [D, 5] by falling score and landmarks [D, 5, 2]; and the truth, F faces."""
        shared = intersection_over_union(boxes[:, :4], true_boxes)
        free = np.ones(len(true_boxes), bool)
        for row in range(len(boxes)):
            fitting = np.where(free & counted, shared[row], 0)
            best = int(fitting.argmax()) if fitting.size else 0
            if fitting.size and fitting[best] >= FOUND:
                free[best] = False
                self.right += 1
                eyes = float(np.linalg.norm(true_landmarks[best, 1] - true_landmarks[best, 0]))
                away = np.linalg.norm(landmarks[row] - true_landmarks[best], axis=-1).mean()
                self.errors.append(float(away) / max(eyes, 1e-6))
                self.heights.append(float(true_boxes[best, 3] - true_boxes[best, 1]))
            elif not (~counted & (shared[row] >= TOUCHED)).any():
                self.wrong += 1
        for face in np.flatnonzero(counted):
            self.faces += 1
            self.found += int(not free[face])
            self.hits.append(bool(not free[face]))

    def figures(self) -> dict[str, Any]:
        """Return recall and precision in [0, 1] and the mean landmark error in eye distances."""
        result: dict[str, Any] = {
            "faces": self.faces,
            "recall": round(self.found / max(self.faces, 1), 5),
            "wrong": self.wrong,
            "precision": round(self.right / max(self.right + self.wrong, 1), 5),
        }
        if self.errors:
            result["landmark_error"] = round(float(np.mean(self.errors)), 5)
            result["landmark_error_median"] = round(float(np.median(self.errors)), 5)
        return result


def counted_faces(scenes: Arrays, number: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.bool_]]:
    """Return boxes [F, 4] and landmarks [F, 5, 2] of a scene, and which faces count [F]."""
    people = int(scenes["people"][number])
    box, landmarks, angles = (scenes[name][number, :people] for name in ("box", "landmarks", "angles"))
    counted = (
        (scenes["visible"][number, :people] >= MIN_VISIBLE)
        & (scenes["inside"][number, :people] >= MIN_INSIDE)
        & (box[:, 3] - box[:, 1] >= SMALLEST)
        & (np.abs(angles[:, 0]) <= WIDEST_YAW)
        & (np.abs(angles[:, 1]) <= WIDEST_ROLL)
    )
    return box, landmarks, counted


def detect(detector: Any, image: NDArray[np.uint8], size: tuple[int, int]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return boxes with scores [D, 5] and landmarks [D, 5, 2] of an RGB picture, by SCRFD at (width, height)."""
    boxes, landmarks = detector.detect(np.ascontiguousarray(image[..., ::-1]), input_size=size)
    return boxes, landmarks


def rounded_up(image: NDArray[np.uint8]) -> tuple[int, int]:
    """Return width and height of a picture, rounded up to what a detector accepts."""
    height, width = (-(-side // 32) * 32 for side in image.shape[:2])
    return width, height


def _scene_figures(detector: Any, sets: list[Arrays]) -> dict[str, Any]:
    every, empty = Tally(), Tally()
    by_size = [Tally() for _ in SIZES[1:]]
    for scenes in sets:
        for number, image in enumerate(scenes["image"]):
            boxes, landmarks = detect(detector, image, rounded_up(image))
            true_boxes, true_landmarks, counted = counted_faces(scenes, number)
            every.add(boxes, landmarks, true_boxes, true_landmarks, counted)
            if len(true_boxes) == 0:
                empty.add(boxes, landmarks, true_boxes, true_landmarks, counted)
            heights = true_boxes[:, 3] - true_boxes[:, 1]
            for tally, low, high in zip(by_size, SIZES, SIZES[1:], strict=False):
                tally.add(boxes, landmarks, true_boxes, true_landmarks, counted & (heights >= low) & (heights < high))
    sizes = {}
    for tally, low, high in zip(by_size, SIZES, SIZES[1:], strict=False):
        figures = tally.figures()
        kept = ("faces", "recall", "landmark_error")
        sizes[f"{low} to {high}"] = {name: figures[name] for name in kept if name in figures}
    pictures = sum(int((scenes["people"] == 0).sum()) for scenes in sets)
    return every.figures() | {"by_height": sizes, "empty": {"pictures": pictures, "wrong": empty.wrong}}


def framed(image: NDArray[np.uint8], size: int, border: float) -> tuple[NDArray[np.uint8], float, int]:
    """Put a square picture in a black frame as the pack does; return it with its scale and its offset in pixels."""
    side = len(image)
    shown = round(size / (1 + 2 * border))
    offset = (size - shown) // 2
    canvas = np.zeros((size, size, 3), np.uint8)
    way = cv2.INTER_AREA if shown < side else cv2.INTER_LINEAR
    canvas[offset : offset + shown, offset : offset + shown] = cv2.resize(image, (shown, shown), interpolation=way)
    return canvas, shown / side, offset


def _portrait_figures(detector: Any, portraits: Arrays) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for spoil in (False, True):
        for name, size, border in LOOKS:
            tally = Tally()
            for number, image in enumerate(portraits["image"]):
                shown = spoiled(image, np.random.default_rng([1, number])) if spoil else image
                canvas, scale, offset = framed(shown, size or len(image), border)
                boxes, landmarks = detect(detector, canvas, rounded_up(canvas))
                tally.add(
                    boxes,
                    landmarks,
                    portraits["box"][number : number + 1] * scale + offset,
                    portraits["landmarks"][number : number + 1] * scale + offset,
                    np.ones(1, bool),
                )
            result[name + (", spoiled" if spoil else "")] = tally.figures()
    return result


def _milliseconds(detector: Any) -> float:
    """Time the network on a picture of the usual size; return the best of several runs."""
    image = np.zeros((USUAL_SIZE, USUAL_SIZE, 3), np.uint8)
    spent = []
    for _ in range(6):
        started = time.perf_counter()
        detector.forward(image, 0.5)
        spent.append(time.perf_counter() - started)
    return round(1000 * min(spent), 1)


def detector_figures(path: Path, scenes: list[Arrays], portraits: Arrays) -> dict[str, Any]:
    """Measure a detector's file.

    Args:
        path: path of the file.
        scenes: loaded sets of scenes.
        portraits: loaded set of portraits.

    Returns:
        `scenes`: recall, precision and landmark error in eye distances, also by face height, and false finds in empty
        scenes; `portraits`: the same for each look of the pack, also on spoilt pictures; `milliseconds` at 640.

    Raises:
        ImportError: insightface is not installed.
    """
    from insightface import model_zoo

    detector = model_zoo.get_model(str(path), providers=["CPUExecutionProvider"])
    return {
        "scenes": _scene_figures(detector, scenes),
        "portraits": _portrait_figures(detector, portraits),
        "milliseconds": _milliseconds(detector),
    }
