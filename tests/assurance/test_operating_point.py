"""Where thresholds come from: measured, published, unmeasured."""

from __future__ import annotations

import json
import re

import pytest

from harness.environment import ROOT
from reverse_personalization.assurance.calibration import calibrate
from reverse_personalization.assurance.operating_point import (
    CAUTIOUS_AT_ONE_PLACE,
    CAUTIOUS_BETWEEN_PLACES,
    STRICTER,
    known_thresholds,
    operating_point_file,
    pack_threshold,
    threshold_words,
)
from reverse_personalization.assurance.published import PUBLISHED, published_threshold
from tests.assurance.known_people import people

SHA256 = "ab" * 32


def test_the_miniatures_thresholds_are_those_that_were_measured():
    weights = ROOT / "miniature" / "weights"
    for part_name, pack_name in (("recogniser", "miniature"), ("judge", "miniature-judge")):
        figures = json.loads((weights / "manifests" / f"{part_name}.json").read_text(encoding="utf-8"))["figures"]
        measured = max(figures[colour]["threshold"] for colour in ("colour", "grey"))
        folder = weights / "insightface" / "models" / pack_name
        assert pack_threshold(folder) == pytest.approx(measured, abs=1e-4)


def test_one_of_a_single_alignment_is_lowered_at_one_place(tmp_path):
    file = operating_point_file(tmp_path / "recognition.onnx", single=False)
    assert file.name == "verification.json"
    file.write_text(json.dumps({"threshold": 0.4, "false_match_rate": 0.001, "measured_on": "squares"}))
    known = known_thresholds(file, SHA256)
    assert (known.at_one_place, known.between_places, known.source) == (STRICTER * 0.4, 0.4, "measured")


def test_without_one_the_published_counts_and_without_that_a_cautious_one(tmp_path):
    nowhere = tmp_path / "face.onnx.verification.json"
    for one in PUBLISHED:
        known = known_thresholds(nowhere, one.sha256)
        assert (known.at_one_place, known.source) == (one.threshold, "published")
    unmeasured = known_thresholds(nowhere, SHA256)
    assert (unmeasured.at_one_place, unmeasured.between_places) == (CAUTIOUS_AT_ONE_PLACE, CAUTIOUS_BETWEEN_PLACES)
    assert unmeasured.source == "unmeasured"
    assert threshold_words("unmeasured") == "unmeasured threshold"


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({"comparison": "best of three alignments"}, "measured for the comparison"),
        ({"recogniser_sha256": "cd" * 32}, "measured for another recogniser"),
        ({"version": 3}, "version 3"),
        ({"at_one_place": 1.2}, "threshold 1.2"),
        ({"between_places": 0}, "threshold 0"),
        ({"between_places": None}, "TypeError"),
    ],
)
def test_one_of_something_else_is_refused(tmp_path, changed, found):
    file = tmp_path / "verification.json"
    made = json.loads(calibrate(people(30), recogniser_sha256=SHA256).as_json())
    file.write_text(json.dumps(made))
    assert known_thresholds(file, SHA256).source == "measured"
    file.write_text(json.dumps({**made, **changed}))
    with pytest.raises(ValueError, match=rf"cannot be used \(.*{found}.*Calibrate again"):
        known_thresholds(file, SHA256)


def test_every_published_threshold_has_its_sources():
    assert len({one.sha256 for one in PUBLISHED}) == len(PUBLISHED)
    for one in PUBLISHED:
        assert re.fullmatch("[0-9a-f]{64}", one.sha256)
        assert 0 < one.threshold < 1
        assert all((one.file, one.chosen, one.threshold_source, one.file_source))
        assert published_threshold(one.sha256) == one.threshold
    # Nobody states one for antelopev2: whoever finds a source adds it.
    assert published_threshold(SHA256) is None
