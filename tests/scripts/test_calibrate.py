"""The command that calibrates: its pictures, and the whole of it as users have it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from harness.comfyui import comfyui_folder
from reverse_personalization.assurance.operating_point import known_thresholds
from scripts import calibrate, package
from tests import fake_insight

SIDE, SQUARE = 120, 64


@pytest.fixture
def pictures(tmp_path):
    """A function that writes empty files, relative to a folder, and returns the folder."""

    def made(*names):
        folder = tmp_path / "pictures"
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).touch()
        return folder

    return made


def who(found, folder):
    return [(shown.file.relative_to(folder).as_posix(), shown.person) for shown in found.shown]


def test_a_picture_is_a_person_and_so_is_a_folder(pictures):
    folder = pictures("b.JPG", "a/2.png", "a/1.webp", "c.jpeg", "notes.txt", "d/notes.txt")
    found = calibrate.read_pictures([folder])
    assert who(found, folder) == [("a/1.webp", 0), ("a/2.png", 0), ("b.JPG", 1), ("c.jpeg", 2)]
    assert found.pairs is None
    assert who(calibrate.read_pictures([folder / "a" / "2.png", folder / "c.jpeg"]), folder) == [
        ("a/2.png", 0),
        ("c.jpeg", 1),
    ]


def test_pairs_say_who_is_one_person(pictures):
    folder = pictures("1.png", "2.png", "3.png", "4.png")
    file = folder / "pairs.csv"
    file.write_text("1.png, 2.png, 1\n\n2.png,3.png,1\n1.png,4.png,0\n")
    found = calibrate.read_pictures([file])
    assert [shown.file.name for shown in found.shown] == ["1.png", "2.png", "3.png", "4.png"]
    first, second, third, fourth = (shown.person for shown in found.shown)
    assert first == second == third != fourth
    assert found.pairs == [(0, 1), (1, 2), (0, 3)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1.png,2.png", "line 1: 1.png,2.png; expected one picture, another picture, 1 or 0"),
        ("1.png,2.png,0\n1.png,3.png,yes", "line 2"),
        ("1.png,2.png,1\n2.png,3.png,1\n1.png,3.png,0", "are two people in one line and one in others"),
    ],
)
def test_a_line_that_is_no_pair_is_named(pictures, text, said):
    file = pictures("1.png") / "pairs.csv"
    file.write_text(text)
    with pytest.raises(ValueError, match=said):
        calibrate.read_pictures([file])


def test_what_is_no_picture_is_refused(pictures):
    folder = pictures("notes.txt")
    with pytest.raises(ValueError, match=r"no picture in .*expected files ending in \.bmp"):
        calibrate.read_pictures([folder])
    with pytest.raises(ValueError, match=r"notes\.txt is no folder and no picture"):
        calibrate.read_pictures([folder / "notes.txt"])


def test_comfyui_is_where_it_is_said_to_be_or_where_the_pack_is(tmp_path, monkeypatch):
    monkeypatch.delenv("COMFYUI", raising=False)
    with pytest.raises(FileNotFoundError, match=r"name its folder with --comfyui"):
        calibrate.comfyui_folder(tmp_path)
    (tmp_path / "folder_paths.py").touch()
    assert calibrate.comfyui_folder(tmp_path) == tmp_path
    monkeypatch.setenv("COMFYUI", str(tmp_path))
    assert calibrate.comfyui_folder(None) == tmp_path
    monkeypatch.delenv("COMFYUI")
    monkeypatch.setattr(calibrate, "ROOT", tmp_path / "custom_nodes" / "pack")
    assert calibrate.comfyui_folder(None) == tmp_path


def person(number: int) -> np.ndarray:
    """A picture of a cyan square whose pattern is one person's."""
    rng = np.random.default_rng(number)
    picture = np.full((SIDE, SIDE, 3), 0.2)
    pattern = np.kron(rng.uniform(0, 0.3, (8, 8, 3)), np.ones((SQUARE // 8, SQUARE // 8, 1)))
    left, top = 20 + number % 3, 30
    picture[top : top + SQUARE, left : left + SQUARE] = np.abs(np.array(fake_insight.COLOURS["cyan"]) - pattern)
    return (255 * picture).round().astype(np.uint8)


def test_users_calibrate_with_what_the_registry_gives_them(tmp_path):
    """Nothing but the package's files and ComfyUI; too few people leave what is there as it is."""
    installed, folder = tmp_path / "custom_nodes" / "pack", tmp_path / "people"
    package.lay_out(installed)
    folder.mkdir()
    for number in range(30):
        Image.fromarray(person(number)).save(folder / f"person {number}.png")
    (folder / "nobody.png").write_bytes((folder / "person 0.png").read_bytes())
    Image.fromarray(np.zeros((SIDE, SIDE, 3), np.uint8)).save(folder / "nobody.png")
    packs = tmp_path / "models"
    good = fake_insight.write(
        packs / "good", detection=fake_insight.detector(), recognition=fake_insight.pattern_recogniser(300)
    )

    def run(*arguments):
        return subprocess.run(
            [sys.executable, "-W", "ignore", str(installed / "scripts" / "calibrate.py"), *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            env={**os.environ, "COMFYUI": str(comfyui_folder())},
        )

    finished = run(good, folder)
    assert finished.returncode == 0, finished.stderr
    assert "left out: " in finished.stderr
    assert "nobody.png: no face was found" in finished.stderr
    written = good / "verification.json"
    assert "30 people\n" in finished.stdout
    assert f"written: {written}" in finished.stdout
    content = json.loads(written.read_text())
    known = known_thresholds(written, content["recogniser_sha256"])
    assert known.source == "measured"
    assert content["spoilt"]["share"] == 1
    assert content["strangers"]["pairs"] == 30 * 29 // 2
    assert "person" not in written.read_text()

    refused = run(good, *sorted(folder.iterdir())[1:4], "--dry-run")
    assert refused.returncode == 1
    assert "error: the pictures show 3 people" in refused.stderr
    assert json.loads(written.read_text()) == content
