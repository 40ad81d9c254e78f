"""CelebA-HQ and FFHQ are listed as they are distributed, and batches are paired by the names of their inputs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evaluate.datasets import main, number_of
from evaluate.pairing import read_people, read_pictures
from evaluate.places import listed, named_pictures


@pytest.fixture
def celeba(tmp_path: Path) -> Path:
    """A copy of CelebA-HQ with four pictures of three people, and CelebA's file of identities."""
    root = tmp_path / "CelebAMask-HQ"
    (root / "CelebA-HQ-img").mkdir(parents=True)
    for number in (0, 2, 10, 29_999):
        (root / "CelebA-HQ-img" / f"{number}.jpg").touch()
    names = ("000005.jpg", "000007.jpg", "000001.jpg", "000009.jpg")
    lines = [f"{number} {i} {name}" for i, (number, name) in enumerate(zip((0, 2, 10, 29_999), names, strict=True))]
    (root / "CelebA-HQ-to-CelebA-mapping.txt").write_text("\n".join(["idx orig_idx orig_file", *lines]))
    (tmp_path / "identity_CelebA.txt").write_text("000001.jpg 7\n000005.jpg 3\n000007.jpg 7\n000009.jpg 1\n")
    return root


def test_the_pictures_of_a_test_set_are_listed_with_their_people(celeba: Path, tmp_path: Path) -> None:
    chosen = tmp_path / "nullface"
    chosen.mkdir()
    for name in ("00010-00010.png", "00000.png", "02.jpg"):
        (chosen / name).touch()
    arguments = ["--only", str(chosen), "--list", str(tmp_path / "list.txt"), "--people", str(tmp_path / "people.csv")]
    identities = ["--identities", str(tmp_path / "identity_CelebA.txt")]
    assert main(["celeba-hq", str(celeba), *arguments, *identities]) == 0
    assert [file.name for file in listed(tmp_path / "list.txt")] == ["0.jpg", "2.jpg", "10.jpg"]
    assert read_people(tmp_path / "people.csv") == {"0": "3", "2": "7", "10": "7"}


def test_ffhq_lies_in_folders_of_a_thousand(tmp_path: Path) -> None:
    for file in ("00000/00000.png", "00000/00999.png", "69000/69999.png"):
        path = tmp_path / "ffhq" / "images1024x1024" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "numbers.txt").write_text("69999\n\n0\n")
    target = tmp_path / "list.txt"
    assert main(["ffhq", str(tmp_path / "ffhq"), "--list", str(target)]) == 0
    assert len(listed(target)) == 3
    assert main(["ffhq", str(tmp_path / "ffhq"), "--only", str(tmp_path / "numbers.txt"), "--list", str(target)]) == 0
    assert [file.stem for file in listed(target)] == ["00000", "69999"]


@pytest.mark.parametrize(
    ("only", "said"),
    [("7\n", "lacks, such as 7"), ("0\nnotes\n", "begins with no number"), ("", "begins with no number")],
)
def test_a_test_set_that_does_not_fit_is_refused(celeba: Path, tmp_path: Path, capsys, only: str, said: str) -> None:
    (tmp_path / "only.txt").write_text(only)
    target = tmp_path / "list.txt"
    assert main(["celeba-hq", str(celeba), "--only", str(tmp_path / "only.txt"), "--list", str(target)]) == 1
    assert said in capsys.readouterr().err
    assert not target.exists()


@pytest.mark.parametrize(
    ("file", "said"),
    [("30000.jpg", "from 0 to 29999"), ("cover.jpg", "is no picture of this"), ("00002.png", "one number")],
)
def test_a_folder_that_holds_something_else_is_refused(
    celeba: Path, tmp_path: Path, capsys, file: str, said: str
) -> None:
    (celeba / "CelebA-HQ-img" / file).touch()
    assert main(["celeba-hq", str(celeba), "--list", str(tmp_path / "list.txt")]) == 1
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("mapping", "identities", "said"),
    [
        ("idx orig_idx orig_file\n0 0 000005.jpg\n", "000001.jpg 3\n", "does not say who is in 000005.jpg"),
        ("idx orig_idx orig_file\n0 0 000005.jpg\n", "000005.jpg 3\n", "lacks 3 pictures, such as 2"),
        ("idx orig_idx orig_file\n0 000005.jpg\n", "000005.jpg 3\n", 'the line "0 000005.jpg"; expected'),
        ("idx orig_idx orig_file\nx 0 000005.jpg\n", "000005.jpg 3\n", '"x" where a number'),
    ],
)
def test_people_who_are_not_known_are_named(
    celeba: Path, tmp_path: Path, capsys, mapping: str, identities: str, said: str
) -> None:
    (celeba / "CelebA-HQ-to-CelebA-mapping.txt").write_text(mapping)
    (tmp_path / "identity_CelebA.txt").write_text(identities)
    files = {"--list": "list.txt", "--identities": "identity_CelebA.txt", "--people": "people.csv"}
    options = [text for option, name in files.items() for text in (option, str(tmp_path / name))]
    assert main(["celeba-hq", str(celeba), *options]) == 1
    assert said in capsys.readouterr().err
    assert not (tmp_path / "people.csv").exists()


def test_a_name_begins_with_its_number() -> None:
    assert [number_of(stem) for stem in ("42", "00042", "00042-00042", "img42")] == [42, 42, 42, None]


def test_a_batch_is_paired_by_the_names_of_its_inputs(tmp_path: Path) -> None:
    originals, made = tmp_path / "originals", tmp_path / "made"
    for folder, names in ((originals, ("7.jpg", "8.jpg", "9.jpg")), (made, ("a.png", "b.png"))):
        folder.mkdir()
        for name in names:
            (folder / name).touch()
    entries = [
        {"input": str(originals / "7.jpg"), "output": "a.png", "removed": False},
        {"input": "shard.tar::x/9.jpg", "output": "b.png", "removed": False},
        {"input": str(originals / "8.jpg"), "output": None, "removed": False},
        {"input": "gone/5.jpg", "output": "a.png", "removed": True},
    ]
    manifest = made / "manifest.jsonl"
    manifest.write_text("".join(f"{json.dumps(entry)}\n" for entry in entries))
    found = read_pictures(originals, {"Ours": manifest})
    assert {stem: file.name for stem, file in found.results["Ours"].items()} == {"7": "a.png", "9": "b.png"}
    assert found.unpaired == {"Ours": ("-8",)}


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("m.jsonl", "{\n", "line 1 is not JSON"),
        ("m.jsonl", '{"input": "a"}\n', 'line 1 lacks "input" or "output"'),
        ("m.jsonl", "[1]\n", 'lacks "input" or "output"'),
        ("list.txt", "missing.png\n", "line 1: missing.png is no picture that is there"),
    ],
)
def test_a_list_that_is_none_is_refused(tmp_path: Path, name: str, text: str, said: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=said):
        named_pictures(tmp_path / name)
