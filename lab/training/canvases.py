"""Composes the pictures that the detector learns from: faces of all sizes and angles, from rendered pictures.

A canvas is a piece of a scene, portraits on top of a scene, or one picture in a black frame as the pack shows it to the
detector, at one of the detector's scales. Coordinates are pixels, (0, 0) the top left corner of the top left pixel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from reverse_personalization.geometry.face_search import MIRRORED_LANDMARKS

from .portraits import Arrays
from .spoiling import Picture, blurred, noisy, spoiled

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

SEEN = 0.42
"""Least visible share of a face that counts; with less, it may or may not be found. It is below one half because half
visible faces must be found."""

HIDDEN = 0.15
"""Largest visible share of a face that cannot be found."""

CUT = 0.25
"""Share of the pictures that are cropped through a face."""

LEFT = (0.42, 0.9)
"""Least and largest share of that face that remains."""

MIN_SIZE = 15.0
"""Least longer side of a face that counts, in pixels."""

STEEPEST = 55.0
"""Largest roll of a face that counts, in degrees."""

USUAL_FACE = (17.0, 52.0)
"""Heights of most faces in pixels: about those that the network must find at one scale."""

USUAL = 0.75
"""Share of the faces with such a height; the others are larger, and the network must ignore them."""

BORDERS = (0.0, 0.25, 0.75)
"""Black frames in which the pack's face search (`reverse_personalization.geometry.face_search`) shows pictures."""


class Source(NamedTuple):
    """A rendered picture and its F faces.

    Attributes:
        image: [H, W, 3].
        boxes: [F, 4].
        landmarks: [F, 5, 2].
        visible: [F] in [0, 1], visible share of the whole face.
        rolls: [F], roll in degrees.
    """

    image: Picture
    boxes: F32
    landmarks: F32
    visible: F32
    rolls: F32


class Canvas(NamedTuple):
    """A picture to learn from.

    Attributes:
        image: [side, side, 3] uint8.
        boxes: [F, 4].
        landmarks: [F, 5, 2].
        counted: [F]; False for faces that may or may not be found.
    """

    image: Picture
    boxes: F32
    landmarks: F32
    counted: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Stock:
    """Rendered pictures to choose from, as loaded sets of scenes and portraits."""

    scenes: Arrays
    portraits: Arrays

    def scene(self, rng: np.random.Generator) -> Source:
        """Choose a scene."""
        number = int(rng.integers(len(self.scenes["image"])))
        count = int(self.scenes["people"][number])
        rows = {name: self.scenes[name][number, :count] for name in ("box", "landmarks", "visible", "angles")}
        return Source(
            self.scenes["image"][number],
            rows["box"],
            rows["landmarks"],
            rows["visible"] * self.scenes["inside"][number, :count],
            rows["angles"][:, 1].copy(),
        )

    def portrait(self, rng: np.random.Generator) -> Source:
        """Choose a portrait."""
        number = int(rng.integers(len(self.portraits["image"])))
        row = slice(number, number + 1)
        return Source(
            self.portraits["image"][number],
            self.portraits["box"][row],
            self.portraits["landmarks"][row],
            np.ones(1, np.float32),
            self.portraits["pose"][row, 2],
        )


def mirrored(source: Source) -> Source:
    """Mirror the picture horizontally."""
    width = source.image.shape[1]
    boxes = source.boxes.copy()
    boxes[:, [0, 2]] = width - source.boxes[:, [2, 0]]
    landmarks = source.landmarks[:, MIRRORED_LANDMARKS].copy()
    landmarks[..., 0] = width - landmarks[..., 0]
    return Source(np.ascontiguousarray(source.image[:, ::-1]), boxes, landmarks, source.visible, -source.rolls)


