"""A face detector in SCRFD's format with weights set by hand: a placeholder until a trained one replaces it.

It finds upright ovals of skin colour in surroundings of another colour and knows nothing else about faces: any such
oval is a face to it, and so is a picture filled with skin colour. Boxes come in six sizes half an octave apart, from
80 to 448 pixels high in the picture as the detector gets it; a face much higher than that falls apart.
Landmarks stand where they would in an average face that fills the box.

The colour test runs on cells of 4 x 4 pixels. For each of the strides 8, 16 and 32 two templates, ten and fourteen
strides high, weigh the skin inside an oval against the skin around it. Parts of a face (a cheek among hair, say)
look like smaller faces; InsightFace suppresses only boxes of similar size, so the graph itself drops every box
within reach of a better one of any size.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from .onnx_graph import Graph

STRIDES = (8, 16, 32)
HEIGHTS = (10, 14)
"""Face height of a stride's two anchors, in strides."""

ASPECT = 0.8
"""Width of a face box relative to its height."""

CELL = 4
"""Side in pixels of the cells whose colour is judged."""

SKIN_CENTRE = (0.32, 0.20)
SKIN_SPREAD = (0.17, 0.13)
"""Mean and standard deviation of log(red / green) and log(green / blue) over skin."""

DARKEST_LOG = -1.9
"""Natural logarithm of the brightness (0 to 1) below which a colour says little."""

DARKNESS_STEEPNESS = 6.0
LIFT = 0.02
"""Added to colours in [0, 1], so that black has a logarithm and near-black no strong hue."""

INSIDE_WEIGHT = 15.0
AROUND_WEIGHT = 11.0
THRESHOLD = 7.0
"""A template's logit is `INSIDE_WEIGHT` * inside - `AROUND_WEIGHT` * around - `THRESHOLD`, shares of skin in [0, 1]."""

OCTAVE_BONUS = 1.2
"""Added to the logit for each doubling of the size: a whole face then beats its parts."""

REACH = 1.0
"""Two boxes compete if their centres are nearer than half of this times the larger height, in x and in y."""

LANDMARKS = ((0.33, 0.32), (0.67, 0.32), (0.50, 0.54), (0.37, 0.73), (0.63, 0.73))
"""Eyes, nose and mouth corners in a face box, as fractions of its width and height."""

SUBSAMPLES = 8
"""Points per side at which a template cell is tested for lying inside the oval."""


