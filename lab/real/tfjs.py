"""Graph models of TensorFlow.js: reading them, evaluating them, and writing them as ONNX, without TensorFlow.

Only what feed-forward recognisers are made of. TensorFlow keeps pictures as [B, H, W, C] and ONNX convolves
[B, C, H, W]: values of four dimensions are held in ONNX's order throughout, and constants that are combined with them
are turned likewise.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

OPSET = 13

BOTH = {"Add": "Add", "AddV2": "Add", "Sub": "Sub", "Mul": "Mul", "Maximum": "Max", "Minimum": "Min"}
"""Operations of two values, and ONNX's names of them."""

ONE = {"Relu": "Relu", "Abs": "Abs"}
"""Operations of one value, likewise."""

CONVOLUTIONS = ("Conv2D", "_FusedConv2D")
BY_CHANNEL = ("DepthwiseConv2dNative", "FusedDepthwiseConv2dNative")

FUSED = ("BiasAdd", "Relu")
"""What may follow inside a convolution."""


@dataclass(frozen=True, eq=False)
class Operation:
    """One node.

    Attributes:
        name: of its value.
        kind: TensorFlow's name of the operation.
        inputs: names of values.
        attributes: as in the file, with text decoded by `text`.
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    attributes: dict[str, Any]

    def numbers(self, name: str) -> tuple[int, ...]:
        """A list of whole numbers."""
        return tuple(int(number) for number in self.attributes[name]["list"].get("i", []))

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of words."""
        return tuple(base64.b64decode(word).decode() for word in self.attributes[name]["list"].get("s", []))

    def text(self, name: str) -> str:
        """One word."""
        return base64.b64decode(self.attributes[name]["s"]).decode()


@dataclass(frozen=True, eq=False)
class GraphModel:
    """A feed-forward graph with one input and one output.

    Attributes:
        input: name of its value, [B, H, W, 3].
        shape: height and width of the input.
        operations: in an order in which each comes after its inputs.
        constants: by name, in TensorFlow's order.
        output: name of its value.
    """

    input: str
    shape: tuple[int, int]
    operations: tuple[Operation, ...]
    constants: dict[str, NDArray[Any]]
    output: str


def read(topology: Path) -> GraphModel:
    """Read a graph model.

    Args:
        topology: the JSON file; the weights lie beside it.

    Raises:
        ValueError: it is none, its weights do not fit, or it is not feed-forward with one input and one output.
    """
    content = json.loads(topology.read_text(encoding="utf-8"))
    if content.get("format") != "graph-model":
        raise ValueError(f"{topology} has format {content.get('format')}; expected graph-model")
    constants: dict[str, NDArray[Any]] = {}
    for group in content["weightsManifest"]:
        data = b"".join((topology.parent / path).read_bytes() for path in group["paths"])
        start = 0
        for weight in group["weights"]:
            if "quantization" in weight:
                raise ValueError(f"{topology}: {weight['name']} is quantized; expected plain weights")
            kind = np.dtype(weight["dtype"]).newbyteorder("<")
            count = int(np.prod(weight["shape"]))
            end = start + count * kind.itemsize
            if end > len(data):
                raise ValueError(f"{topology}: the weights end within {weight['name']}; fetch them again")
            constants[weight["name"]] = np.frombuffer(data[start:end], kind).reshape(weight["shape"])
            start = end
        if start != len(data):
            raise ValueError(f"{topology}: {len(data) - start} bytes of weights too many; fetch them again")
    nodes = content["modelTopology"]["node"]
    operations = [
        Operation(node["name"], node["op"], tuple(node.get("input", ())), node.get("attr", {}))
        for node in nodes
        if node["op"] not in ("Const", "Placeholder")
    ]
    places = [node for node in nodes if node["op"] == "Placeholder"]
    used = {name for operation in operations for name in operation.inputs}
    outputs = [operation.name for operation in operations if operation.name not in used]
    if len(places) != 1 or len(outputs) != 1:
        raise ValueError(f"{topology} has {len(places)} inputs and {len(outputs)} outputs; expected one of each")
    height, width = (int(side["size"]) for side in places[0]["attr"]["shape"]["shape"]["dim"][1:3])
    known = {places[0]["name"], *constants}
    ordered: list[Operation] = []
    while operations:
        ready = [operation for operation in operations if known.issuperset(operation.inputs)]
        if not ready:
            raise ValueError(f"{topology}: {operations[0].name} needs a value that nothing makes")
        ordered += ready
        known |= {operation.name for operation in ready}
        operations = [operation for operation in operations if operation.name not in known]
    return GraphModel(places[0]["name"], (height, width), tuple(ordered), constants, outputs[0])


