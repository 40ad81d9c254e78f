"""Exports trained networks to ONNX: normalisations folded into the layers before them, weights in float16."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper
from torch import Tensor, nn

from miniature.onnx_graph import Graph

from .networks import Residual, Scale


class CompactGraph(Graph):
    """A graph that stores weights as float16 and computes in float32."""

    def weight(self, values: NDArray[np.float32]) -> str:
        """Store values as float16 and return the name of the same values as float32."""
        name = f"weight_{len(self._initializers)}"
        self._initializers.append(numpy_helper.from_array(values.astype(np.float16), name))
        return self.node("Cast", name, to=TensorProto.FLOAT)


@torch.no_grad()
def folded(
    layer: nn.Conv2d | nn.Linear, norm: nn.BatchNorm1d | nn.BatchNorm2d | None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return weight and bias of a layer with the following normalisation folded in."""
    weight: Tensor = layer.weight.double()
    bias = torch.zeros(len(weight)).double() if layer.bias is None else layer.bias.double()
    if norm is not None:
        assert norm.running_var is not None
        assert norm.running_mean is not None
        factor = (norm.running_var.double() + norm.eps).rsqrt()
        offset = -norm.running_mean.double() * factor
        if norm.affine:
            factor, offset = factor * norm.weight.double(), offset * norm.weight.double() + norm.bias.double()
        weight = weight * factor.view(-1, *[1] * (weight.ndim - 1))
        bias = bias * factor + offset
    return weight.float().numpy(), bias.float().numpy()


Stored = dict[nn.Module, tuple[str, str]]
"""Names of weight and bias, by layer, for layers that are already in a graph."""


def append(graph: CompactGraph, network: nn.Sequential, value: str, stored: Stored | None = None) -> str:
    """Append a network's layers to a graph.

    Args:
        graph: under construction.
        network: built from the kinds of layers in `networks`.
        value: name of its input in the graph.
        stored: shared by all calls that append the same network, so that its weights are stored once.

    Returns:
        Name of its output in the graph.

    Raises:
        TypeError: the network has a layer of another kind.
    """
    stored = {} if stored is None else stored
    layers = list(network)
    for place, layer in enumerate(layers):
        following = layers[place + 1] if place + 1 < len(layers) else None
        norm = following if isinstance(following, nn.BatchNorm1d | nn.BatchNorm2d) else None
        if isinstance(layer, nn.Conv2d | nn.Linear) and layer not in stored:
            weight, bias = folded(layer, norm)
            stored[layer] = graph.weight(weight), graph.array(bias)
        if isinstance(layer, nn.Conv2d):
            value = graph.node(
                "Conv",
                value,
                *stored[layer],
                strides=list(layer.stride),
                pads=[int(layer.padding[0])] * 4,
            )
        elif isinstance(layer, nn.Linear):
            value = graph.node("Gemm", value, *stored[layer], transB=1)
        elif isinstance(layer, nn.ReLU):
            value = graph.node("Relu", value)
        elif isinstance(layer, nn.SiLU):
            value = graph.node("Mul", value, graph.node("Sigmoid", value))
        elif isinstance(layer, nn.Flatten):
            value = graph.node("Flatten", value)
        elif isinstance(layer, Scale):
            value = graph.node("Sub", graph.node("Mul", value, graph.array(2.0)), graph.array(1.0))
        elif isinstance(layer, Residual):
            value = graph.node("Relu", graph.node("Add", value, append(graph, layer.inside, value, stored)))
        elif not isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            raise TypeError(f"{type(layer).__name__} cannot be written as ONNX")
    return value