def template(height: int, side: int) -> NDArray[np.float64]:
    """Weights [side, side] of the skin in and around an oval `height` cells high in the middle.

    The inside sums to `INSIDE_WEIGHT`, the surroundings to minus `AROUND_WEIGHT`.
    """
    points = (np.arange(side * SUBSAMPLES) + 0.5) / SUBSAMPLES - side / 2
    y = points[:, None] / (height / 2)
    x = points[None, :] / (height / 2 * ASPECT)
    radius = np.hypot(x, y)

    def share(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
        cells = mask.reshape(side, SUBSAMPLES, side, SUBSAMPLES).mean(axis=(1, 3))
        return cells / cells.sum()

    inside = share(radius < 0.9)
    around = share((radius > 1.1) & (radius < 1.4))
    return INSIDE_WEIGHT * inside - AROUND_WEIGHT * around


def _skin(graph: Graph, image: str) -> str:
    """Likeness to skin in [0, 1] of each cell, [1, 1, H / 4, W / 4]."""
    cells = graph.node("AveragePool", image, kernel_shape=[CELL, CELL], strides=[CELL, CELL])
    # From InsightFace's (value - 127.5) / 128 to [0, 1].
    unit = graph.node("Mul", cells, graph.array(128 / 255))
    lifted = graph.node("Add", unit, graph.array(0.5 + LIFT))
    spread, centre = np.array(SKIN_SPREAD), np.array(SKIN_CENTRE)
    differences = np.array([[1.0, -1.0, 0.0], [0.0, 1.0, -1.0]]) / spread[:, None]
    hue = graph.node(
        "Conv",
        graph.node("Log", lifted),
        graph.array(differences[:, :, None, None]),
        graph.array(-centre / spread),
    )
    squares = graph.node("Mul", hue, hue)
    exponent = graph.node("Conv", squares, graph.array(np.full((1, 2, 1, 1), -0.5)))
    brightness = graph.node("Log", graph.node("ReduceMean", lifted, axes=[1]))
    above = graph.node("Add", brightness, graph.array(-DARKEST_LOG))
    lit = graph.node("Sigmoid", graph.node("Mul", above, graph.array(DARKNESS_STEEPNESS)))
    return graph.node("Mul", graph.node("Exp", exponent), lit)


def _logits(graph: Graph, skin: str, stride: int) -> str:
    """Logits of a stride's two anchors before they compete, [1, 2, H / stride, W / stride]."""
    pool = stride // CELL
    pooled = graph.node("AveragePool", skin, kernel_shape=[pool, pool], strides=[pool, pool])
    side = 2 * math.ceil(1.4 * max(HEIGHTS) / 2) + 1
    smallest = STRIDES[0] * HEIGHTS[0]
    octaves = np.log2([stride * height / smallest for height in HEIGHTS])
    return graph.node(
        "Conv",
        pooled,
        graph.array(np.stack([template(height, side) for height in HEIGHTS])[:, None]),
        graph.array(OCTAVE_BONUS * octaves - THRESHOLD),
        pads=[side // 2] * 4,
    )


def _best_within(graph: Graph, logits: str, height: int) -> str:
    """Largest logit within reach of a box `height` pixels high; all on the finest stride's grid."""
    side = int(REACH * height / STRIDES[0]) // 2 * 2 + 1
    half = side // 2
    rows = graph.node("MaxPool", logits, kernel_shape=[side, 1], strides=[1, 1], pads=[half, 0, half, 0])
    return graph.node("MaxPool", rows, kernel_shape=[1, side], strides=[1, 1], pads=[0, half, 0, half])


def _compete(graph: Graph, logits: dict[int, str]) -> dict[int, str]:
    """For each box height in pixels, the logit of the best rival, which may be the box itself; on the finest grid."""
    heights = sorted(logits)
    own = {height: _best_within(graph, logits[height], height) for height in heights}
    rivals = {}
    smaller = logits[heights[0]]
    for place, height in enumerate(heights):
        # Smaller boxes are reached as far as this one reaches, larger ones as far as they reach themselves.
        smaller = graph.node("Max", smaller, logits[height])
        reached = _best_within(graph, smaller, height)
        rivals[height] = graph.node("Max", reached, *(own[larger] for larger in heights[place + 1 :]))
    return rivals


def _anchor_rows(graph: Graph, maps: str, width: int) -> str:
    """From [1, 2 * width, h, w] to SCRFD's rows [h * w * 2, width]."""
    last = graph.node("Transpose", maps, perm=[0, 2, 3, 1])
    return graph.node("Reshape", last, graph.array(np.array([-1, width])))


def _constant_maps(graph: Graph, like: str, values: NDArray[np.float64]) -> str:
    """Maps [1, values.size, h, w] of these constants, h and w as those of `like` [1, 2, h, w]."""
    nothing = np.zeros((values.size, len(HEIGHTS), 1, 1))
    return graph.node("Conv", like, graph.array(nothing), graph.array(values.ravel()))


def _box_distances() -> NDArray[np.float64]:
    """Distances [2, 4] in strides from a cell's corner, SCRFD's origin, to left, top, right and bottom."""
    halves = [(ASPECT * height / 2, height / 2) for height in HEIGHTS]
    return np.array([(x - 0.5, y - 0.5, x + 0.5, y + 0.5) for x, y in halves])


def _landmark_offsets() -> NDArray[np.float64]:
    """Offsets [2, 5, 2] in strides from a cell's corner to the five landmarks."""
    sizes = np.array([(ASPECT * height, height) for height in HEIGHTS])
    return (np.array(LANDMARKS)[None] - 0.5) * sizes[:, None] + 0.5


def detection_model() -> bytes:
    """The detector as an ONNX file.

    Input `input.1` [1, 3, H, W], RGB as (value - 127.5) / 128, H and W multiples of 32. Nine outputs, each over the
    strides 8, 16, 32: scores [n, 1] in [0, 1], boxes [n, 4] and landmarks [n, 10] in strides, with
    n = H / stride * W / stride * 2.
    """
    graph = Graph()
    image = graph.input("input.1", [1, 3, "height", "width"])
    skin = _skin(graph, image)
    levels = {stride: _logits(graph, skin, stride) for stride in STRIDES}
    fine: dict[int, str] = {}
    for stride, level in levels.items():
        scales = graph.array(np.array([1.0, 1.0, stride / STRIDES[0], stride / STRIDES[0]]))
        spread = graph.node(
            "Resize",
            level,
            "",
            scales,
            mode="nearest",
            nearest_mode="floor",
            coordinate_transformation_mode="asymmetric",
        )
        for anchor, height in enumerate(HEIGHTS):
            fine[stride * height] = graph.node("Gather", spread, graph.array(np.array([anchor])), axis=1)
    rivals = _compete(graph, fine)

    scores = {}
    for stride, level in levels.items():
        both = graph.node("Concat", *(rivals[stride * height] for height in HEIGHTS), axis=1)
        step = stride // STRIDES[0]
        begin, end, axes, steps = ([step // 2] * 2, [np.iinfo(np.int64).max] * 2, [2, 3], [step] * 2)
        coarse = graph.node("Slice", both, *(graph.array(np.array(value)) for value in (begin, end, axes, steps)))
        wins = graph.node("Cast", graph.node("GreaterOrEqual", level, coarse), to=1)
        scores[stride] = graph.node("Mul", graph.node("Sigmoid", level), wins)
    for stride in STRIDES:
        graph.output(_anchor_rows(graph, scores[stride], 1), f"score_{stride}", [f"anchors_{stride}", 1])
    for stride in STRIDES:
        boxes = _constant_maps(graph, levels[stride], _box_distances())
        graph.output(_anchor_rows(graph, boxes, 4), f"bbox_{stride}", [f"anchors_{stride}", 4])
    for stride in STRIDES:
        landmarks = _constant_maps(graph, levels[stride], _landmark_offsets())
        graph.output(_anchor_rows(graph, landmarks, 10), f"kps_{stride}", [f"anchors_{stride}", 10])
    return graph.serialized("detection")
