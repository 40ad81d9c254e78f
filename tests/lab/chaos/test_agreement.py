"""A photograph gets the same bytes alone, in the batch, on the second server and through Ray."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from harness.workflow import read_shipped, with_inputs
from lab.chaos.agreement import ALONE, RAY, SECOND, agree, as_table, measure
from miniature.workflow import DEFAULT_SCALE, on_miniature

A, B = ("a" * 64, "1" * 64), ("b" * 64, "2" * 64)


def test_ways_agree_if_pictures_and_reports_are_equal() -> None:
    assert agree({ALONE: {"0.png": A, "1.png": B}, RAY: {"1.png": B, "0.png": A}})
    assert not agree({ALONE: {"0.png": A}, RAY: {"0.png": (A[0], B[1])}})
    assert not agree({ALONE: {"0.png": A}, RAY: {}})
    # Two photographs with one result are no agreement.
    assert not agree({ALONE: {"0.png": A, "1.png": A}})


def test_the_table_begins_every_sum() -> None:
    made = as_table({ALONE: {"0.png": A, "1.png": B}})
    assert "| way " in made
    assert "aaaaaaaaaaaa 111111111111" in made
    assert "bbbbbbbbbbbb 222222222222" in made


@pytest.mark.server
def test_a_photograph_gets_the_same_bytes_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: python -m pip install ray")
    quick = with_inputs(
        on_miniature(read_shipped("group-photo")),
        FaceEmbed={"det_size": 256, "search_turned": False},
        ReverseIdentityEditRetry={"scales": f"{DEFAULT_SCALE:g}"},
        ReverseIdentityCheck={"det_size": 256, "second_search": False},
    )
    # Paths of Ray's sockets have at most 107 characters, too few for a folder of pytest's.
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        monkeypatch.setenv("RAY_TMPDIR", folder)
        found = measure(tmp_path, 1, 1, (ALONE, SECOND, RAY), quick)
    assert list(found) == [ALONE, SECOND, RAY]
    assert agree(found), as_table(found)
