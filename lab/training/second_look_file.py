"""Adds a second look to a detector's file: from a file in SCRFD's format to another in the same format.

Everything is in one graph, invisible to InsightFace. The first stage's finds are thinned out, each is cut out of the
picture and passed to the second network, and that network's answer replaces the find in the outputs. Everything else
gets the score 0.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from torch import nn

from .detector_network import STRIDES, WIDTHS
from .onnx_export import CompactGraph, Stored, append
from .second_look import EVEN, LOOKS, MARKS, MIDDLE, OUTPUTS, REACH, SHOWN

LEAST_SCORE = 0.15
"""Least first-stage score that gets a second look. Lower scores would cost time and find no more faces."""

SAME = 0.5
"""Of boxes with a larger intersection over union than this, only the best gets a second look."""

MOST = 100
"""Most finds that get a second look."""

ANCHORS = 2
"""Finds per cell."""

LEVELS = 5
"""Sizes of the picture that squares are cut out of: its own, a half, a quarter and so on. All points of a large square
in the picture itself would be read to be averaged, which took half of the detector's time."""


class Proposals(NamedTuple):
    """Values of a graph: the first stage's finds in N places, M of which get a second look.

    Attributes:
        counts: [1] for each stride, number of its places; they sum to N.
        origins: [N + 1, 2], pixels that a place's numbers are relative to; here and below, the last row is a dummy.
        strides: [N + 1, 1], unit of these numbers in pixels.
        boxes: [N + 1, 4], pixels.
        scores: [N, 1].
        rows: [M], M at least 1, indices of places; the last is N, the dummy.
    """

    counts: dict[int, str]
    origins: str
    strides: str
    boxes: str
    scores: str
    rows: str


