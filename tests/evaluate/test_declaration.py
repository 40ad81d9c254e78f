"""What a model's JSON file may say, and how its outputs are decoded."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from evaluate.declaration import Declaration, Output, declaration_file, read_declaration
from evaluate.decoding import angle_change, decoded, direction_change

GOOD: dict[str, Any] = {
    "name": "pose net",
    "input": {
        "size": [224, 224],
        "crop": "box",
        "factor": 1.2,
        "channels": "RGB",
        "white": 1,
        "mean": [0.485, 0.456, 0.406],
        "std": [0.229, 0.224, 0.225],
        "layout": "NCHW",
    },
    "outputs": [{"name": "head pose", "kind": "angles", "axes": ["pitch", "yaw", "roll"], "decoding": "rotation_6d"}],
}


def written(tmp_path: Path, content: Any) -> Path:
    file = tmp_path / "pose.json"
    file.write_text(json.dumps(content), encoding="utf-8")
    return file


def changed(place: str, value: Any) -> dict[str, Any]:
    content: Any = copy.deepcopy(GOOD)
    *path, last = [int(part) if part.isdigit() else part for part in place.split("/")]
    here = content
    for part in path:
        here = here[part]
    if value is None:
        del here[last]
    else:
        here[last] = value
    return content


def test_a_declaration_is_read(tmp_path: Path) -> None:
    found = read_declaration(written(tmp_path, GOOD))
    assert isinstance(found, Declaration)
    assert (found.name, found.input.size, found.input.factor) == ("pose net", (224, 224), 1.2)
    assert found.outputs[0].axes == ("pitch", "yaw", "roll")
    assert declaration_file(tmp_path / "pose.onnx") == tmp_path / "pose.json"


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        ("name", None, "the whole file: 'name' is a required property"),
        ("input/size", [224], r"input/size"),
        ("input/size", [224, 200], "224 x 200; expected a square"),
        ("input/crop", "face", r"input/crop: 'face' is not one of"),
        ("input/factor", None, "'factor' is a required property"),
        ("input/crop", "aligned", 'only the crop "box" has a factor'),
        ("input/std", [0.2, 0.2, 0], "expected levels above 0"),
        ("input/mean", [0.5, 0.5], "two levels"),
        ("input/gamma", 2.2, "gamma"),
        ("outputs", [], "outputs"),
        ("outputs/0/kind", "pose", "outputs/0/kind: 'pose' is not one of"),
        ("outputs/0/decoding", "bins", "'(first|step)' is a required property"),
        ("outputs/0/axes", ["yaw", "pitch", "roll"], "a rotation gives pitch, yaw, roll"),
        ("outputs/0/bands", {"tilt": [1]}, "expected some of the axes"),
        ("outputs/0/columns", [3, 3], "expected the first column"),
        ("outputs/0/classes", ["a", "b"], "classes"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, place: str, value: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_declaration(written(tmp_path, changed(place, value)))


def test_two_outputs_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="two outputs have one name"):
        read_declaration(written(tmp_path, {**GOOD, "outputs": GOOD["outputs"] * 2}))


def test_a_model_without_declaration_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"docs/paper\.md"):
        read_declaration(tmp_path / "pose.json")
    (tmp_path / "pose.json").write_text("{", encoding="utf-8")
    with pytest.raises(ValueError, match="is not JSON"):
        read_declaration(tmp_path / "pose.json")


def test_rotations_become_angles() -> None:
    matrix = Rotation.from_euler("xyz", [10, -20, 5], degrees=True).as_matrix()
    axes = ("pitch", "yaw", "roll")
    whole = Output("pose", "angles", axes=axes, decoding="rotation_matrix")
    assert decoded(whole, [matrix[None]]) == pytest.approx([10, -20, 5])
    half = Output("pose", "angles", axes=axes, decoding="rotation_6d")
    # Neither length nor the angle between the two columns counts.
    columns = np.concatenate([3 * matrix[:, 0], matrix[:, 1] + 0.4 * matrix[:, 0]])
    assert decoded(half, [columns[None]]) == pytest.approx([10, -20, 5])


def test_bins_radians_and_columns() -> None:
    bins = Output("gaze", "angles", axes=("yaw", "pitch"), decoding="bins", first=-180, step=4)
    yaw, pitch = np.full((1, 90), -1e3), np.full((1, 90), -1e3)
    yaw[0, [45, 46]], pitch[0, 40] = 0, 0
    assert decoded(bins, [yaw, pitch]) == pytest.approx([2, -20])
    radians = Output("gaze", "angles", axes=("yaw",), decoding="radians", columns=(1, 2))
    assert decoded(radians, [np.array([[9, np.pi / 6]])]) == pytest.approx([30])


def test_classes_become_probabilities() -> None:
    softmax = Output("race", "classes", classes=("a", "b", "c"), activation="softmax")
    assert decoded(softmax, [np.log([[1.0, 2, 7]])]) == pytest.approx([0.1, 0.2, 0.7])
    one = Output("male", "classes", classes=("female", "male"), activation="sigmoid")
    assert decoded(one, [np.array([[0.0]])]) == pytest.approx([0.5, 0.5])
    plain = Output("male", "classes", classes=("female", "male"))
    assert decoded(plain, [np.array([[0.8]])]) == pytest.approx([0.2, 0.8])


def test_classes_of_age_become_years() -> None:
    age = Output("age", "regression", unit="years", values=(10, 20, 30))
    assert decoded(age, [np.log([[1.0, 1, 2]])]) == pytest.approx([22.5])


def test_a_wrong_width_is_refused() -> None:
    with pytest.raises(ValueError, match=r'"race" \(classes\) has 2 numbers; its declaration needs 3'):
        decoded(Output("race", "classes", classes=("a", "b", "c"), activation="softmax"), [np.zeros((1, 2))])
    with pytest.raises(ValueError, match="columns 2 to 4 of an output of 3"):
        decoded(Output("x", "vector", columns=(2, 4)), [np.zeros((1, 3))])


def test_angles_are_compared_around_the_circle() -> None:
    change = angle_change(np.array([10.0, -10.0, 179.0, 0.0]), np.array([-10.0, 10.0, -179.0, 180.0]))
    assert change.tolist() == [20, 20, 2, 180]


def test_the_angle_between_two_directions() -> None:
    assert direction_change(np.array([0.0, 0.0]), np.array([30.0, 0.0])) == pytest.approx(30)
    # Near the pole a yaw hardly turns.
    assert direction_change(np.array([0.0, 90.0]), np.array([120.0, 90.0])) == pytest.approx(0, abs=1e-6)
    assert direction_change(np.array([90.0, 0.0]), np.array([0.0, 90.0])) == pytest.approx(90)
