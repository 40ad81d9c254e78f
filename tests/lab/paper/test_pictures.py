"""What lab.paper writes for evaluate: pictures that can be resumed, and a declaration that fits the meter."""

from __future__ import annotations

import itertools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evaluate.declaration import read_declaration
from lab.measure.ways import ways_of
from lab.meter import METER_FILE, POSE_NAMES, SIDE, Meter
from lab.paper import parts, pictures
from lab.paper.__main__ import evaluation
from lab.render.portrait import portrait
from miniature.layout import WEIGHTS
from reverse_personalization.assurance.covering import METHODS

WAYS = "capped:2,capped:2:0.5:0,capped:2:0.5:-2:1:opposite"


def plan(faces: int) -> pictures.Plan:
    return pictures.Plan(seed=3, faces=faces, ways=ways_of(WAYS))


def shown(out: Path, *names: str) -> np.ndarray:
    with Image.open(out.joinpath(*names)) as opened:
        return np.asarray(opened).astype(np.float64)


def test_pictures_are_written_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures.write_pictures(plan(2), tmp_path)
    methods = ("capped_2", "capped_2_0.5_0", "capped_2_0.5_-2_1_opposite", *METHODS)
    assert plan(2).methods == methods
    assert sorted(file.name for file in (tmp_path / "results").iterdir()) == sorted(methods)
    for method in methods:
        assert len(list((tmp_path / "results" / method).iterdir())) == 2
    original = shown(tmp_path, "originals", "person-0000.png")
    changed = {method: shown(tmp_path, "results", method, "person-0000.png") for method in methods}
    # Without guidance the picture comes back, but for what the VAE loses.
    assert np.abs(changed["capped_2_0.5_0"] - original).mean() < np.abs(changed["capped_2"] - original).mean()
    # A target is no decoration of the name.
    assert np.abs(changed["capped_2_0.5_-2_1_opposite"] - changed["capped_2"]).mean() > 0.1
    assert (changed["solid"][SIDE // 2, SIDE // 2] == 0).all()
    for method in METHODS:
        assert (changed[method] == original).all(2).any()

    def opened(*_: object) -> None:
        raise AssertionError("everything is there, so no model is needed")

    monkeypatch.setattr(pictures, "Workflow", opened)
    pictures.write_pictures(plan(2), tmp_path)
    with pytest.raises(AssertionError, match="everything is there"):
        pictures.write_pictures(plan(3), tmp_path)
    with pytest.raises(ValueError, match="belongs to another run"):
        pictures.write_pictures(pictures.Plan(4, 2, plan(2).ways), tmp_path)


def test_one_person_is_too_few() -> None:
    with pytest.raises(ValueError, match="expected 2 or more"):
        plan(1)


def test_the_declaration_fits_the_meter(tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    model = parts.write_meter(WEIGHTS, tmp_path)
    declared = read_declaration(model.with_suffix(".json"))
    assert declared.input.size == (SIDE, SIDE)
    picture = portrait(5, 5, SIDE).image
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    image = np.ascontiguousarray(picture.transpose(2, 0, 1)[None], np.float32) / 255
    answers = dict(zip(names, session.run(None, {"image": image}), strict=True))
    reading = Meter(WEIGHTS / METER_FILE).read(picture[None])
    by_name = {output.name: output for output in declared.outputs}
    pose, gaze = (answers["pose"][0][slice(*by_name[name].columns)] for name in ("head pose", "gaze"))
    assert np.concatenate([pose, gaze]) == pytest.approx(reading.pose[0], abs=1e-4)
    assert (*by_name["head pose"].axes, *(f"gaze_{axis}" for axis in by_name["gaze"].axes)) == POSE_NAMES
    male, glasses = (answers["flags"][0][slice(*by_name[name].columns)] for name in ("sex", "glasses"))
    assert (male[0], glasses[0]) == pytest.approx((reading.male[0], reading.glasses[0]), abs=1e-5)
    assert len(by_name["expression"].classes) == answers["expression"].shape[1]
    # The hidden layer: far wider than any output, and rectified.
    assert answers["features"].shape[1] > 50
    assert answers["features"].min() == 0


def test_evaluate_gets_every_method(tmp_path: Path) -> None:
    arguments = evaluation(plan(2), tmp_path)
    results = [one for before, one in itertools.pairwise(arguments) if before == "--results"]
    assert [one.partition("=")[0] for one in results] == list(plan(2).methods)
    assert json.loads((tmp_path / parts.METER).with_suffix(".json").read_text())["name"] == "meter"


def test_another_network_is_no_meter(tmp_path: Path) -> None:
    (tmp_path / METER_FILE).parent.mkdir(parents=True)
    shutil.copy(next((WEIGHTS / "insightface" / "models" / "miniature").glob("genderage.onnx")), tmp_path / METER_FILE)
    with pytest.raises(ValueError, match="slices of one linear layer"):
        parts.write_meter(tmp_path, tmp_path / "out")
    with pytest.raises(FileNotFoundError, match="train the meter first"):
        parts.write_meter(tmp_path / "nothing", tmp_path / "out")
