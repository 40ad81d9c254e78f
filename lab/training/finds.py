"""Training data of the second look: canvases on disk, with the finds of the detector's first stage.

A set is a folder of shards, as in `portraits`; drawing it can be interrupted and continued.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..boxes import intersection_over_union
from .canvases import Canvas, Stock, draw_canvas
from .detector_network import network_input
from .portraits import Arrays, load_shards, shard_file, write_shard
from .second_look_file import proposals_file

SHARD = 200
"""Canvases per shard."""

MOST_FACES, MOST_FINDS = 24, 32
"""Most faces and finds of a canvas; further ones are left out."""

LEARNT_SCORE = 0.05
"""Least score of the finds to learn from. It is below that of a second look in use, to include more wrong finds."""

OWN = 0.35
"""Least intersection over union at which a find belongs to a face and learns its position."""

FOREIGN = 0.3
"""Intersection over union below which a find belongs to no face. From this up to `FACE` it does not count."""

FACE = 0.5
"""Least intersection over union at which a find must be called a face."""


@dataclass(frozen=True)
class FindSet:
    """A set of canvases.

    Attributes:
        count: number of canvases.
        side: side of a canvas in pixels.
        seed: seed of what they show.
    """

    count: int
    side: int
    seed: int

    @property
    def name(self) -> str:
        """Folder of the set."""
        return f"finds-{self.seed}-{self.count}-{self.side}"

    @property
    def shards(self) -> int:
        """Number of shards."""
        return -(-self.count // SHARD)

    def shard(self, number: int, stock: Stock, first: FirstStage) -> Arrays:
        """Draw one shard: `image` [n, side, side, 3] uint8 and the columns of `columns_of`."""
        canvases = [
            draw_canvas(stock, self.side, np.random.default_rng([self.seed, i]))
            for i in range(number * SHARD, min(self.count, (number + 1) * SHARD))
        ]
        columns = [columns_of(canvas, first.boxes(canvas.image)) for canvas in canvases]
        arrays = {name: np.stack([column[name] for column in columns]) for name in columns[0]}
        return {"image": np.stack([canvas.image for canvas in canvases])} | arrays

    def render(self, directory: Path, stock: Stock, first: bytes) -> None:
        """Draw the missing shards; `first` is the first stage's file."""
        stage = FirstStage(first)
        for number in range(self.shards):
            if not shard_file(directory / self.name, number).exists():
                write_shard(directory / self.name, number, self.shard(number, stock, stage))

    def load(self, directory: Path) -> Arrays:
        """Load all shards as one.

        Raises:
            FileNotFoundError: a shard is missing.
        """
        return load_shards(directory / self.name, self.shards)


class FirstStage:
    """Runs the first stage on one core; `first` is its file, `least` the least score of its finds."""

    def __init__(self, first: bytes, least: float = LEARNT_SCORE) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        content = proposals_file(first, least)
        self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

    def boxes(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return boxes [M, 4] to look at again, in pixels of an RGB picture [H, W, 3] with sides multiples of 32."""
        blob = network_input(image[None]).numpy()
        found: NDArray[np.float32] = self._session.run(["boxes"], {"input.1": np.ascontiguousarray(blob)})[0]
        return found


def columns_of(canvas: Canvas, finds: NDArray[np.float32]) -> Arrays:
    """Convert a canvas's faces and finds to arrays, padded with zeros.

    Returns:
        `face` [MOST_FACES, 4], `marks` [MOST_FACES, 5, 2] float32, `counted` [MOST_FACES] bool; `find` [MOST_FINDS, 4]
        float32; `faces`, `finds` uint8, their numbers.
    """
    faces, finds = min(len(canvas.boxes), MOST_FACES), finds[:MOST_FINDS]
    arrays: Arrays = {
        "face": np.zeros((MOST_FACES, 4), np.float32),
        "marks": np.zeros((MOST_FACES, 5, 2), np.float32),
        "counted": np.zeros(MOST_FACES, bool),
        "find": np.zeros((MOST_FINDS, 4), np.float32),
        "faces": np.array(faces, np.uint8),
        "finds": np.array(len(finds), np.uint8),
    }
    arrays["face"][:faces] = canvas.boxes[:faces]
    arrays["marks"][:faces] = canvas.landmarks[:faces]
    arrays["counted"][:faces] = canvas.counted[:faces]
    arrays["find"][: len(finds)] = finds
    return arrays


@dataclass(frozen=True, eq=False)
class Lesson:
    """Squares to look at in some canvases, S in all, and what they show.

    Attributes:
        boxes: float32 [S, 4], pixels, which the squares surround.
        canvas: int64 [S], index of the canvas.
        face: bool [S], whether it must be called a face.
        decided: bool [S], False where either answer is right.
        own: bool [S], whether there is a face to locate.
        true_boxes: float32 [S, 4], box of that face; arbitrary without one.
        true_marks: float32 [S, 5, 2], landmarks of that face; arbitrary without one.
    """

    boxes: NDArray[np.float32]
    canvas: NDArray[np.int64]
    face: NDArray[np.bool_]
    decided: NDArray[np.bool_]
    own: NDArray[np.bool_]
    true_boxes: NDArray[np.float32]
    true_marks: NDArray[np.float32]


def draw_lesson(finds: Arrays, numbers: NDArray[np.int64], each: int, rng: np.random.Generator) -> Lesson:
    """Draw squares in some canvases of a set, around the first stage's finds and boxes near the faces.

    Args:
        finds: a loaded set.
        numbers: indices of the canvases.
        each: most squares of either kind per canvas.
        rng: random generator of the choices.
    """
    rows = []
    for place, number in enumerate(numbers.tolist()):
        faces, count = int(finds["faces"][number]), int(finds["finds"][number])
        true, counted = finds["face"][number, :faces], finds["counted"][number, :faces]
        found = finds["find"][number, :count]
        chosen = [moved(found[rng.permutation(count)[:each]], 0.03, rng)]
        near = true[counted]
        chosen.append(moved(near[rng.permutation(len(near))[:each]], float(rng.choice([0.03, 0.1])), rng))
        boxes = np.concatenate(chosen)
        shared = intersection_over_union(boxes, true) if faces else np.zeros((len(boxes), 1))
        best = shared.argmax(1)
        of_counted = counted[best] if faces else np.zeros(len(boxes), bool)
        most = shared.max(1)
        rows.append(
            (
                boxes,
                np.full(len(boxes), place),
                (most >= FACE) & of_counted,
                (most < FOREIGN) | ((most >= FACE) & of_counted),
                (most >= OWN) & of_counted,
                true[best] if faces else np.zeros((len(boxes), 4), np.float32),
                finds["marks"][number, best],
            )
        )
    return Lesson(*(np.concatenate(column) for column in zip(*rows, strict=True)))


def moved(boxes: NDArray[np.float32], by: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Move and resize boxes [N, 4]; `by` is the standard deviation, in sides, and of the log size."""
    extent = boxes[:, 2:] - boxes[:, :2]
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2 + by * extent * rng.standard_normal((len(boxes), 2))
    half = extent / 2 * np.exp(by * rng.standard_normal((len(boxes), 2)))
    return np.concatenate([middle - half, middle + half], axis=1).astype(np.float32)
