"""Writes an InsightFace model pack: detection, recognition, and age and sex.

Recognition, and age and sex, are random networks, placeholders for trained ones. Embeddings depend smoothly on the
picture and differ between people, but two photographs of one person need not match.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .config import IDENTITY_WIDTH
from .detector import detection_model
from .files import whole_file
from .onnx_graph import Graph
from .weights import fan_in, normal

RECOGNITION_SIDE = 112
RECOGNITION_WIDTHS = (16, 32, 64, 32)
ATTRIBUTE_SIDE = 96
ATTRIBUTE_WIDTHS = (8, 16, 16, 8)

TANH_GAIN = 1.6
"""A gain that keeps activations near 0.6 through layers of tanh."""


def _weight(name: str, shape: tuple[int, ...], seed: int, gain: float) -> NDArray[np.float32]:
    weight: NDArray[np.float32] = normal(name, shape, seed, gain / math.sqrt(fan_in(shape))).numpy()
    return weight


def _features(graph: Graph, image: str, name: str, widths: tuple[int, ...], side: int, seed: int) -> tuple[str, int]:
    """Append random features of images [N, 3, side, side]; returns the rows' name and their width.

    Each picture is normalised first, and all layers are odd functions. Otherwise what all pictures share (mean
    brightness, the sign of a rectifier's output) would make their features alike.
    """
    value = graph.node("InstanceNormalization", image, graph.array(np.ones(3)), graph.array(np.zeros(3)))
    channels = 3
    for depth, width in enumerate(widths):
        kernel = _weight(f"{name}.{depth}", (width, channels, 3, 3), seed, TANH_GAIN)
        strided = graph.node("Conv", value, graph.array(kernel), strides=[2, 2], pads=[1] * 4)
        value = graph.node("Tanh", strided)
        channels = width
    last = side // 2 ** len(widths)
    return graph.node("Flatten", value), channels * last * last


def recognition_model(seed: int) -> bytes:
    """A random face encoder as an ONNX file.

    Input `input.1` [N, 3, 112, 112], RGB as (value - 127.5) / 127.5; output `embedding` [N, 512], any length.
    """
    graph = Graph()
    image = graph.input("input.1", ["batch", 3, RECOGNITION_SIDE, RECOGNITION_SIDE])
    rows, width = _features(graph, image, "recognition", RECOGNITION_WIDTHS, RECOGNITION_SIDE, seed)
    weight = _weight("recognition.embedding", (IDENTITY_WIDTH, width), seed, 1.0)
    embedding = graph.node("Gemm", rows, graph.array(weight), transB=1)
    graph.output(embedding, "embedding", ["batch", IDENTITY_WIDTH])
    return graph.serialized("recognition")


def genderage_model(seed: int) -> bytes:
    """A random guess at sex and age as an ONNX file.

    Input `data` [N, 3, 96, 96], RGB as (value - 127.5) / 128; output `fc1` [N, 3]: scores of female and male, age in
    centuries, all in [0, 1].
    """
    graph = Graph()
    image = graph.input("data", ["batch", 3, ATTRIBUTE_SIDE, ATTRIBUTE_SIDE])
    rows, width = _features(graph, image, "genderage", ATTRIBUTE_WIDTHS, ATTRIBUTE_SIDE, seed)
    weight = _weight("genderage.scores", (3, width), seed, 1.0)
    scores = graph.node("Sigmoid", graph.node("Gemm", rows, graph.array(weight), transB=1))
    graph.output(scores, "fc1", ["batch", 3])
    return graph.serialized("genderage")


def write_pack(directory: Path, seed: int) -> None:
    """Write `detection.onnx`, `recognition.onnx` and `genderage.onnx` into `directory`.

    Raises:
        OSError: a file cannot be written.
    """
    models = {
        "detection": detection_model(),
        "recognition": recognition_model(seed),
        "genderage": genderage_model(seed),
    }
    for name, content in models.items():
        with whole_file(directory / f"{name}.onnx") as stream:
            stream.write(content)
