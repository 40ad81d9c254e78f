"""The kind of an ONNX file, read from its header: opening a session takes seconds, and most files need none.

Kinds are told apart by the shapes of their inputs and outputs, as in InsightFace's model zoo; `classify` takes the kind
of an open file from InsightFace's own object.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from .face_packs import CROP_SIDE, damaged_file

USED_TASKS = ("detection", "recognition", "genderage", "landmark_3d_68")
"""InsightFace's names of the tasks that the pack uses."""

OUTPUTS_WITH_LANDMARKS = (9, 15)
"""Output counts of detectors with landmarks: three outputs for each stride."""

LEAST_DETECTOR_OUTPUTS = 5

Shape = Sequence["int | None"]


class ModelKind(NamedTuple):
    """What a file is.

    Attributes:
        task: InsightFace's name, one of `USED_TASKS`; None if the pack does not use it.
        words: description for the user.
        width: of a recogniser's embedding; None of other models.
    """

    task: str | None
    words: str
    width: int | None = None


class FileState(NamedTuple):
    """Identifies a file and its version."""

    path: str
    size: int
    modified_ns: int


_known: dict[FileState, ModelKind] = {}


def file_state(file: Path) -> FileState:
    """Path, size and time of change as they are now.

    Raises:
        OSError: the file cannot be read.
    """
    stat = os.stat(file)
    return FileState(os.path.abspath(file), stat.st_size, stat.st_mtime_ns)


def remembered_kind(state: FileState) -> ModelKind | None:
    """The kind of a file in this state, read from its header if it is new; None if the header does not tell."""
    if state not in _known:
        kind = _kind_in_header(Path(state.path))
        if kind is None:
            return None
        _known[state] = kind
    return _known[state]


def remember_kind(state: FileState, kind: ModelKind) -> ModelKind:
    """Remember and return the kind that opening a file has shown."""
    _known[state] = kind
    return kind


def classify(model: Any) -> ModelKind:
    """The kind of an open file by InsightFace's object; None stands for a file that InsightFace does not recognise."""
    task = getattr(model, "taskname", None)
    if task == "detection":
        return _detector(model.use_kps)
    if task == "recognition":
        return _recogniser((*model.input_size, model.output_shape[-1]))
    return _other(task)


def _kind_in_header(file: Path) -> ModelKind | None:
    """The kind of a file by its header; None if the header does not tell.

    Raises:
        RuntimeError: the file is not ONNX.
    """
    import onnx
    from google.protobuf.message import DecodeError

    try:
        graph = onnx.load_model(str(file), load_external_data=False).graph
    except DecodeError as error:
        raise damaged_file(file, error) from error
    if not graph.input or not graph.output:
        raise damaged_file(file, "it has no inputs or no outputs")
    # Older files list their weights among the inputs.
    weights = {weight.name for weight in graph.initializer}
    inputs = [_shape(value) for value in graph.input if value.name not in weights]
    outputs = [_shape(value) for value in graph.output]
    if len(outputs) >= LEAST_DETECTOR_OUTPUTS:
        return _detector(len(outputs) in OUTPUTS_WITH_LANDMARKS)
    if not inputs or len(inputs[0]) != 4 or None in inputs[0][2:]:
        return None
    side, width = inputs[0][2:]
    if side != width or side is None:
        return _other(None)
    if side in (96, 192):
        # Only the width of the output tells these models apart.
        if len(outputs) != 1 or len(outputs[0]) < 2 or outputs[0][1] is None:
            return None
        points = {192: {3309: "landmark_3d_68"}, 96: {3: "genderage"}}[side].get(outputs[0][1])
        return _other(points or {192: "landmark_2d_106", 96: f"attribute_{outputs[0][1]}"}[side])
    if side == 128 and len(inputs) == 2:
        return _other("inswapper")
    if side >= CROP_SIDE and side % 16 == 0:
        if len(outputs) != 1 or not outputs[0] or outputs[0][-1] is None:
            return None
        return _recogniser((side, side, outputs[0][-1]))
    return _other(None)


def _shape(value: Any) -> Shape:
    """Sizes of a tensor, None where the file leaves one open."""
    return [size.dim_value if size.dim_value > 0 else None for size in value.type.tensor_type.shape.dim]


def _detector(landmarks: bool) -> ModelKind:
    return ModelKind("detection", "face detector") if landmarks else ModelKind(None, "face detector without landmarks")


def _recogniser(form: tuple[int, int, int]) -> ModelKind:
    fits = form[:2] == (CROP_SIDE, CROP_SIDE)
    return ModelKind("recognition" if fits else None, "face recogniser, {}x{} -> {}".format(*form), form[2])


def _other(task: str | None) -> ModelKind:
    return ModelKind(task if task in USED_TASKS else None, task or "unknown to InsightFace")
