"""CenterFace as SCRFD: a graph around its network whose nine outputs InsightFace's loader takes for SCRFD's.

CenterFace answers for cells of four pixels: a heat map, the box's height and width (logarithms, in cells), the centre's
place in the cell, and five landmarks as parts of the box. InsightFace expects, for strides 8, 16 and 32, two anchors a
cell: scores, distances from the anchor to the box's sides, and places of the landmarks from the anchor, all in strides.

Each cell of stride 8 holds four of CenterFace's; its two anchors are the two of these with the highest heat. Of any two
neighbours among the four one is suppressed later unless its box is smaller than eight pixels, so no peak is lost. The
two coarse strides answer zero everywhere.

A picture comes as InsightFace makes it, RGB minus 127.5 over 128; CenterFace takes RGB in 0 to 255.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

STRIDE = 4
"""Pixels of one of CenterFace's cells."""

ANCHORS = 2
"""That SCRFD has in a cell."""

FINE, COARSE = 8, (16, 32)
"""SCRFD's strides."""

OPSET = 13

HEAT, SCALE, OFFSET, LANDMARKS = "537", "538", "539", "540"
"""CenterFace's outputs: [B, 1, h, w], and [B, 2, h, w], [B, 2, h, w], [B, 10, h, w] with y before x."""

INPUT = "input.1"


def convert(source: Path, target: Path) -> None:
    """Write CenterFace in SCRFD's form.

    Args:
        source: centerface.onnx as published.
        target: file to write.

    Raises:
        ValueError: the file is another network.
    """
    import onnx

    model = onnx.load(source)
    _check(model, source)
    graph = model.graph
    network = list(graph.node)
    for node in network:
        node.input[:] = ["pixels" if name == INPUT else name for name in node.input]
    del graph.node[:], graph.value_info[:], graph.input[:], graph.output[:]
    head = _Builder()
    pixels = head.add("Add", head.add("Mul", "picture", head.constant(128.0)), head.constant(127.5))
    graph.node.extend([*head.nodes, onnx.helper.make_node("Identity", [pixels], ["pixels"]), *network])
    outputs = _Builder("out")
    names = _scrfd(outputs)
    graph.node.extend(outputs.nodes)
    graph.initializer.extend([*head.constants, *outputs.constants])
    number = onnx.TensorProto.FLOAT
    graph.input.append(onnx.helper.make_tensor_value_info("picture", number, [1, 3, "height", "width"]))
    widths = [1] * 3 + [4] * 3 + [10] * 3
    graph.output.extend(
        onnx.helper.make_tensor_value_info(name, number, [f"{name}_anchors", width])
        for name, width in zip(names, widths, strict=True)
    )
    made = onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", OPSET)], ir_version=8, producer_name="lab.real"
    )
    onnx.checker.check_model(made)
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(target.name + ".unfinished")
    onnx.save(made, unfinished)
    unfinished.rename(target)


def _check(model: Any, source: Path) -> None:
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [value.name for value in model.graph.input if value.name not in weights]
    outputs = [value.name for value in model.graph.output]
    if inputs != [INPUT] or outputs != [HEAT, SCALE, OFFSET, LANDMARKS]:
        raise ValueError(
            f"{source} has inputs {inputs} and outputs {outputs}; expected CenterFace with [{INPUT}] and "
            f"{[HEAT, SCALE, OFFSET, LANDMARKS]}"
        )


class _Builder:
    """ONNX nodes one after the other."""

    def __init__(self, prefix: str = "in") -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._prefix = prefix

    def constant(self, value: Any, kind: type = np.float32) -> str:
        """Name of a constant."""
        import onnx

        name = f"{self._prefix}_constant_{len(self.constants)}"
        self.constants.append(onnx.numpy_helper.from_array(np.asarray(value, kind), name))
        return name

    def add(self, kind: str, *inputs: str, outputs: int = 1, name: str = "", **attributes: Any) -> Any:
        """Name, or names, of what a node gives out."""
        import onnx

        stem = name or f"{self._prefix}_{len(self.nodes)}"
        names = [stem] if outputs == 1 else [f"{stem}_{number}" for number in range(outputs)]
        self.nodes.append(onnx.helper.make_node(kind, list(inputs), names, name=f"wrap_{stem}", **attributes))
        return names[0] if outputs == 1 else names


