"""A thin layer over `onnx.helper`: nodes are appended by calling them, arrays become initializers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
IR_VERSION = 8
"""Supported by every ONNX Runtime since 1.12."""

Dimensions = Sequence[int | str]
"""Sizes of a graph's input or output; a string names a dynamic size."""


AnyGraph = TypeVar("AnyGraph", bound="Graph")


class Graph:
    """A graph under construction. Values are identified by their names."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: list[onnx.TensorProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []

    @classmethod
    def opened(cls: type[AnyGraph], content: bytes) -> tuple[AnyGraph, str, dict[str, str]]:
        """Continue a graph that this class wrote.

        Args:
            content: what `serialized` returned for a graph with one input.

        Returns:
            The graph without outputs, its input, and the values that were its outputs, by their names.
        """
        model = onnx.load_from_string(content)
        outputs = {value.name: f"given_{value.name}" for value in model.graph.output}
        graph = cls()
        graph._inputs, graph._initializers = list(model.graph.input), list(model.graph.initializer)
        for node in model.graph.node:
            # Kept under another name, so that the name is free and the nodes' numbers stay as they were.
            if node.output[0] in outputs:
                node.output[0] = outputs[node.output[0]]
                node.name = f"node_{node.output[0]}"
            graph._nodes.append(node)
        return graph, model.graph.input[0].name, outputs

    def input(self, name: str, dimensions: Dimensions) -> str:
        """Declare a float32 input and return its name."""
        self._inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, dimensions))
        return name

    def array(self, values: NDArray[np.generic] | Sequence[float] | float) -> str:
        """Store values as an initializer and return its name. Integers become int64, everything else float32."""
        array = np.asarray(values)
        array = array.astype(np.int64 if np.issubdtype(array.dtype, np.integer) else np.float32)
        name = f"array_{len(self._initializers)}"
        self._initializers.append(numpy_helper.from_array(array, name))
        return name

    def node(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Append a node with one output and return the output's name."""
        # InsightFace guesses a model's input range from node names, so these must not say what the node does.
        name = f"value_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, list(inputs), [name], name=f"node_{name}", **attributes))
        return name

    def output(self, value: str, name: str, dimensions: Dimensions) -> None:
        """Make `value` the float32 output `name` of the graph."""
        self._nodes.append(helper.make_node("Identity", [value], [name], name=f"node_{name}"))
        self._outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, dimensions))

    def serialized(self, name: str) -> bytes:
        """The checked model as bytes, which are the same for the same graph.

        Raises:
            onnx.checker.ValidationError: the graph is not a valid model.
        """
        graph = helper.make_graph(self._nodes, name, self._inputs, self._outputs, self._initializers)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        onnx.checker.check_model(model, full_check=True)
        return model.SerializeToString(deterministic=True)
