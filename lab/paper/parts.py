"""Declares the miniature's meter to `evaluate`: a copy of it, whose hidden layer is an output as well, and its JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from harness.whole_text import write_whole
from miniature.files import whole_file

from ..meter import FLAG_NAMES, METER_FILE, POSE_NAMES, SIDE
from ..render.identity import ETHNICITIES
from ..render.nuisance import EXPRESSIONS
from ..training.captions import OLD, YOUNG

METER = Path("estimators", "meter.onnx")
"""Path of the copy below the output folder."""

FEATURES = "features"
"""Name of the output that shows the hidden layer."""

YAW_BANDS = (15.0, 30.0)
"""Limits of the absolute yaw, degrees."""


def write_meter(models: Path, out: Path) -> Path:
    """Write the copy and its declaration.

    Args:
        models: folder in ComfyUI's layout, with the meter.
        out: folder to write below.

    Returns:
        Path of the copy.

    Raises:
        FileNotFoundError: the meter is missing.
        ValueError: the meter is another network than `training.meter` writes.
    """
    import onnx

    source = models / METER_FILE
    if not source.is_file():
        raise FileNotFoundError(f"{source} is missing: train the meter first (python -m lab.training)")
    model = onnx.load(source)
    hidden = _hidden_layer(model.graph)
    model.graph.node.append(onnx.helper.make_node("Identity", [hidden], [FEATURES], name="shown_features"))
    shape = ["batch", FEATURES]
    model.graph.output.append(onnx.helper.make_tensor_value_info(FEATURES, onnx.TensorProto.FLOAT, shape))
    onnx.checker.check_model(model)
    target = out / METER
    with whole_file(target) as stream:
        stream.write(model.SerializeToString())
    write_whole(target.with_suffix(".json"), json.dumps(declaration(), indent=1) + "\n")
    return target


def declaration() -> dict[str, Any]:
    """What the meter takes and gives, as `evaluate.declaration` reads it."""
    columns = {name: [place, place + 1] for place, name in enumerate(FLAG_NAMES)}
    head = [name for name in POSE_NAMES if not name.startswith("gaze")]

    def flag(name: str, classes: list[str], group: bool = False) -> dict[str, Any]:
        # One column is the probability of the second class.
        column = columns[name]
        return {"kind": "classes", "from": ["flags"], "columns": column, "classes": classes, "activation": "none"} | (
            {"group": True} if group else {}
        )

    def likeliest(source: str, classes: list[str], **more: bool) -> dict[str, Any]:
        return {"kind": "classes", "from": [source], "classes": classes, "activation": "none", **more}

    return {
        "name": "meter",
        "input": {
            "size": [SIDE, SIDE],
            "crop": "whole",
            "channels": "RGB",
            "white": 1,
            "mean": [0],
            "std": [1],
            "layout": "NCHW",
        },
        "outputs": [
            {"name": "expression", **likeliest("expression", list(EXPRESSIONS), distance=True)},
            {
                "name": "gaze",
                "kind": "angles",
                "from": ["pose"],
                "columns": [len(head), len(POSE_NAMES)],
                "axes": [name.removeprefix("gaze_") for name in POSE_NAMES if name not in head],
                "decoding": "degrees",
            },
            {
                "name": "head pose",
                "kind": "angles",
                "from": ["pose"],
                "columns": [0, len(head)],
                "axes": head,
                "decoding": "degrees",
                "bands": {"yaw": list(YAW_BANDS)},
            },
            {"name": "age", "kind": "regression", "from": ["age"], "unit": "years", "bands": [YOUNG, OLD]},
            {"name": "sex", **flag("male", ["female", "male"], group=True)},
            {"name": "ethnicity", **likeliest("ethnicity", list(ETHNICITIES), group=True)},
            {"name": "glasses", **flag("glasses", ["no glasses", "glasses"], group=True)},
            {"name": FEATURES, "kind": "features", "from": [FEATURES]},
        ],
    }


def _hidden_layer(graph: Any) -> str:
    """Name of what goes into the layer that all outputs are slices of."""
    makers = {output: node for node in graph.node for output in node.output}
    layers = {node.input[0] for node in graph.node if node.op_type == "Slice"}
    if len(layers) != 1 or (layer := makers[layers.pop()]).op_type != "Gemm":
        raise ValueError("the meter's outputs are no slices of one linear layer; expected a file of lab.training")
    return str(layer.input[0])