def cut(source: Source, rng: np.random.Generator) -> Source:
    """Crop a picture through one of its faces, if any is visible enough."""
    whole = np.flatnonzero(source.visible >= LEFT[1])
    if not len(whole):
        return source
    low, high = source.boxes[rng.choice(whole)].reshape(2, 2)
    axis, left = int(rng.integers(2)), rng.uniform(*LEFT)
    x0, y0, x1, y1 = 0, 0, *source.image.shape[1::-1]
    if rng.random() < 0.5:
        edge = round(float(low[axis] + left * (high[axis] - low[axis])))
        x1, y1 = (edge, y1) if axis == 0 else (x1, edge)
    else:
        edge = round(float(high[axis] - left * (high[axis] - low[axis])))
        x0, y0 = (edge, y0) if axis == 0 else (x0, edge)
    corner = np.array([x0, y0], np.float32)
    boxes = np.clip(source.boxes, [x0, y0, x0, y0], [x1, y1, x1, y1]).astype(np.float32)
    areas = [(one[:, 2:] - one[:, :2]).prod(1) for one in (boxes, source.boxes)]
    kept = areas[0] > 0
    return Source(
        np.ascontiguousarray(source.image[y0:y1, x0:x1]),
        boxes[kept] - np.tile(corner, 2),
        source.landmarks[kept] - corner,
        source.visible[kept] * areas[0][kept] / areas[1][kept],
        source.rolls[kept],
    )


def turned_boxes(boxes: F32, rolls: F32, view: F64) -> F32:
    """Transform boxes [F, 4] of faces with `rolls` [F] in degrees by a similarity [2, 3].

    Faces are modelled as ellipses, which makes no difference unless the view turns.
    """
    turn = np.degrees(np.arctan2(view[1, 0], view[0, 0]))
    factor = np.hypot(view[0, 0], view[1, 0])
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2 @ view[:, :2].T + view[:, 2]
    squares = ((boxes[:, 2:] - boxes[:, :2]) / 2) ** 2
    total, difference = squares.sum(1), squares[:, 0] - squares[:, 1]
    before = np.cos(np.radians(2 * np.clip(rolls, -38, 38)))
    after = np.cos(np.radians(2 * np.clip(rolls + turn, -80, 80))) if turn else before
    difference = np.clip(difference * after / before, -0.9 * total, 0.9 * total)
    halves = factor * np.sqrt(np.stack([total + difference, total - difference], axis=-1) / 2)
    return np.concatenate([middle - halves, middle + halves], axis=1).astype(np.float32)


