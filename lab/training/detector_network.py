"""The detector's network, and its file in SCRFD's format.

`DetectorNetwork.flow` describes the computation once, in operations that torch executes or an ONNX graph records.
"""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .anchors import HALF, LANDMARKS, SCALES, SIDE, STRIDE
from .onnx_export import CompactGraph, folded

STRIDES = (8, 16, 32)
"""Strides of SCRFD's grids; each cell has two places for a face."""

PLACES = {1: (8, 0), 2: (16, 0), 4: (32, 0), 8: (32, 1), 16: (16, 1)}
"""For each of SCALES, the stride and the place that hold its finds. Finds of the smallest pictures use a finer grid
than their own, in every second or eighth cell; the second place of stride 8 stays empty."""

WIDTHS = {"score": 1, "bbox": 4, "kps": 2 * len(LANDMARKS)}
"""How many numbers a find has, by SCRFD's output names."""

RARE = -4.6
"""Initial bias of the scores: one point in a hundred finds a face."""

BLACK = -127.5 / 128
"""Mean and scale with which InsightFace feeds pictures to a detector."""

Value = TypeVar("Value")
Member = TypeVar("Member", bound=nn.Module)


def network_input(pictures: NDArray[np.uint8]) -> Tensor:
    """Convert RGB pictures [B, H, W, 3] to InsightFace's detector input [B, 3, H, W]."""
    return (torch.from_numpy(pictures).permute(0, 3, 1, 2).float() - 127.5) / 128


class ConvNorm(nn.Module):
    """Convolution, batch normalisation and an optional rectifier."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, *, stride: int = 1, rectify: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(outputs, momentum=0.03)
        self.rectify = rectify
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_in", nonlinearity="relu")

    def forward(self, value: Tensor) -> Tensor:
        """Map [B, inputs, H, W] to [B, outputs, H', W']."""
        value = self.norm(self.conv(value))
        return torch.relu_(value) if self.rectify else value


class Operations(Protocol[Value]):
    """The operations that the network consists of."""

    def conv(self, layer: ConvNorm | nn.Conv2d, value: Value) -> Value:
        """Apply a layer."""

    def add(self, first: Value, second: Value) -> Value:
        """Add two maps of one size and clip negative values."""


class TorchOperations:
    """Operations executed by torch."""

    def conv(self, layer: ConvNorm | nn.Conv2d, value: Tensor) -> Tensor:
        """Apply a layer."""
        result: Tensor = layer(value)
        return result

    def add(self, first: Tensor, second: Tensor) -> Tensor:
        """Sum."""
        return torch.relu(first + second)


class GraphOperations:
    """Operations recorded in a graph, where values are names; a layer's weights are stored once."""

    def __init__(self, graph: CompactGraph) -> None:
        self.graph = graph
        self.stored: dict[nn.Module, tuple[str, str]] = {}

    def conv(self, layer: ConvNorm | nn.Conv2d, value: str) -> str:
        """Record a layer with its normalisation folded in."""
        inner = layer.conv if isinstance(layer, ConvNorm) else layer
        if layer not in self.stored:
            weight, bias = folded(inner, layer.norm if isinstance(layer, ConvNorm) else None)
            self.stored[layer] = self.graph.weight(weight), self.graph.array(bias)
        pads = [int(inner.padding[0])] * 4
        result = self.graph.node("Conv", value, *self.stored[layer], strides=list(inner.stride), pads=pads)
        return self.graph.node("Relu", result) if isinstance(layer, ConvNorm) and layer.rectify else result

    def add(self, first: str, second: str) -> str:
        """Sum."""
        return self.graph.node("Relu", self.graph.node("Add", first, second))


