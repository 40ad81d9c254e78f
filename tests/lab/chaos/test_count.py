"""What a broken batch has lost, doubled, cut short or left behind is counted."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from batch.codes import BLOCKED, COVERED, FAILED
from lab.chaos.count import Count, count
from lab.chaos.page import as_page
from lab.chaos.photographs import write_photographs

EXPECTED = {"a.jpg": COVERED, "b.jpg": COVERED, "c.jpg": BLOCKED}


@pytest.fixture
def batch(tmp_path: Path) -> Any:
    """A batch that ended well: its folders, and the manifest's entries, which `counted` writes."""
    inputs, results = tmp_path / "in", tmp_path / "out"
    inputs.mkdir()
    results.mkdir()
    entries = []
    for number, (name, status) in enumerate(EXPECTED.items(), start=1):
        (inputs / name).write_bytes(name.encode())
        entry: dict[str, Any] = {"input": f"/in/{name}", "status": status, "code": "", "sentence": ""}
        if status == COVERED:
            picture = results / f"anonymised-{number:06}.png"
            Image.fromarray(np.full((8, 8, 3), number, np.uint8)).save(picture)
            sha256 = hashlib.sha256(picture.read_bytes()).hexdigest()
            picture.with_suffix(".json").write_text(json.dumps({"file": {"sha256": sha256}}), encoding="utf-8")
            entry |= {"output": picture.name, "report": picture.with_suffix(".json").name, "sha256": sha256}
        entries.append(entry)
    return SimpleNamespace(inputs=inputs, results=results, entries=entries)


def counted(batch: Any, **left: int) -> Count:
    lines = "".join(json.dumps(entry) + "\n" for entry in batch.entries)
    (batch.results / "manifest.jsonl").write_text(lines, encoding="utf-8")
    backend: Any = SimpleNamespace(left=lambda: {"files": 0, **left})
    return count(batch.results, batch.inputs, EXPECTED, [backend])


def figures(found: Count) -> tuple[int, ...]:
    return found.lost, found.doubled, found.truncated, found.left_on_servers, found.wrong


def test_nothing_is_wrong_with_a_batch_that_ended_well(batch):
    found = counted(batch)
    assert figures(found) == (0, 0, 0, 0, 0)
    assert set(found.results) == {"a.jpg", "b.jpg"}
    assert found.notes == ()


def test_an_input_without_entry_and_one_without_result_are_lost(batch):
    del batch.entries[2]
    (batch.results / batch.entries[0]["output"]).unlink()
    assert figures(counted(batch)) == (2, 0, 0, 0, 0)


def test_two_entries_a_stray_picture_and_an_unfinished_file_are_doubled(batch):
    batch.entries.append(batch.entries[0])
    (batch.results / "anonymised-000009.png").write_bytes(b"")
    (batch.results / ".unfinished.part").write_bytes(b"")
    assert figures(counted(batch))[:2] == (0, 3)


def test_a_result_that_strangers_share_is_doubled(batch):
    batch.entries[1] |= {key: batch.entries[0][key] for key in ("output", "report", "sha256")}
    found = counted(batch)
    # And the picture and the report that belonged to the second.
    assert found.doubled == 3
    assert any("is the result of 2 photographs" in note for note in found.notes)


@pytest.mark.parametrize("what", ["half a picture", "another report", "no report"])
def test_files_that_are_not_what_the_manifest_says_are_cut_short(batch, what):
    picture = batch.results / batch.entries[0]["output"]
    if what == "half a picture":
        picture.write_bytes(picture.read_bytes()[:40])
    elif what == "another report":
        picture.with_suffix(".json").write_text(json.dumps({"file": {"sha256": "0" * 64}}), encoding="utf-8")
    else:
        picture.with_suffix(".json").unlink()
    assert figures(counted(batch)) == (0, 0, 1, 0, 0)


def test_what_is_on_servers_and_other_statuses_count(batch):
    batch.entries[2]["status"] = FAILED
    found = counted(batch, photographs=2, history=1)
    assert figures(found) == (0, 0, 0, 3, 1)
    assert "server 0 still has 2 photographs" in found.notes


def test_the_photographs_of_a_run_say_what_must_become_of_them(tmp_path):
    expected = write_photographs(tmp_path / "photographs", 3, 22)
    assert sorted(expected) == sorted(path.name for path in (tmp_path / "photographs").iterdir())
    assert set(expected.values()) == {COVERED, BLOCKED, FAILED}
    contents = [path.read_bytes() for path in (tmp_path / "photographs").iterdir()]
    assert len(set(contents)) == len(contents) - 2, "two are copies"


def test_the_page_has_a_row_for_each_run_and_the_sums():
    keys = ("lost", "doubled", "truncated", "left_on_servers", "wrong", "changed")
    row = {"run": 0, "fault": "disk full", "strikes": 2, "resumes": 1, **dict.fromkeys(keys, 0)}
    page = as_page([row], {"runs": 1, "photos": 5, **dict.fromkeys(keys, 0)}, 7)
    assert "| 0 | disk full | 2 | 1 | 0 | 0 | 0 | 0 | 0 | 0 |" in page
    assert "python -m lab.chaos --runs 1 --photos 5 --seed 7" in page