class Easel:
    """A canvas under construction."""

    def __init__(self, side: int, colour: NDArray[np.uint8]) -> None:
        self.side = side
        self.image: Picture = np.empty((side, side, 3), np.uint8)
        self.image[:] = colour
        self.owner: NDArray[np.uint8] = np.zeros((side, side), np.uint8)
        self.layers = 0
        self.faces: list[tuple[F32, F32, F32, F32, int]] = []

    def paste(self, source: Source, view: F64, rng: np.random.Generator) -> None:
        """Draw a picture onto the canvas; the similarity `view` [2, 3] maps its pixels to the canvas's."""
        self.layers += 1
        factor = float(np.hypot(view[0, 0], view[1, 0]))
        image, inner = source.image, view.copy()
        if factor < 0.8 and rng.random() < 0.85:
            # Shrink as the pack and the detector do; otherwise resample as InsightFace does.
            size = np.maximum(np.round(np.array(image.shape[1::-1]) * factor), 2).astype(int)
            inner[:, :2] = view[:, :2] * (np.array(image.shape[1::-1]) / size)
            image = np.asarray(cv2.resize(image, size.tolist(), interpolation=cv2.INTER_AREA), np.uint8)
        window, shape, corner = self._reached(image.shape[:2], inner)
        # OpenCV's origin is the middle of the first pixel.
        inner[:, 2] += inner[:, :2] @ [0.5, 0.5] - 0.5 - corner
        way = cv2.INTER_CUBIC if factor > 1.2 and rng.random() < 0.3 else cv2.INTER_LINEAR
        warped = cv2.warpAffine(image, inner, shape, flags=way)
        full = np.full(image.shape[:2], 255, np.uint8)
        cover = cv2.warpAffine(full, inner, shape, flags=cv2.INTER_NEAREST)
        cv2.copyTo(warped, cover, self.image[window])
        self.owner[window][cover > 0] = self.layers
        turn = np.degrees(np.arctan2(view[1, 0], view[0, 0]))
        boxes = turned_boxes(source.boxes, source.rolls, view)
        landmarks = source.landmarks @ view[:, :2].T.astype(np.float32) + view[:, 2].astype(np.float32)
        self.faces.append((boxes, landmarks, source.visible, source.rolls + np.float32(turn), self.layers))

    def _reached(self, shape: tuple[int, ...], view: F64) -> tuple[tuple[slice, slice], tuple[int, int], F64]:
        """Return the part of the canvas that a picture of a shape can reach: window, (width, height), corner (x, y)."""
        height, width = shape
        corners = np.array([[0, 0], [width, 0], [0, height], [width, height]]) @ view[:, :2].T + view[:, 2]
        x0, y0 = np.clip(np.floor(corners.min(0)).astype(int), 0, self.side - 1).tolist()
        x1, y1 = np.clip(np.ceil(corners.max(0)).astype(int), [x0 + 1, y0 + 1], self.side).tolist()
        return (slice(y0, y1), slice(x0, x1)), (x1 - x0, y1 - y0), np.array([x0, y0], float)

    def canvas(self) -> Canvas:
        """Return the finished canvas, with boxes clipped to it and without faces that are hidden or outside."""
        boxes, landmarks, counted = [], [], []
        for layer_boxes, layer_landmarks, visible, rolls, layer in self.faces:
            for box, points, seen, roll in zip(layer_boxes, layer_landmarks, visible, rolls, strict=True):
                rest = np.clip(box, 0, self.side)
                width, height = float(rest[2] - rest[0]), float(rest[3] - rest[1])
                if min(width, height) < 2:
                    continue
                x0, y0, x1, y1 = np.round(rest).astype(int).tolist()
                own = float((self.owner[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)] == layer).mean())
                inside = width * height / float((box[2] - box[0]) * (box[3] - box[1]))
                if own * inside < HIDDEN:
                    continue
                boxes.append(rest)
                landmarks.append(points)
                counted.append(
                    float(seen) * own * inside >= SEEN
                    and max(width, height) >= MIN_SIZE
                    and abs(float(roll)) <= STEEPEST
                )
        return Canvas(
            self.image,
            np.array(boxes, np.float32).reshape(-1, 4),
            np.array(landmarks, np.float32).reshape(-1, 5, 2),
            np.array(counted, bool),
        )


def _height(rng: np.random.Generator, side: int) -> float:
    """Draw the height in pixels of a face on a canvas."""
    if rng.random() < USUAL:
        return _log_uniform(rng, *USUAL_FACE)
    return _log_uniform(rng, USUAL_FACE[1], 2 * side)


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(max(high, low * 1.01)))))


def _view(factor: float, degrees: float, middle: F64, place: F64) -> F64:
    """Return the similarity [2, 3] that maps `middle` to `place`."""
    turn = factor * np.exp(1j * np.radians(degrees))
    view = np.array([[turn.real, -turn.imag, 0.0], [turn.imag, turn.real, 0.0]])
    view[:, 2] = place - view[:, :2] @ middle
    return view


def _place(face: float, side: int, rng: np.random.Generator) -> F64:
    """Place the middle of a face of a given height, mostly inside the canvas or cut off by it."""
    within = 0.0 if rng.random() < CUT else 0.45
    reach = max(side / 2 - within * face, 0)
    return side / 2 + rng.uniform(-reach, reach, 2)


def _scene_view(source: Source, side: int, rng: np.random.Generator) -> F64:
    """View a piece of a scene around one of its faces, or any piece."""
    height, width = source.image.shape[:2]
    degrees = float(rng.uniform(-18, 18)) if rng.random() < 0.35 else 0.0
    seen = np.flatnonzero(source.visible >= SEEN)
    if len(seen) and rng.random() < 0.9:
        box = source.boxes[rng.choice(seen)]
        face = float(box[3] - box[1])
        factor = min(_height(rng, side) / face, 3.5)
        middle = np.array([box[0] + box[2], box[1] + box[3]]) / 2
        return _view(factor, degrees, middle, _place(factor * face, side, rng))
    factor = _log_uniform(rng, side / max(height, width), 3 * side / max(height, width))
    return _view(factor, degrees, rng.uniform(0.2, 0.8, 2) * [width, height], np.full(2, side / 2))


