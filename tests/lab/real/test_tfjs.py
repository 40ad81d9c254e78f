"""Graph models of TensorFlow.js become ONNX files that compute the same."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest

from lab.real import recognisers, tfjs

STRIDES, ONES = [1, 2, 2, 1], [1, 1, 1, 1]


def words(*values):
    return [base64.b64encode(value.encode()).decode() for value in values]


def convolution(name, kind, inputs, padding="SAME", strides=ONES, fused=()):
    return {
        "name": name,
        "op": kind,
        "input": inputs,
        "attr": {
            "padding": {"s": words(padding)[0]},
            "data_format": {"s": words("NHWC")[0]},
            "strides": {"list": {"i": [str(number) for number in strides]}},
            "dilations": {"list": {"i": [str(number) for number in ONES]}},
            **({"fused_ops": {"list": {"s": words(*fused)}}} if fused else {}),
        },
    }


def write(folder, nodes, weights):
    """A graph model of pictures of 13x10 pixels."""
    sizes = [{"size": str(side)} for side in (-1, 13, 10, 3)]
    place = {"name": "data", "op": "Placeholder", "attr": {"shape": {"shape": {"dim": sizes}}}}
    listed = [{"name": n, "shape": list(w.shape), "dtype": str(w.dtype)} for n, w in weights.items()]
    (folder / "model.bin").write_bytes(b"".join(weight.tobytes() for weight in weights.values()))
    content = {
        "format": "graph-model",
        "modelTopology": {"node": [*nodes, place, *({"name": name, "op": "Const"} for name in weights)]},
        "weightsManifest": [{"paths": ["model.bin"], "weights": listed}],
    }
    (folder / "model.json").write_text(json.dumps(content))
    return folder / "model.json"


def small_model(folder):
    """Every kind of layer that the real ones have, the nodes in no order."""
    random = np.random.default_rng(3)

    def weight(*shape):
        return random.normal(0, 0.4, shape).astype(np.float32)

    weights = {
        "first": weight(3, 3, 3, 5),
        "bias": weight(5),
        "each": weight(3, 3, 5, 1),
        "around": np.array([[0, 0], [1, 0], [2, 1], [0, 0]], np.int32),
        "slope": weight(5),
        "zero": np.zeros((), np.float32),
        "row": np.array([-1, 5 * 7 * 7], np.int32),
        "dense": weight(5 * 7 * 7, 6),
        "axis": np.array([1], np.int32),
        "least": np.array(1e-6, np.float32),
    }
    nodes = [
        convolution("a", "_FusedConv2D", ["data", "first", "bias"], strides=STRIDES, fused=("BiasAdd", "Relu")),
        {"name": "b", "op": "Pad", "input": ["a", "around"]},
        convolution("c", "DepthwiseConv2dNative", ["b", "each"]),
        {"name": "up", "op": "Maximum", "input": ["zero", "c"]},
        {"name": "down", "op": "Minimum", "input": ["zero", "c"]},
        {"name": "sloped", "op": "Mul", "input": ["slope", "down"]},
        {"name": "d", "op": "AddV2", "input": ["up", "sloped"]},
        convolution("e", "Conv2D", ["d", "square"], padding="VALID"),
        {"name": "f", "op": "Reshape", "input": ["e", "row"]},
        {"name": "g", "op": "MatMul", "input": ["f", "dense"]},
        {"name": "h", "op": "Square", "input": ["g"]},
        {"name": "i", "op": "Sum", "input": ["h", "axis"]},
        {"name": "j", "op": "Maximum", "input": ["i", "least"]},
        {"name": "k", "op": "Rsqrt", "input": ["j"]},
        {"name": "l", "op": "Mul", "input": ["g", "k"]},
    ]
    weights["square"] = weight(2, 2, 5, 5)
    return write(folder, nodes[::-1], weights)


def test_the_onnx_file_computes_what_the_graph_model_does(tmp_path):
    ort = pytest.importorskip("onnxruntime")
    source, target = small_model(tmp_path), tmp_path / "made.onnx"
    recognisers.write(source, target, recognisers.Form(middle=100.0, scale=50.0), width=9)
    session = ort.InferenceSession(target, providers=["CPUExecutionProvider"])
    levels = np.random.default_rng(0).integers(0, 256, (1, 13, 10, 3)).astype(np.float32)
    expected = tfjs.evaluate(tfjs.read(source), (levels - 100) / 50)
    [made] = session.run(None, {"crop": ((levels - 127.5) / 127.5).transpose(0, 3, 1, 2)})
    np.testing.assert_allclose(made[:, :6], expected, atol=1e-5)
    assert np.linalg.norm(expected) == pytest.approx(1, abs=1e-4)
    assert (made[:, 6:] == 0).all()


def test_insightface_scales_the_made_recogniser_s_input_as_it_expects(tmp_path):
    onnx = pytest.importorskip("onnx")
    source, target = small_model(tmp_path), tmp_path / "made.onnx"
    recognisers.write(source, target, recognisers.MOBILEFACE)
    names = [node.name for node in onnx.load(target).graph.node[:8]]
    assert not any(name.startswith(("Sub", "_minus", "Mul", "_mul")) for name in names)


@pytest.mark.parametrize(
    ("size", "stride", "expected"), [(5, 1, (1, 1)), (5, 2, (1, 1)), (6, 2, (0, 1)), (112, 2, (0, 1))]
)
def test_padding_is_tensorflow_s(size, stride, expected):
    """More behind than before where it is odd."""
    operation = tfjs.Operation(
        "a", "Conv2D", (), convolution("a", "Conv2D", [], strides=[1, stride, stride, 1])["attr"]
    )
    top, left, bottom, right = tfjs.padding(operation, (size, size), (3, 3))
    assert (top, bottom) == (left, right) == expected


def test_broken_files_are_refused_with_what_is_wrong(tmp_path):
    source = small_model(tmp_path)
    weights = tmp_path / "model.bin"
    weights.write_bytes(weights.read_bytes()[:-4])
    with pytest.raises(ValueError, match="the weights end within square"):
        tfjs.read(source)
    weights.write_bytes(weights.read_bytes() + b"\0" * 8)
    with pytest.raises(ValueError, match="4 bytes of weights too many"):
        tfjs.read(source)


def test_an_operation_that_is_not_known_is_named(tmp_path):
    source = write(tmp_path, [{"name": "odd", "op": "Softmax", "input": ["data"]}], {})
    with pytest.raises(ValueError, match="odd is a Softmax"):
        tfjs.OnnxWriter(tfjs.read(source), "data")


def test_an_embedding_wider_than_asked_for_is_refused(tmp_path):
    with pytest.raises(ValueError, match="6 outputs; expected at most 4"):
        recognisers.write(small_model(tmp_path), tmp_path / "made.onnx", recognisers.MOBILEFACE, width=4)
