"""What the second look learns from: canvases on disk with what the detector's first stage finds in them.

A set is a folder of shards like those of `portraits`, and goes on where it stopped in the same way.
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
"""Canvases in a shard."""

MOST_FACES, MOST_FINDS = 24, 32
"""Rows of a canvas; of more faces and finds the last are left out."""

LEARNT_SCORE = 0.05
"""Of the first stage's finds; less than gets a second look later: there is more to learn from what is wrong."""

OWN = 0.35
"""Part of their union from which on a find is a face's, for it to learn where the face is."""

FOREIGN = 0.3
"""The same below which it is nobody's. Between this and `FACE` it may be a face or not."""

FACE = 0.5
"""The same from which on it is to be called a face."""


@dataclass(frozen=True)
class FindSet:
    """A set of canvases.

    Attributes:
        count: how many.
        side: pixels.
        seed: of what they show.
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
        """Shards in all."""
        return -(-self.count // SHARD)

    def shard(self, number: int, stock: Stock, first: FirstStage) -> Arrays:
        """Draw one shard: see `columns_of` for what it holds beside `image` [n, side, side, 3] uint8."""
        canvases = [
            draw_canvas(stock, self.side, np.random.default_rng([self.seed, i]))
            for i in range(number * SHARD, min(self.count, (number + 1) * SHARD))
        ]
        columns = [columns_of(canvas, first.boxes(canvas.image)) for canvas in canvases]
        arrays = {name: np.stack([column[name] for column in columns]) for name in columns[0]}
        return {"image": np.stack([canvas.image for canvas in canvases])} | arrays

    def render(self, directory: Path, stock: Stock, first: bytes) -> None:
        """Draw the shards that are not there yet; `first` is the first stage's file."""
        stage = FirstStage(first)
        for number in range(self.shards):
            if not shard_file(directory / self.name, number).exists():
                write_shard(directory / self.name, number, self.shard(number, stock, stage))

    def load(self, directory: Path) -> Arrays:
        """All shards in one.

        Raises:
            FileNotFoundError: a shard has not been drawn.
        """
        return load_shards(directory / self.name, self.shards)


class FirstStage:
    """The first stage at work, on one core; `first` is its file, `least` the score of what it gives out."""

    def __init__(self, first: bytes, least: float = LEARNT_SCORE) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        content = proposals_file(first, least)
        self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

    def boxes(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """What would get a second look, [M, 4] in pixels of an RGB picture [H, W, 3], sides multiples of 32."""
        blob = network_input(image[None]).numpy()
        found: NDArray[np.float32] = self._session.run(["boxes"], {"input.1": np.ascontiguousarray(blob)})[0]
        return found


def columns_of(canvas: Canvas, finds: NDArray[np.float32]) -> Arrays:
    """A canvas's faces and finds as numbers, with rows of 0 behind them.

    Returns:
        `face` [MOST_FACES, 4], `marks` [MOST_FACES, 5, 2] float32, `counted` [MOST_FACES] bool; `find` [MOST_FINDS, 4]
        float32; `faces`, `finds` uint8, how many there are.
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
    """Squares to look at in some canvases, S in all, and what is to be seen there.

    Attributes:
        boxes: float32 [S, 4], pixels, around which the squares are.
        canvas: int64 [S], which canvas.
        face: bool [S], whether it is to be called a face.
        decided: bool [S], False for what may be called a face or not.
        own: bool [S], whether there is a face to be placed.
        true_boxes: float32 [S, 4], that face's box; anything for the others.
        true_marks: float32 [S, 5, 2], likewise.
    """

    boxes: NDArray[np.float32]
    canvas: NDArray[np.int64]
    face: NDArray[np.bool_]
    decided: NDArray[np.bool_]
    own: NDArray[np.bool_]
    true_boxes: NDArray[np.float32]
    true_marks: NDArray[np.float32]


def draw_lesson(finds: Arrays, numbers: NDArray[np.int64], each: int, rng: np.random.Generator) -> Lesson:
    """Squares in some canvases of a set: what the first stage found, and boxes near the faces.

    Args:
        finds: loaded set.
        numbers: which canvases.
        each: squares in each at most of either kind.
        rng: its choices.
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
    """Boxes [N, 4] of another place and size; `by` is the deviation, in sides, and of the size's logarithm."""
    extent = boxes[:, 2:] - boxes[:, :2]
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2 + by * extent * rng.standard_normal((len(boxes), 2))
    half = extent / 2 * np.exp(by * rng.standard_normal((len(boxes), 2)))
    return np.concatenate([middle - half, middle + half], axis=1).astype(np.float32)