def _scrfd(build: _Builder) -> list[str]:
    """Add the nodes from CenterFace's outputs to SCRFD's; returns the names of these."""

    def four(name: str, channels: int) -> str:
        """[1, C, h, w] -> [4, C, n], the four cells of each of n cells of stride 8."""
        cells = build.add("SpaceToDepth", name, blocksize=2)
        return str(build.add("Reshape", cells, build.constant([4, channels, -1], np.int64)))

    heat, best = build.add("TopK", four(HEAT, 1), build.constant([ANCHORS], np.int64), axis=0, outputs=2)

    def chosen(values: str, channels: int) -> str:
        """[4, C, n] -> [2, C, n], those with the highest heat."""
        index = build.add("Expand", best, build.constant([1, channels, 1], np.int64))
        return str(build.add("GatherElements", values, index, axis=0))

    def anchors(values: str, channels: int, name: str) -> str:
        """[2, C, n] -> [2 n, C]."""
        cells = build.add("Transpose", values, perm=[2, 0, 1])
        return str(build.add("Reshape", cells, build.constant([-1, channels], np.int64), name=name))

    # All lengths in strides of 8. Of a cell of four pixels: where its middle is in the cell of eight, (y, x).
    middles = build.constant(np.array([(y, x) for y in (0.25, 0.75) for x in (0.25, 0.75)])[:, :, None])
    half = build.constant(STRIDE / FINE)
    centres = build.add("Add", build.add("Mul", four(OFFSET, 2), half), middles)
    sides = build.add("Mul", build.add("Exp", four(SCALE, 2)), half)
    centres, sides = chosen(centres, 2), chosen(sides, 2)
    corners = build.add("Sub", centres, build.add("Mul", sides, build.constant(0.5)))
    ends = build.add("Add", corners, sides)

    def swapped(values: str) -> str:
        """(y, x) -> (x, y)."""
        return str(build.add("Gather", values, build.constant([1, 0], np.int64), axis=1))

    distances = build.add("Concat", build.add("Neg", swapped(corners)), swapped(ends), axis=1)
    repeated = build.constant([1, 5, 1], np.int64)
    parts = chosen(four(LANDMARKS, 10), 10)
    points = build.add(
        "Add", build.add("Mul", parts, build.add("Tile", sides, repeated)), build.add("Tile", corners, repeated)
    )
    across_first = build.constant([number ^ 1 for number in range(10)], np.int64)
    points = build.add("Gather", points, across_first, axis=1)

    def nothing(stride: int, channels: int, name: str) -> str:
        """Zeros for the anchors of a coarse stride: every so many of the heat map's cells, times nothing."""
        step = stride // STRIDE
        every = build.add(
            "Slice",
            HEAT,
            build.constant([0, 0], np.int64),
            build.constant([1 << 30] * 2, np.int64),
            build.constant([2, 3], np.int64),
            build.constant([step] * 2, np.int64),
        )
        zeros = build.add("Mul", every, build.constant(np.zeros((1, ANCHORS * channels, 1, 1))))
        return str(build.add("Reshape", zeros, build.constant([-1, channels], np.int64), name=name))

    kinds = {"score": (heat, 1), "bbox": (distances, 4), "kps": (points, 10)}
    names = []
    for kind, (values, channels) in kinds.items():
        names.append(anchors(values, channels, f"{kind}_{FINE}"))
        names += [nothing(stride, channels, f"{kind}_{stride}") for stride in COARSE]
    return names


def decode(
    heat: NDArray[Any], scale: NDArray[Any], offset: NDArray[Any], landmarks: NDArray[Any], threshold: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What CenterFace's own outputs mean, cell by cell, without any suppression: to compare the graph with.

    Published decoders also move a box that begins outside the picture so that it begins at its edge; here it stays.

    Args:
        heat: [1, 1, h, w].
        scale: [1, 2, h, w].
        offset: [1, 2, h, w].
        landmarks: [1, 10, h, w].
        threshold: lowest heat.

    Returns:
        Boxes with scores [F, 5] and landmarks [F, 5, 2] in pixels.
    """
    boxes, points = [], []
    for row, column in np.argwhere(heat[0, 0] >= threshold):
        height, width = np.exp(scale[0, :, row, column].astype(np.float64)) * STRIDE
        down, across = offset[0, :, row, column].astype(np.float64)
        x0 = (column + across + 0.5) * STRIDE - width / 2
        y0 = (row + down + 0.5) * STRIDE - height / 2
        boxes.append((x0, y0, x0 + width, y0 + height, heat[0, 0, row, column]))
        parts = landmarks[0, :, row, column].astype(np.float64).reshape(5, 2)
        points.append(np.stack([parts[:, 1] * width + x0, parts[:, 0] * height + y0], axis=1))
    return np.array(boxes, np.float64).reshape(-1, 5), np.array(points, np.float64).reshape(-1, 5, 2)
