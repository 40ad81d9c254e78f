"""The whole command: on rendered people with the miniature's models, and on real pictures where they were fetched."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from evaluate.__main__ import arguments_parser, main
from harness.environment import ROOT
from lab.measuring.people import draw_people
from lab.paper import parts
from lab.real.cache import cache
from lab.real.pictures import pictures_of
from miniature.layout import FACE_PACK, JUDGE_PACK, WEIGHTS
from miniature.workflow import SIDE

PEOPLE = 5
SEED = 4711


def save(picture: np.ndarray, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(file)


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    code = main([*map(str, arguments), "--json"])
    printed = capsys.readouterr()
    assert code == 0, printed.err
    figures: dict[str, Any] = json.loads(printed.out.splitlines()[-1])
    return figures


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert main([str(one) for one in arguments]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    return printed.err


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Originals, a gallery, and three methods: nothing, somebody else's picture, and grey without a face."""
    top = tmp_path_factory.mktemp("evaluate")
    people = draw_people(SEED, PEOPLE, SIDE)
    for number in range(PEOPLE):
        name = f"person-{number}.png"
        save(people.pictures[number], top / "originals" / name)
        save(people.gallery[number], top / "gallery" / name)
        save(people.pictures[number], top / "same" / name)
        save(people.gallery[(number + 1) % PEOPLE], top / "swapped" / name)
        if number:
            save(np.full((SIDE, SIDE, 3), 128, np.uint8), top / "grey" / name)
    parts.write_meter(WEIGHTS, top)
    return top


def arguments_for(folder: Path, methods: Sequence[str]) -> list[object]:
    return [
        *("--originals", folder / "originals"),
        *(word for name in methods for word in ("--results", f"{name}={folder / name}")),
        *("--recogniser", WEIGHTS / JUDGE_PACK),
        *("--detector", WEIGHTS / FACE_PACK),
        *("--guide", WEIGHTS / FACE_PACK),
        *("--lowest-score", 0.35),
        *("--out", folder / "report"),
    ]


