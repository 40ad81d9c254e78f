"""The two face recognisers of npm's human-models as InsightFace loads them: ONNX files of 112x112 crops.

MobileFace tells people apart. MobileFaceNet does not: as published, its cosine of any two faces is 0.93 to 1, however
its input is scaled.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .cache import Cache
from .tfjs import OPSET, OnnxWriter, read

INSIGHTFACE_SCALE = 127.5
"""By which, after as much is taken away, InsightFace divides pixels for recognisers whose first nodes have other names
than Sub and Mul."""


@dataclass(frozen=True)
class Form:
    """How a recogniser takes its pixels p in 0 to 255: as (p - middle) / scale.

    Attributes:
        middle: in levels.
        scale: in levels.
    """

    middle: float
    scale: float


MOBILEFACE = Form(middle=0.0, scale=1.0)
"""Its graph normalises by itself."""

MOBILEFACENET = Form(middle=127.5, scale=128.0)


def convert(cache: Cache) -> None:
    """Write MobileFace and MobileFaceNet.

    Raises:
        ValueError: a file is another model than expected.
    """
    write(cache.parts / "mobilefacenet.json", cache.collapsed, MOBILEFACENET, width=512)
    write(cache.parts / "mobileface.json", cache.checker, MOBILEFACE)


def write(source: Path, target: Path, form: Form, width: int = 0) -> None:
    """Write a graph model as a recogniser.

    Args:
        source: JSON of the graph model, its weights beside it.
        target: file to write.
        form: what it expects.
        width: of the embedding, filled up with zeros, which change no cosine; 0 leaves it.

    Raises:
        ValueError: the model cannot be converted, or its embedding is wider.
    """
    import numpy as np
    import onnx

    model = read(source)
    writer = OnnxWriter(model, "pixels")
    own, writer.nodes = writer.nodes, []
    # ((x * 127.5 + 127.5) - middle) / scale in one multiplication and one addition.
    factor = writer.constant(INSIGHTFACE_SCALE / form.scale)
    shift = writer.constant((INSIGHTFACE_SCALE - form.middle) / form.scale)
    begin = [
        onnx.helper.make_node("Mul", ["crop", factor], ["scaled"], name="levels_scaled"),
        onnx.helper.make_node("Add", ["scaled", shift], ["pixels"], name="levels_shifted"),
    ]
    output, end = writer.output, []
    if width:
        if width < writer.width:
            raise ValueError(f"{source} has {writer.width} outputs; expected at most {width}")
        zeros = writer.constant(np.zeros((1, width - writer.width)))
        end.append(onnx.helper.make_node("Concat", [output, zeros], ["embedding"], name="filled_up", axis=1))
    else:
        end.append(onnx.helper.make_node("Identity", [output], ["embedding"], name="named"))
    number = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        [*begin, *own, *end],
        source.stem,
        [onnx.helper.make_tensor_value_info("crop", number, [1, 3, *model.shape])],
        [onnx.helper.make_tensor_value_info("embedding", number, [1, width or writer.width])],
        writer.weights,
    )
    made = onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", OPSET)], ir_version=8, producer_name="lab.real"
    )
    onnx.checker.check_model(made, full_check=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(target.name + ".unfinished")
    onnx.save(made, unfinished)
    unfinished.rename(target)
