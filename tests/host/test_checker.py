"""Opening a checker: of any width, with the threshold that is known for it, and not one that is blind."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import numpy as np
import onnx
import pytest

from harness.in_process import part
from tests import fake_insight
from tests.checking import AFTER, BEFORE, statuses
from tests.face_embedding import images

RIGHT_NAMES = ("Sub_scaling", "Mul_scaling")
"""From these names InsightFace guesses that a file scales its pixels by itself."""


@pytest.fixture
def checker(pack):
    return part("host.checker")


def save(folder, name, model):
    onnx.save(model, str(folder / name))
    return name


@pytest.mark.parametrize("width", [64, 128, 256, 400])
def test_a_checker_may_have_any_width(check, packs_folder, width):
    name = save(packs_folder, "some.onnx", fake_insight.pattern_recogniser(width))
    assert statuses(check(images(BEFORE), images(BEFORE), checker=name)) == [["recognisable"]]


def test_only_the_guide_needs_512(insight, fake_pack):
    save(fake_pack, "recognition.onnx", fake_insight.pattern_recogniser(128))
    assert insight.load_pack("fake", "CPU", 0.1).recogniser.kind.width == 128
    with pytest.raises(FileNotFoundError, match=r"has no face recogniser(.|\n)*112x112 -> 128(.|\n)*512 outputs"):
        insight.load_pack("fake", "CPU", 0.1, 512)
    save(fake_pack, "second.onnx", fake_insight.recogniser())
    assert insight.load_pack("fake", "CPU", 0.1, 512).recogniser.file.name == "second.onnx"


def test_a_pack_of_another_width_can_check(check, judge_pack):
    save(judge_pack, "recognition.onnx", fake_insight.pattern_recogniser(128))
    assert statuses(check(images(BEFORE), images(BEFORE))) == [["recognisable"]]


def test_where_the_threshold_comes_from_is_said(checker, check, packs_folder, judge_pack, monkeypatch):
    def opened(name, threshold=0.0):
        judge = checker.open_checker(name, "CPU", threshold, 0.1, "fake")
        return judge.thresholds.at_one_place, judge.thresholds.between_places, judge.threshold_source

    save(packs_folder, "single.onnx", fake_insight.recogniser(other=True))
    for name in ("judge", "single.onnx"):
        assert opened(name) == (0.25, 0.2, "unmeasured")
        assert opened(name, 0.3) == (0.3, 0.3, "set by hand")
    beside = {"threshold": 0.4, "false_match_rate": 0.001, "measured_on": "squares"}
    (judge_pack / "verification.json").write_text(json.dumps(beside))
    assert opened("judge") == (pytest.approx(0.3), 0.4, "measured")
    assert opened("single.onnx")[2] == "unmeasured"
    (packs_folder / "single.onnx.verification.json").write_text(json.dumps(beside))
    assert opened("single.onnx") == (pytest.approx(0.3), 0.4, "measured")
    (packs_folder / "single.onnx.verification.json").unlink()
    published = part("reverse_personalization.assurance.published")
    digest = hashlib.sha256((packs_folder / "single.onnx").read_bytes()).hexdigest()
    known = replace(published.PUBLISHED[0], sha256=digest, threshold=0.35)
    monkeypatch.setattr(published, "PUBLISHED", (known,))
    assert opened("single.onnx") == (0.35, 0.35, "published")
    output = check(images(BEFORE), images(AFTER), checker="single.onnx")
    assert output.result[0].threshold_source == "published"
    assert output.result[1].startswith(
        "single.onnx on CPUExecutionProvider, recognisable at or above 0.35 (published threshold)"
    )
    assert output.ui["comparison"][0]["threshold_source"] == "published threshold"


def test_who_sees_one_person_in_everything_is_refused(check, packs_folder):
    name = save(packs_folder, "blind.onnx", fake_insight.constant(112, np.ones(256, np.float32)))
    with pytest.raises(ValueError, match=r'"blind\.onnx" says 0\.9 or more .*damaged or was converted wrongly'):
        check(images(BEFORE), images(AFTER), checker=name)


def test_a_wrong_guess_of_the_input_is_refused_with_the_reason(check, packs_folder):
    """The same graph under two names: with the one InsightFace feeds it pixels, with the other values near 0."""
    named = save(packs_folder, "named.onnx", fake_insight.pattern_recogniser(256, True, RIGHT_NAMES))
    assert statuses(check(images(BEFORE), images(BEFORE), checker=named)) == [["recognisable"]]
    renamed = save(packs_folder, "renamed.onnx", fake_insight.pattern_recogniser(256, True, ("first", "second")))
    with pytest.raises(ValueError, match=r"input scaled in the other usual way it does better: InsightFace guesses"):
        check(images(BEFORE), images(AFTER), checker=renamed)


def test_the_other_scaling_is_what_the_other_names_get(checker, insight, packs_folder, fake_pack):
    picture = np.ascontiguousarray((BEFORE[..., ::-1] * 255).round().astype(np.uint8))
    detecting = insight.load_pack("fake", "CPU", 0.1)
    [face] = detecting.search(picture, 160)

    def opened(*names):
        name = save(packs_folder, f"{names[0]}.onnx", fake_insight.pattern_recogniser(256, True, names))
        return checker.open_recogniser(name, "CPU", 0.1, detecting)

    right, wrong = opened(*RIGHT_NAMES), opened("first", "second")
    for guessed, other in ((right, wrong), (wrong, right)):
        np.testing.assert_allclose(
            guessed.rescaled().embedding(picture, face), other.embedding(picture, face), atol=1e-4
        )
        np.testing.assert_allclose(
            guessed.rescaled().rescaled().embedding(picture, face), guessed.embedding(picture, face)
        )
    assert np.abs(right.embedding(picture, face) - wrong.embedding(picture, face)).max() > 0.1