def test_rendered_people_are_known_again_and_others_are_not(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures = run(
        capsys,
        *arguments_for(folder, ("same", "swapped", "grey")),
        *("--gallery", folder / "gallery"),
        *("--estimator", folder / parts.METER),
    )
    judge = JUDGE_PACK.name
    methods = figures["methods"]
    same, swapped, grey = (methods[name] for name in ("same", "swapped", "grey"))
    assert same == methods["originals"]
    assert same[f"re-identified, {judge}"]["value"] == 1
    assert same[f"cosine, {judge}"]["value"] == pytest.approx(1)
    assert same["meter: age, error"]["value"] == 0
    assert swapped[f"re-identified, {judge}"]["value"] == 0
    assert swapped[f"rank 1, {judge}"]["value"] == 0
    assert swapped["meter: head pose"]["value"] > 1
    assert (grey["no face found"]["value"], grey["no face found"]["count"]) == (1, PEOPLE - 1)
    assert grey[f"re-identified, {judge}"]["value"] is None
    assert figures["pictures"]["unpaired"] == {"grey": ["-person-0"]}
    assert figures["judges"][judge]["pairs"] == PEOPLE * (PEOPLE - 1) // 2 + PEOPLE * (PEOPLE - 1)
    distances = {method: row[0]["frechet"]["value"] for method, row in figures["distributions"].items()}
    assert distances["same"] == pytest.approx(0, abs=1e-3)
    assert distances["same"] < distances["swapped"] < distances["grey"]

    out = folder / "report"
    assert json.loads((out / "evaluation.json").read_text(encoding="utf-8")) == figures
    with (out / "pictures.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 3 * PEOPLE - 1
    assert [row[f"re-identified, {judge}"] for row in rows if row["method"] == "grey"] == [""] * (PEOPLE - 1)
    report = (out / "report.md").read_text(encoding="utf-8")
    assert "| same | 100.0 % [" in report
    assert "1 originals have no result" in report
    assert "personal data" in report
    for name in ("measures", "trade-off", "cosines", "groups"):
        with Image.open(out / f"{name}.png") as plot:
            assert plot.width > 300


def test_the_guide_may_not_judge(folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    # Under another name too.
    copied = tmp_path / "another"
    shutil.copytree(WEIGHTS / FACE_PACK, copied)
    said = refused(capsys, *arguments_for(folder, ("same",)), "--recogniser", copied)
    assert 'the checker "another" has the same recogniser as the guide' in said
    said = refused(capsys, *arguments_for(folder, ("same",)), "--recogniser", WEIGHTS / JUDGE_PACK)
    assert "are one file" in said


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (["--false-match-rate", "0"], "expected a share between 0 and 1"),
        (["--detector", "no such pack"], 'the model "no such pack" was not found'),
        (["--estimator", "absent.onnx"], "absent.json is missing"),
        (["--published", "pyproject.toml"], "pyproject.toml cannot be used"),
    ],
)
def test_what_cannot_be_used_is_named(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, changed: list[str], said: str
) -> None:
    monkeypatch.chdir(ROOT)
    assert said in refused(capsys, *arguments_for(folder, ("same",)), *changed)


def test_a_declaration_that_does_not_fit_its_model_is_named(
    folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    model = tmp_path / "meter.onnx"
    shutil.copy(folder / parts.METER, model)
    content = parts.declaration()
    content["outputs"] = [{"name": "age", "kind": "regression", "unit": "years", "from": ["years"]}]
    model.with_suffix(".json").write_text(json.dumps(content), encoding="utf-8")
    said = refused(capsys, *arguments_for(folder, ("same",)), "--estimator", model)
    assert "has no output years" in said
    assert "expression" in said
    content["outputs"][0]["from"] = ["pose"]
    model.with_suffix(".json").write_text(json.dumps(content), encoding="utf-8")
    said = refused(capsys, *arguments_for(folder, ("same",)), "--estimator", model)
    assert '"age" (regression) has 5 numbers; its declaration needs 1' in said


def test_the_help_and_the_page_name_every_option() -> None:
    page = (ROOT / "docs" / "paper.md").read_text(encoding="utf-8")
    options = [
        text for action in arguments_parser()._actions for text in action.option_strings if text.startswith("--")
    ]
    assert len(options) > 10
    assert [option for option in options if option not in page and option != "--help"] == []


@pytest.mark.skipif(bool(cache().missing()), reason="python -m lab.real fetch has not run")
def test_real_pictures_with_real_models(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One large face a picture; as results the same, smaller; somebody else's; and the face painted over."""
    shown = [one for one in pictures_of("people") if len(one.faces) == 1 and one.complete and one.faces[0].side > 100]
    shown = [one for one in shown if not (one.faces[0].person or one.faces[0].note)][:6]
    assert len(shown) >= 4
    for number, one in enumerate(shown):
        pixels, name = one.pixels(), f"{number}.png"
        x0, y0, x1, y1 = map(round, one.faces[0].box)
        hidden = pixels.copy()
        hidden[max(0, y0) : y1, max(0, x0) : x1] = 0
        small = Image.fromarray(pixels).resize((pixels.shape[1] * 3 // 4, pixels.shape[0] * 3 // 4))
        save(pixels, tmp_path / "originals" / name)
        save(pixels, tmp_path / "swapped" / f"{(number + 1) % len(shown)}.png")
        save(np.asarray(small), tmp_path / "small" / name)
        save(hidden, tmp_path / "hidden" / name)
    figures = run(
        capsys,
        *("--originals", tmp_path / "originals"),
        *(word for name in ("small", "swapped", "hidden") for word in ("--results", f"{name}={tmp_path / name}")),
        *("--recogniser", cache().checker),
        *("--detector", cache().detector.parent),
        *("--guide", cache().detector.parent),
        *("--out", tmp_path / "report"),
    )
    measured, judge = figures["methods"], cache().checker.name
    assert measured["originals"]["no face found"]["value"] == 0
    assert measured["small"][f"re-identified, {judge}"]["value"] == 1
    assert measured["swapped"][f"re-identified, {judge}"]["value"] == 0
    assert measured["small"][f"cosine, {judge}"]["value"] > measured["swapped"][f"cosine, {judge}"]["value"] + 0.2
    assert measured["hidden"]["no face found"]["value"] > 0.5
