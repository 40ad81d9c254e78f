"""What a model's JSON file declares: which pixels the model takes, and what its outputs mean.

`estimator.schema.json` is the format. The file lies beside the model: `pose.json` beside `pose.onnx`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

SCHEMA = Path(__file__).with_name("estimator.schema.json")

Crop = Literal["aligned", "ffhq", "box", "whole"]
Kind = Literal["angles", "classes", "regression", "embedding", "vector", "features", "score"]

KINDS: tuple[Kind, ...] = get_args(Kind)

ROTATION_AXES = ("pitch", "yaw", "roll")
"""Axes of angles that are decoded from a rotation."""

OF_WHOLE_PICTURES: tuple[Kind, ...] = ("features", "score")
"""Kinds that say something about a picture in which no face was found, if the model takes the whole picture."""


@dataclass(frozen=True)
class Input:
    """The pixels that a model takes.

    Attributes:
        size: height and width in pixels.
        crop: which part of the picture, see `crops`.
        factor: of the crop "box": its side, in longer sides of the face's box.
        channels: "RGB" or "BGR".
        white: level of white before `mean` and `std`, 1 or 255.
        mean: taken away; one level or one for each channel, in the order of `channels`.
        std: divided by afterwards; likewise.
        layout: "NCHW" or "NHWC".
    """

    size: tuple[int, int]
    crop: Crop
    factor: float
    channels: str
    white: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    layout: str


@dataclass(frozen=True)
class Output:
    """What one or more of a model's outputs mean.

    Attributes:
        name: what is measured, in tables.
        kind: how it is decoded and compared, see `decoding` and `measures`.
        sources: names of the model's outputs; () for its only one.
        columns: first column and the one after the last of each source; None for all.
        axes: of angles.
        decoding: of angles.
        first: of angles in bins: the first bin's angle, degrees.
        step: of angles in bins: degrees from bin to bin.
        classes: names.
        activation: of classes: what makes their outputs probabilities.
        distance: of classes: "probabilities" if their distance is given as well, else ""; of vectors: "euclidean" or
            "cosine".
        unit: of a regression.
        values: of a regression over classes: their values.
        better: of a score: "higher" or "lower".
        bands: by axis of angles, or by "" of a regression, the limits of groups.
        group: of classes: whether they are groups.
    """

    name: str
    kind: Kind
    sources: tuple[str, ...] = ()
    columns: tuple[int, int] | None = None
    axes: tuple[str, ...] = ()
    decoding: str = ""
    first: float = 0.0
    step: float = 1.0
    classes: tuple[str, ...] = ()
    activation: str = "none"
    distance: str = ""
    unit: str = ""
    values: tuple[float, ...] = ()
    better: str = ""
    bands: dict[str, tuple[float, ...]] = field(default_factory=dict)
    group: bool = False


@dataclass(frozen=True)
class Declaration:
    """What a model takes and gives.

    Attributes:
        name: of the model, in tables.
        input: its pixels.
        outputs: their meanings; names are unique.
    """

    name: str
    input: Input
    outputs: tuple[Output, ...]


def declaration_file(model: Path) -> Path:
    """Where a model's declaration lies."""
    return model.with_suffix(".json")


def read_declaration(file: Path) -> Declaration:
    """Read and check a declaration.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is not as the schema says, or contradicts itself; the message names the place.
    """
    if not file.is_file():
        raise FileNotFoundError(
            f"{file} is missing; expected a file beside the model that declares its input and outputs: docs/paper.md "
            "describes it"
        )
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{file} is not JSON: {error}") from None
    _check(content, file)
    made = Declaration(
        name=content["name"],
        input=_input(content["input"], file),
        outputs=tuple(_output(one, f"{file}, outputs/{place}") for place, one in enumerate(content["outputs"])),
    )
    names = [output.name for output in made.outputs]
    if len(set(names)) < len(names):
        raise ValueError(f"{file}: two outputs have one name ({', '.join(names)}); give each its own")
    return made


def _check(content: Any, file: Path) -> None:
    import jsonschema

    validator = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))
    # A wrong kind makes the properties of the right one unexpected, so what is unexpected is said last.
    errors = sorted(
        validator.iter_errors(content),
        key=lambda error: (error.validator == "unevaluatedProperties", error.json_path),
    )
    for error in errors[:1]:
        place = "/".join(map(str, error.absolute_path)) or "the whole file"
        raise ValueError(f"{file}, {place}: {error.message}; docs/paper.md describes the format")


def _input(content: dict[str, Any], file: Path) -> Input:
    mean, std = tuple(content["mean"]), tuple(content["std"])
    for name, levels in (("mean", mean), ("std", std)):
        if len(levels) == 2:
            raise ValueError(f"{file}, input/{name}: two levels; expected one, or one for each of the three channels")
    if min(std) <= 0:
        raise ValueError(
            f"{file}, input/std: {min(std):g}; expected levels above 0, because pixels are divided by them"
        )
    if content["crop"] != "box" and "factor" in content:
        raise ValueError(f'{file}, input/factor: only the crop "box" has a factor; leave it out')
    height, width = content["size"]
    if content["crop"] != "whole" and height != width:
        raise ValueError(f"{file}, input/size: {height} x {width}; expected a square, as every crop of a face is one")
    return Input(
        size=(height, width),
        crop=content["crop"],
        factor=float(content.get("factor", 1.0)),
        channels=content["channels"],
        white=float(content["white"]),
        mean=mean,
        std=std,
        layout=content["layout"],
    )


def _output(content: dict[str, Any], place: str) -> Output:
    columns = content.get("columns")
    if columns is not None and columns[0] >= columns[1]:
        raise ValueError(f"{place}/columns: {columns}; expected the first column and the one after the last")
    bands = content.get("bands", {})
    output = Output(
        name=content["name"],
        kind=content["kind"],
        sources=tuple(content.get("from", ())),
        columns=None if columns is None else (columns[0], columns[1]),
        axes=tuple(content.get("axes", ())),
        decoding=content.get("decoding", ""),
        first=float(content.get("first", 0.0)),
        step=float(content.get("step", 1.0)),
        classes=tuple(content.get("classes", ())),
        activation=content.get("activation", "none"),
        distance=_distance(content),
        unit=content.get("unit", ""),
        values=tuple(content.get("values", ())),
        better=content.get("better", ""),
        bands={
            axis: tuple(sorted(limits)) for axis, limits in (bands if isinstance(bands, dict) else {"": bands}).items()
        },
        group=content.get("group", False),
    )
    if output.decoding.startswith("rotation") and output.axes != ROTATION_AXES:
        raise ValueError(f"{place}/axes: {', '.join(output.axes)}; a rotation gives {', '.join(ROTATION_AXES)}")
    if output.kind == "angles" and not set(output.bands) <= set(output.axes):
        raise ValueError(f"{place}/bands: {', '.join(output.bands)}; expected some of the axes")
    return output


def _distance(content: dict[str, Any]) -> str:
    distance = content.get("distance", "")
    if isinstance(distance, bool):
        return "probabilities" if distance else ""
    return str(distance)