def _numbers(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def propose(graph: CompactGraph, image: str, given: dict[str, str], least: float = LEAST_SCORE) -> Proposals:
    """Append the choice of finds that get a second look.

    Args:
        graph: graph of the first stage.
        image: input of the graph.
        given: outputs of the graph by SCRFD's names.
        least: least score of the chosen finds.
    """
    zero, one = graph.array(_numbers(0)), graph.array(_numbers(1))
    size = graph.node("Slice", graph.node("Shape", image), graph.array(_numbers(2)), graph.array(_numbers(4)))
    columns = graph.node("Slice", size, one, graph.array(_numbers(2)))
    counts, origins, units, boxes = {}, [], [], []
    for stride in STRIDES:
        bbox = given[f"bbox_{stride}"]
        counts[stride] = graph.node("Slice", graph.node("Shape", bbox), zero, one)
        count = graph.node("Squeeze", counts[stride])
        numbers = graph.node("Range", graph.array(np.array(0)), count, graph.array(np.array(1)))
        cells = graph.node("Div", numbers, graph.array(_numbers(ANCHORS)))
        width = graph.node("Div", columns, graph.array(_numbers(stride)))
        place = [graph.node("Mod", cells, width), graph.node("Div", cells, width)]
        cell = graph.node("Concat", *(graph.node("Unsqueeze", one_of, one) for one_of in place), axis=1)
        unit = graph.array(float(stride))
        origin = graph.node("Mul", graph.node("Cast", cell, to=1), unit)
        distances = graph.node("Mul", bbox, unit)
        low, high = (_columns(graph, distances, first, first + 2) for first in (0, 2))
        corners = (graph.node("Sub", origin, low), graph.node("Add", origin, high))
        boxes.append(graph.node("Concat", *corners, axis=1))
        origins.append(origin)
        units.append(graph.node("Add", graph.node("Mul", _columns(graph, origin, 0, 1), graph.array(0.0)), unit))
    nobody = np.array([[0.0, 0.0, 1.0, 1.0]])
    boxes_of_all = graph.node("Concat", *boxes, graph.array(nobody), axis=0)
    scores = graph.node("Concat", *(given[f"score_{stride}"] for stride in STRIDES), axis=0)
    total = graph.node("Slice", graph.node("Shape", scores), zero, one)
    real = graph.node("Slice", boxes_of_all, zero, total)
    best = graph.node(
        "NonMaxSuppression",
        graph.node("Unsqueeze", real, zero),
        graph.node("Unsqueeze", graph.node("Transpose", scores, perm=[1, 0]), zero),
        graph.array(_numbers(MOST)),
        graph.array(np.array([SAME])),
        graph.array(np.array([least])),
    )
    chosen = graph.node("Squeeze", _columns(graph, best, 2, 3), one)
    return Proposals(
        counts=counts,
        origins=graph.node("Concat", *origins, graph.array(np.zeros((1, 2))), axis=0),
        strides=graph.node("Concat", *units, graph.array(np.ones((1, 1))), axis=0),
        boxes=boxes_of_all,
        scores=scores,
        # Never empty, because some runtimes reject an empty batch.
        rows=graph.node("Concat", chosen, total, axis=0),
    )


def _columns(graph: CompactGraph, rows: str, first: int, last: int) -> str:
    """Append a slice of columns `first` up to `last` of [N, ...]."""
    return graph.node("Slice", rows, *(graph.array(_numbers(value)) for value in (first, last, 1)))


def proposals_file(first: bytes, least: float) -> bytes:
    """Make a file that outputs the first stage's finds that would get a second look at a least score of `least`.

    The input is that of `first`; the outputs are `boxes` [M, 4] in pixels and `scores` [M, 1].
    """
    graph, image, given = CompactGraph.opened(first)
    found = propose(graph, image, given, least)
    end = graph.array(_numbers(-1))
    rows = graph.node("Slice", found.rows, graph.array(_numbers(0)), end)
    graph.output(graph.node("Gather", found.boxes, rows, axis=0), "boxes", ["finds", 4])
    graph.output(graph.node("Gather", found.scores, rows, axis=0), "scores", ["finds", 1])
    return graph.serialized("proposals")


def _squares(graph: CompactGraph, boxes: str) -> tuple[str, str, str]:
    """Append the squares to look at: corners [M, 4], middles [M, 2] and sides [M, 1]."""
    low, high = _columns(graph, boxes, 0, 2), _columns(graph, boxes, 2, 4)
    middle = graph.node("Mul", graph.node("Add", low, high), graph.array(0.5))
    longer = graph.node("ReduceMax", graph.node("Sub", high, low), axes=[1], keepdims=1)
    side = graph.node("Mul", graph.node("Max", longer, graph.array(1.0)), graph.array(REACH))
    half = graph.node("Mul", side, graph.array(0.5))
    corners = (graph.node("Sub", middle, half), graph.node("Add", middle, half))
    return graph.node("Concat", *corners, axis=1), middle, side


def _pyramid(graph: CompactGraph, image: str) -> list[str]:
    """Append the picture at LEVELS sizes, each half as large as the one before; its sides are multiples of 32."""
    levels = [image]
    while len(levels) < LEVELS:
        levels.append(graph.node("AveragePool", levels[-1], kernel_shape=[2, 2], strides=[2, 2]))
    return levels


def _shown(graph: CompactGraph, pyramid: list[str], squares: str, side: str) -> str:
    """Append the squares cut out of the picture, [M, 3, SHOWN, SHOWN].

    Each comes from the smallest level that has at least as many pixels as it shows.

    Args:
        graph: under construction.
        pyramid: from `_pyramid`.
        squares: [M, 4] pixels; the last one is the dummy, which every level shows, so that none has an empty batch.
        side: [M, 1] pixels.
    """
    zero, end = graph.array(_numbers(0)), graph.array(_numbers(-1))
    sides = graph.node("Squeeze", graph.node("Slice", side, zero, end), graph.array(_numbers(1)))
    sizes = graph.node("Log", graph.node("Div", sides, graph.array(float(SHOWN))))
    halvings = graph.node("Div", sizes, graph.array(math.log(2)))
    level = graph.node("Clip", graph.node("Floor", halvings), graph.array(0.0), graph.array(float(LEVELS - 1)))
    count = graph.node("Slice", graph.node("Shape", squares), zero, graph.array(_numbers(1)))
    dummy = graph.node("Add", count, end)
    rows, shown = [], []
    for number, image in enumerate(pyramid):
        own = graph.node("NonZero", graph.node("Equal", level, graph.array(float(number))))
        row = graph.node("Concat", graph.node("Squeeze", own, zero), dummy, axis=0)
        rows.append(row)
        shown.append(
            graph.node(
                "RoiAlign",
                image,
                graph.node("Gather", squares, row, axis=0),
                graph.node("Mul", row, zero),
                mode="avg",
                output_height=SHOWN,
                output_width=SHOWN,
                sampling_ratio=0,
                spatial_scale=0.5**number,
            )
        )
    shape = graph.node("Concat", count, graph.array(_numbers(3, SHOWN, SHOWN)), axis=0)
    indices = graph.node("Unsqueeze", graph.node("Concat", *rows, axis=0), graph.array(_numbers(1)))
    return graph.node("ScatterND", graph.node("ConstantOfShape", shape), indices, graph.node("Concat", *shown, axis=0))


def second_look_file(first: bytes, network: nn.Sequential) -> bytes:
    """Add the second look to the first stage's file; both have the format of `detector_network.detector_file`.

    Args:
        first: file in SCRFD's format, with landmarks, that `CompactGraph` wrote.
        network: network from `second_look.second_network`, in evaluation mode.
    """
    graph, image, given = CompactGraph.opened(first)
    found = propose(graph, image, given)
    boxes = graph.node("Gather", found.boxes, found.rows, axis=0)
    pyramid = _pyramid(graph, image)
    stored: Stored = {}
    logits, marks = [], ""
    for _ in range(LOOKS):
        squares, middle, side = _squares(graph, boxes)
        raw = append(graph, network, _shown(graph, pyramid, squares, side), stored)
        logits.append(_columns(graph, raw, 0, 1))
        boxes = _placed(graph, _columns(graph, raw, 1, 5), np.array(MIDDLE), middle, side)
        marks = _placed(graph, _columns(graph, raw, 5, OUTPUTS), np.array(MARKS).ravel(), middle, side)
    logit = logits[0]
    for another in logits[1:]:
        logit = graph.node("Add", logit, another)
    surely = graph.node("Mul", logit, graph.array(1 / LOOKS))
    score = graph.node("Sigmoid", graph.node("Sub", surely, graph.array(math.log(EVEN / (1 - EVEN)))))
    origins = graph.node("Gather", found.origins, found.rows, axis=0)
    strides = graph.node("Gather", found.strides, found.rows, axis=0)
    low = graph.node("Sub", origins, _columns(graph, boxes, 0, 2))
    high = graph.node("Sub", _columns(graph, boxes, 2, 4), origins)
    away = graph.node("Sub", marks, _repeated(graph, origins, WIDTHS["kps"] // 2))
    answers = {
        "score": score,
        "bbox": graph.node("Div", graph.node("Concat", low, high, axis=1), strides),
        "kps": graph.node("Div", away, strides),
    }
    rows = graph.node("Unsqueeze", found.rows, graph.array(_numbers(1)))
    for name, width in WIDTHS.items():
        before = graph.node("Concat", *(given[f"{name}_{stride}"] for stride in STRIDES), axis=0)
        if name == "score":
            before = graph.node("Mul", before, graph.array(0.0))
        extended = graph.node("Concat", before, graph.array(np.zeros((1, width))), axis=0)
        after = graph.node("ScatterND", extended, rows, answers[name])
        start = graph.array(_numbers(0))
        for stride in STRIDES:
            end = graph.node("Add", start, found.counts[stride])
            part = graph.node("Slice", after, start, end)
            graph.output(part, f"{name}_{stride}", [f"anchors_{stride}", width])
            start = end
    return graph.serialized("detection")


def _repeated(graph: CompactGraph, points: str, times: int) -> str:
    """Append the repetition of [M, 2] to [M, 2 * times]."""
    return graph.node("Concat", *[points] * times, axis=1)


def _placed(graph: CompactGraph, raw: str, rest: np.ndarray, middle: str, side: str) -> str:
    """Append the conversion of raw points, offsets in sides of a square from `rest`, to pixels [M, 2 * P]."""
    points = graph.node("Mul", graph.node("Add", raw, graph.array(rest)), side)
    return graph.node("Add", points, _repeated(graph, middle, rest.size // 2))
