"""A photograph and the faces in it. Operations on the pixels update the truth as well."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from lab.render.scene import Scene

Pixels = NDArray[np.float32]
"""[H, W, C] in [0, 1]; pictures that are broken on purpose contain values that are not finite."""


@dataclass(frozen=True, eq=False)
class TrueFace:
    """A face that was drawn, in OpenCV's coordinates: (0, 0) is the middle of the top left pixel.

    Attributes:
        identity: seed of the person.
        box: x0, y0, x1, y1 around the face's skin, clipped to the picture.
        landmarks: [5, 2] float64 in InsightFace's order, by anatomy: in an upside-down face the first is on the right.
        mask: [H, W] bool, where the face is visible.
        yaw: degrees.
        roll: degrees in the picture, in (-180, 180].
        visible: share of the face inside the picture that no other person hides.
        inside: share of the box that is inside the picture.
    """

    identity: int
    box: tuple[float, float, float, float]
    landmarks: NDArray[np.float64]
    mask: NDArray[np.bool_]
    yaw: float
    roll: float
    visible: float
    inside: float

    @property
    def size(self) -> float:
        """Longer side of the box, pixels."""
        x0, y0, x1, y1 = self.box
        return max(x1 - x0, y1 - y0)


@dataclass(frozen=True, eq=False)
class Photograph:
    """A picture and the faces in it."""

    pixels: Pixels
    faces: tuple[TrueFace, ...]

    def moved(
        self, pixels: Pixels, matrix: NDArray[np.float64], roll: float, masks: Callable[..., NDArray]
    ) -> Photograph:
        """Return the same people in another picture.

        Args:
            pixels: pixels of the new picture.
            matrix: [2, 3], maps pixel coordinates of the old picture to the new one.
            roll: degrees by which the people turn clockwise.
            masks: converts an old mask to a new one.
        """
        height, width = pixels.shape[:2]
        limits = np.array([width, height]) - 0.5
        faces = []
        for face in self.faces:
            x0, y0, x1, y1 = face.box
            corners = np.array([(x0, y0), (x1, y1)]) @ matrix[:, :2].T + matrix[:, 2]
            low, high = corners.min(0), corners.max(0)
            cut_low, cut_high = np.clip(low, -0.5, limits), np.clip(high, -0.5, limits)
            mask = masks(face.mask)
            if not mask.any():
                continue
            faces.append(
                replace(
                    face,
                    box=(*cut_low.tolist(), *cut_high.tolist()),
                    landmarks=face.landmarks @ matrix[:, :2].T + matrix[:, 2],
                    mask=mask,
                    roll=180 - (180 - face.roll - roll) % 360,
                    inside=face.inside * float(np.prod(cut_high - cut_low) / np.prod(high - low)),
                )
            )
        return Photograph(pixels, tuple(faces))

    def turned(self, quarters: int) -> Photograph:
        """Return the photograph turned clockwise by quarters of a circle."""
        height, width = self.pixels.shape[:2]
        matrices = {
            1: [[0, -1, height - 1], [1, 0, 0]],
            2: [[-1, 0, width - 1], [0, -1, height - 1]],
            3: [[0, 1, 0], [-1, 0, width - 1]],
        }

        def turn(array: NDArray) -> NDArray:
            return np.ascontiguousarray(np.rot90(array, -quarters))

        return self.moved(turn(self.pixels), np.array(matrices[quarters], float), 90.0 * quarters, turn)

    def cut(self, x0: int, y0: int, x1: int, y1: int) -> Photograph:
        """Return the part from (x0, y0) up to but excluding (x1, y1)."""
        window = np.s_[y0:y1, x0:x1]
        return self.moved(
            np.ascontiguousarray(self.pixels[window]),
            np.array([[1.0, 0, -x0], [0, 1, -y0]]),
            0.0,
            lambda mask: np.ascontiguousarray(mask[window]),
        )

    def enlarged(self, factor: int) -> Photograph:
        """Return the photograph with `factor` times as many pixels per side."""
        height, width = self.pixels.shape[:2]
        size = (width * factor, height * factor)
        matrix = np.array([[factor, 0, (factor - 1) / 2], [0, factor, (factor - 1) / 2]], float)
        pixels = cv2.resize(self.pixels, size, interpolation=cv2.INTER_LINEAR).astype(np.float32, copy=False)

        def enlarge(mask: NDArray) -> NDArray:
            return cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST).astype(bool)

        return self.moved(pixels, matrix, 0.0, enlarge)


def photograph_of(scene: Scene) -> Photograph:
    """Convert a rendered scene to a photograph."""
    faces = []
    for truth in scene.truths:
        if not truth.mask.any():
            continue
        # The renderer's origin is the corner of the top left pixel, not its middle.
        x0, y0, x1, y1 = truth.box
        faces.append(
            TrueFace(
                identity=truth.identity,
                box=(x0 - 0.5, y0 - 0.5, x1 - 0.5, y1 - 0.5),
                landmarks=truth.landmarks - 0.5,
                mask=truth.mask,
                yaw=truth.yaw,
                roll=truth.roll,
                visible=truth.visible,
                inside=truth.inside,
            )
        )
    return Photograph(scene.image.astype(np.float32) / np.float32(255), tuple(faces))


def grey(photograph: Photograph) -> Photograph:
    """Return the photograph with a single channel."""
    weights = np.array([0.299, 0.587, 0.114], np.float32)
    levels = np.round((photograph.pixels @ weights)[..., None] * 255)
    return replace(photograph, pixels=(levels / np.float32(255)).astype(np.float32))


def deeper(photograph: Photograph, rng: np.random.Generator) -> Photograph:
    """Return the photograph with 16 bits per channel, all of them in use."""
    noise = rng.uniform(-0.5, 0.5, photograph.pixels.shape) / 255
    levels = np.round(np.clip(photograph.pixels + noise, 0, 1) * 65535)
    return replace(photograph, pixels=(levels / 65535).astype(np.float32))