class ResidualBlock(nn.Module):
    """Two convolutions added to the input, with little effect at first."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = ConvNorm(width, width)
        self.second = ConvNorm(width, width, rectify=False)
        nn.init.constant_(self.second.norm.weight, 0.3)

    def flow(self, ops: Operations[Value], value: Value) -> Value:
        """Compute the block; width and size stay the same."""
        return ops.add(value, ops.conv(self.second, ops.conv(self.first, value)))


class DetectorNetwork(nn.Module):
    """Pictures [B, 3, H, W], RGB as (value - 127.5) / 128, to raw outputs at `anchors.points_of` them.

    Args:
        widths: channels at strides 2, 4 and 8.
        blocks: residual blocks at strides 4 and 8.
    """

    def __init__(self, widths: tuple[int, int, int] = (16, 24, 56), blocks: tuple[int, int] = (1, 3)) -> None:
        super().__init__()
        first, second, third = widths
        self.stem = nn.ModuleList([ConvNorm(3, first, stride=2), ConvNorm(first, second, stride=2)])
        self.fine = nn.ModuleList([ResidualBlock(second) for _ in range(blocks[0])])
        self.down = ConvNorm(second, third, stride=2)
        self.coarse = nn.ModuleList([ResidualBlock(third) for _ in range(blocks[1])])
        self.score_branch = ConvNorm(third, third // 2, 1)
        self.place_branch = ConvNorm(third, third)
        self.score = nn.Conv2d(third // 2, WIDTHS["score"], 1)
        self.box = nn.Conv2d(third, WIDTHS["bbox"], 1)
        self.marks = nn.Conv2d(third, WIDTHS["kps"], 1)
        for layer, rest in ((self.score, RARE), (self.box, 0.0), (self.marks, 0.0)):
            nn.init.normal_(layer.weight, std=0.01)
            assert layer.bias is not None
            nn.init.constant_(layer.bias, rest)

    def flow(self, ops: Operations[Any], image: Any) -> tuple[Any, Any, Any]:
        """Compute the maps of scores, boxes and landmarks."""
        value = image
        for layer in _members(self.stem, ConvNorm):
            value = ops.conv(layer, value)
        for block in _members(self.fine, ResidualBlock):
            value = block.flow(ops, value)
        value = ops.conv(self.down, value)
        for block in _members(self.coarse, ResidualBlock):
            value = block.flow(ops, value)
        places = ops.conv(self.place_branch, value)
        scores = ops.conv(self.score, ops.conv(self.score_branch, value))
        return scores, ops.conv(self.box, places), ops.conv(self.marks, places)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return raw logits [B, N], boxes [B, N, 4] and landmarks [B, N, 10]."""
        scores, boxes, marks = (maps.flatten(2).transpose(1, 2) for maps in self.flow(TorchOperations(), images))
        return scores[..., 0], boxes, marks


def _members(modules: nn.ModuleList, kind: type[Member]) -> list[Member]:
    return [module for module in modules if isinstance(module, kind)]


def settle(network: nn.Module) -> None:
    """Freeze the statistics of all normalisations, which then use them."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()


def detector_file(network: DetectorNetwork) -> bytes:
    """Export the network, applied at all SCALES, as an ONNX file that InsightFace loads as SCRFD.

    Input `input.1` [1, 3, H, W], RGB as (value - 127.5) / 128, H and W multiples of 32. Nine outputs, each over the
    strides 8, 16, 32: scores [n, 1] in [0, 1], boxes [n, 4] (distances from the cell's corner) and landmarks [n, 10]
    (offsets from it), both in strides, with n = H / stride * W / stride * 2.
    """
    graph = CompactGraph()
    operations = GraphOperations(graph)
    image = graph.input("input.1", [1, 3, "height", "width"])
    size = graph.node("Slice", graph.node("Shape", image), graph.array(np.array([2])), graph.array(np.array([4])))
    grids = {stride: graph.node("Div", size, graph.array(np.array([stride, stride]))) for stride in STRIDES}
    rest = {"bbox": np.full(WIDTHS["bbox"], HALF), "kps": np.array(LANDMARKS).ravel()}
    found: dict[tuple[str, int, int], str] = {}
    for scale in SCALES:
        stride, place = PLACES[scale]
        scores, boxes, marks = network.flow(operations, _scaled(graph, image, scale))
        maps = {"score": graph.node("Sigmoid", scores)}
        for name, raw in (("bbox", boxes), ("kps", marks)):
            added = graph.node("Add", raw, graph.array(rest[name].reshape(1, -1, 1, 1)))
            maps[name] = graph.node("Mul", added, graph.array(SIDE * scale / stride))
        for name, value in maps.items():
            found[name, stride, place] = _spread(graph, value, WIDTHS[name], STRIDE * scale // stride, grids[stride])
    for name, width in WIDTHS.items():
        for stride in STRIDES:
            first = found[name, stride, 0]
            second = found.get((name, stride, 1)) or graph.node("Mul", first, graph.array(0.0))
            last = graph.node("Transpose", graph.node("Concat", first, second, axis=1), perm=[0, 2, 3, 1])
            rows = graph.node("Reshape", last, graph.array(np.array([-1, width])))
            graph.output(rows, f"{name}_{stride}", [f"anchors_{stride}", width])
    return graph.serialized("detection")


def _scaled(graph: CompactGraph, image: str, scale: int) -> str:
    """Shrink the picture by `scale`, padded with black on the right and below to fill the last cell."""
    if scale == 1:
        return image
    missing = STRIDE * scale - max(STRIDES)
    if missing > 0:
        pads = graph.array(np.array([0, 0, 0, 0, 0, 0, missing, missing]))
        image = graph.node("Pad", image, pads, graph.array(np.array(BLACK)))
    return graph.node("AveragePool", image, kernel_shape=[scale, scale], strides=[scale, scale])


def _spread(graph: CompactGraph, maps: str, width: int, step: int, grid: str) -> str:
    """Place maps [1, width, h, w] in every `step`-th cell of a grid, and zeros in the others."""
    if step > 1:
        corner = np.zeros((width, 1, step, step))
        corner[:, :, 0, 0] = 1
        maps = graph.node("ConvTranspose", maps, graph.array(corner), strides=[step, step], group=width)
    return graph.node("Slice", maps, graph.array(np.array([0, 0])), grid, graph.array(np.array([2, 3])))
