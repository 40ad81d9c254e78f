"""The thresholds that the miniature's packs ship."""

from __future__ import annotations

import json

import pytest

from harness.environment import ROOT
from reverse_personalization.assurance.operating_point import pack_threshold


def test_the_miniatures_thresholds_are_those_that_were_measured():
    weights = ROOT / "miniature" / "weights"
    for part_name, pack_name in (("recogniser", "miniature"), ("judge", "miniature-judge")):
        figures = json.loads((weights / "manifests" / f"{part_name}.json").read_text(encoding="utf-8"))["figures"]
        measured = max(figures[colour]["threshold"] for colour in ("colour", "grey"))
        folder = weights / "insightface" / "models" / pack_name
        assert pack_threshold(folder) == pytest.approx(measured, abs=1e-4)