def padding(operation: Operation, size: Sequence[int], kernel: Sequence[int]) -> tuple[int, int, int, int]:
    """What a convolution adds around its input: top, left, bottom, right.

    Args:
        operation: a convolution.
        size: height and width of its input.
        kernel: height and width of its weights.

    Raises:
        ValueError: a kind of padding that is not known.
    """
    kind = operation.text("padding")
    if kind == "VALID":
        return (0, 0, 0, 0)
    if kind != "SAME":
        raise ValueError(f"{operation.name} has padding {kind}; expected SAME or VALID")
    strides = operation.numbers("strides")[1:3]
    # TensorFlow adds more behind than before where the sum is odd.
    both = [
        max((-(-length // stride) - 1) * stride + side - length, 0)
        for length, stride, side in zip(size, strides, kernel, strict=True)
    ]
    before = [total // 2 for total in both]
    return (before[0], before[1], both[0] - before[0], both[1] - before[1])


def evaluate(model: GraphModel, pictures: NDArray[Any]) -> NDArray[np.float64]:
    """The model's answer, computed in TensorFlow's own order of dimensions: to compare the ONNX file with.

    Args:
        model: as read.
        pictures: float [B, H, W, 3], what the model expects.

    Raises:
        ValueError: an operation is not known.
    """
    values: dict[str, NDArray[Any]] = {name: np.asarray(one, np.float64) for name, one in model.constants.items()}
    values[model.input] = np.asarray(pictures, np.float64)
    numpys = {"Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Max": np.maximum, "Min": np.minimum}
    for operation in model.operations:
        given = [values[name] for name in operation.inputs]
        kind = operation.kind
        if kind in BOTH:
            made = numpys[BOTH[kind]](*given)
        elif kind == "Relu":
            made = np.maximum(given[0], 0)
        elif kind == "Abs":
            made = np.abs(given[0])
        elif kind == "Square":
            made = given[0] ** 2
        elif kind == "Rsqrt":
            made = 1 / np.sqrt(given[0])
        elif kind == "Sum":
            made = given[0].sum(axis=tuple(np.atleast_1d(given[1]).astype(int)), keepdims=True)
        elif kind == "Pad":
            made = np.pad(given[0], given[1].astype(int))
        elif kind == "Reshape":
            made = given[0].reshape(given[1].astype(int))
        elif kind == "Squeeze":
            made = given[0].squeeze(operation.numbers("squeeze_dims"))
        elif kind == "MatMul":
            made = given[0] @ given[1]
        elif kind in CONVOLUTIONS + BY_CHANNEL:
            made = _convolve(operation, given)
        else:
            raise ValueError(f"{operation.name} is a {kind}, which is not known here")
        values[operation.name] = made
    return values[model.output]


def _convolve(operation: Operation, given: Sequence[NDArray[Any]]) -> NDArray[Any]:
    picture, weights = given[0], given[1]
    top, left, bottom, right = padding(operation, picture.shape[1:3], weights.shape[:2])
    padded = np.pad(picture, ((0, 0), (top, bottom), (left, right), (0, 0)))
    down, across = operation.numbers("strides")[1:3]
    rows = (padded.shape[1] - weights.shape[0]) // down + 1
    columns = (padded.shape[2] - weights.shape[1]) // across + 1
    made: Any = 0
    for y in range(weights.shape[0]):
        for x in range(weights.shape[1]):
            part = padded[:, y : y + down * rows : down, x : x + across * columns : across]
            made = made + (part * weights[y, x, :, 0] if operation.kind in BY_CHANNEL else part @ weights[y, x])
    for step in _fused(operation):
        made = np.maximum(made, 0) if step == "Relu" else made + given[2]
    result: NDArray[Any] = made
    return result


def _fused(operation: Operation) -> tuple[str, ...]:
    steps = operation.texts("fused_ops") if "fused_ops" in operation.attributes else ()
    if unknown := [step for step in steps if step not in FUSED]:
        raise ValueError(f"{operation.name} is fused with {', '.join(unknown)}; expected {' or '.join(FUSED)}")
    return steps


class OnnxWriter:
    """Nodes and weights of an ONNX graph that computes a graph model.

    Args:
        model: as read.
        picture: name of the value [1, 3, H, W] that the model's input is.
    """

    def __init__(self, model: GraphModel, picture: str) -> None:
        self.nodes: list[Any] = []
        self.weights: list[Any] = []
        self._model = model
        self._names = {model.input: picture}
        self._shapes: dict[str, tuple[int, ...]] = {model.input: (1, *model.shape, 3)}
        for operation in model.operations:
            self._write(operation)
        self.output = self._names[model.output]
        """Name of the answer."""
        self.width = self._shapes[model.output][-1]
        """Numbers in the answer."""

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Name of a new node's value."""
        import onnx

        # InsightFace guesses a recogniser's input scaling from nodes named Sub and Mul, so ours have other names.
        name = f"value_{len(self.nodes)}"
        self.nodes.append(
            onnx.helper.make_node(kind, list(inputs), [name], name=f"node_{len(self.nodes)}", **attributes)
        )
        return name

    def constant(self, value: Any, kind: Any = np.float32) -> str:
        """Name of a constant."""
        import onnx

        name = f"weight_{len(self.weights)}"
        self.weights.append(onnx.numpy_helper.from_array(np.ascontiguousarray(value, kind), name))
        return name

    def _value(self, name: str, with_picture: bool = False) -> str:
        if name in self._names:
            return self._names[name]
        value = self._model.constants[name]
        # [C] beside [B, H, W, C] becomes [C, 1, 1] beside [B, C, H, W].
        return self.constant(value.reshape(-1, 1, 1) if with_picture and value.ndim == 1 else value)

    def _write(self, operation: Operation) -> None:
        model, kind, shapes = self._model, operation.kind, self._shapes
        for name in operation.inputs:
            shapes.setdefault(name, model.constants[name].shape if name in model.constants else ())
        given = [shapes[name] for name in operation.inputs]
        picture = len(given[0]) == 4 or (len(given) > 1 and len(given[1]) == 4)
        if kind in BOTH:
            made = self.add(BOTH[kind], *(self._value(name, picture) for name in operation.inputs))
            shape = np.broadcast_shapes(*given)
        elif kind in ONE:
            made, shape = self.add(ONE[kind], self._value(operation.inputs[0])), given[0]
        elif kind == "Square":
            value = self._value(operation.inputs[0])
            made, shape = self.add("Mul", value, value), given[0]
        elif kind == "Rsqrt":
            made, shape = self.add("Reciprocal", self.add("Sqrt", self._value(operation.inputs[0]))), given[0]
        elif kind == "Sum" and not picture:
            axes = np.atleast_1d(model.constants[operation.inputs[1]])
            made = self.add("ReduceSum", self._value(operation.inputs[0]), self.constant(axes, np.int64), keepdims=1)
            shape = tuple(1 if axis in axes % len(given[0]) else side for axis, side in enumerate(given[0]))
        elif kind == "Pad" and picture:
            made, shape = self._pad(operation, given[0])
        elif kind in ("Reshape", "Squeeze") and picture:
            made, shape = self._flatten(operation, given[0])
        elif kind == "MatMul":
            made = self.add("MatMul", *map(self._value, operation.inputs))
            shape = (given[0][0], given[1][1])
        elif kind in CONVOLUTIONS + BY_CHANNEL:
            made, shape = self._convolution(operation, given[0])
        else:
            raise ValueError(f"{operation.name} is a {kind} of shape {given}, which is not known here")
        self._names[operation.name], shapes[operation.name] = made, tuple(shape)

    def _pad(self, operation: Operation, shape: tuple[int, ...]) -> tuple[str, tuple[int, ...]]:
        around = self._model.constants[operation.inputs[1]]
        order = [0, 3, 1, 2]
        pads = self.constant([*around[order, 0], *around[order, 1]], np.int64)
        padded = tuple(int(side + sum(pair)) for side, pair in zip(shape, around, strict=True))
        return self.add("Pad", self._value(operation.inputs[0]), pads), padded

    def _flatten(self, operation: Operation, shape: tuple[int, ...]) -> tuple[str, tuple[int, ...]]:
        """To [1, N]; anything else is refused, for its order of dimensions would have to be known."""
        if operation.kind == "Squeeze" and (operation.numbers("squeeze_dims") != (1, 2) or shape[1:3] != (1, 1)):
            raise ValueError(f"{operation.name} squeezes {shape}; expected height and width of 1")
        count = int(np.prod(shape))
        if operation.kind == "Reshape" and self._model.constants[operation.inputs[1]].tolist() not in (
            [-1, count],
            [1, count],
        ):
            raise ValueError(f"{operation.name} reshapes {shape} to something else than one row")
        ordered = self.add("Transpose", self._value(operation.inputs[0]), perm=[0, 2, 3, 1])
        return self.add("Reshape", ordered, self.constant([1, count], np.int64)), (1, count)

    def _convolution(self, operation: Operation, shape: tuple[int, ...]) -> tuple[str, tuple[int, ...]]:
        weights = self._model.constants[operation.inputs[1]]
        depthwise = operation.kind in BY_CHANNEL
        if set(operation.numbers("dilations")) - {1} or operation.text("data_format") != "NHWC":
            raise ValueError(f"{operation.name} is dilated or not in the order NHWC")
        if depthwise and weights.shape[3] != 1:
            raise ValueError(f"{operation.name} makes {weights.shape[3]} channels of one; expected one")
        # [H, W, in, out] -> [out, in, H, W]; by channel [H, W, in, 1] -> [in, 1, H, W].
        turned = weights.transpose(2, 3, 0, 1) if depthwise else weights.transpose(3, 2, 0, 1)
        pads = padding(operation, shape[1:3], weights.shape[:2])
        strides = operation.numbers("strides")[1:3]
        steps = _fused(operation)
        inputs = [self._value(operation.inputs[0]), self.constant(turned)]
        if "BiasAdd" in steps:
            inputs.append(self.constant(self._model.constants[operation.inputs[2]]))
        made = self.add(
            "Conv",
            *inputs,
            group=weights.shape[2] if depthwise else 1,
            pads=pads,
            strides=strides,
            kernel_shape=weights.shape[:2],
        )
        if steps[-1:] == ("Relu",):
            made = self.add("Relu", made)
        sides = (
            (length + pads[side] + pads[side + 2] - weights.shape[side]) // strides[side] + 1
            for side, length in enumerate(shape[1:3])
        )
        return made, (1, *sides, turned.shape[0])