def _wide_view(source: Source, side: int, rng: np.random.Generator) -> F64:
    """View a scene or a piece of it that fills the canvas."""
    height, width = source.image.shape[:2]
    factor = side / min(height, width) * float(np.exp(rng.uniform(0, 0.9)))
    low = np.array([side - width * factor, side - height * factor])
    shift = rng.uniform(low, 0.0)
    return np.array([[factor, 0.0, shift[0]], [0.0, factor, shift[1]]])


def _framed_view(source: Source, side: int, rng: np.random.Generator) -> F64:
    """View the whole picture in a frame, as the pack or InsightFace shows it."""
    border = float(rng.choice(BORDERS)) if rng.random() < 0.7 else float(rng.uniform(0, 0.8))
    tallest = float((source.boxes[:, 3] - source.boxes[:, 1]).max(initial=24.0))
    factor = _log_uniform(rng, *USUAL_FACE) / tallest
    shift = min(border * max(source.image.shape[:2]) * factor, side / 2)
    return np.array([[factor, 0.0, shift], [0.0, factor, shift]])


def _portrait_view(source: Source, side: int, rng: np.random.Generator) -> F64:
    """View a portrait anywhere on the canvas."""
    box = source.boxes[0]
    face = float(box[3] - box[1])
    factor = _height(rng, side) / face
    middle = np.array([box[0] + box[2], box[1] + box[3]]) / 2
    degrees = float(np.clip(12 * rng.normal(), -30, 30))
    return _view(factor, degrees, middle, _place(factor * face, side, rng))


def _varied(rng: np.random.Generator, source: Source) -> Source:
    """Sometimes mirror and sometimes crop the picture."""
    source = cut(source, rng) if rng.random() < CUT else source
    return mirrored(source) if rng.random() < 0.5 else source


def _worn(rng: np.random.Generator, source: Source) -> Source:
    """Sometimes mirror or crop the picture, and sometimes spoil it before its size changes."""
    source = _varied(rng, source)
    if rng.random() < 0.25:
        source = source._replace(image=blurred(source.image, rng, 1.6))
    if rng.random() < 0.15:
        source = source._replace(image=noisy(source.image, rng))
    return source


def draw_canvas(stock: Stock, side: int, rng: np.random.Generator) -> Canvas:
    """Compose a new canvas of `side` pixels from the stock."""
    black = rng.random() < 0.6
    easel = Easel(side, np.zeros(3, np.uint8) if black else rng.integers(0, 255, 3).astype(np.uint8))
    kind = rng.random()
    if kind < 0.2:
        framed = _worn(rng, stock.portrait(rng)) if rng.random() < 0.8 else _varied(rng, stock.scene(rng))
        easel.paste(framed, _framed_view(framed, side, rng), rng)
    else:
        if kind < 0.92:
            scene = _varied(rng, stock.scene(rng))
            if rng.random() < 0.8:
                easel.paste(scene, _wide_view(scene, side, rng), rng)
                scene = _varied(rng, stock.scene(rng))
            if kind < 0.7:
                easel.paste(scene, _scene_view(scene, side, rng), rng)
        if kind >= 0.45:
            portraits = [_worn(rng, stock.portrait(rng)) for _ in range(int(rng.integers(2, 8)))]
            views = [_portrait_view(portrait, side, rng) for portrait in portraits]
            order = np.argsort([-np.hypot(view[0, 0], view[1, 0]) for view in views])
            for number in order.tolist():
                easel.paste(portraits[number], views[number], rng)
    canvas = easel.canvas()
    image = spoiled(canvas.image, rng, strongest_blur=0.8)
    if black:
        # The pack adds a frame last, so the frame is not spoilt.
        image[easel.owner == 0] = 0
    return canvas._replace(image=image)
