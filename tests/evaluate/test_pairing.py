"""Which pictures belong together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from evaluate.pairing import read_methods, read_people, read_pictures


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Path]:
    """A function that makes a folder with empty files."""

    def made(name: str, *files: str) -> Path:
        (tmp_path / name).mkdir()
        for file in files:
            (tmp_path / name / file).touch()
        return tmp_path / name

    return made


def test_files_are_paired_by_stem_and_the_others_are_named(folder: Callable[..., Path]) -> None:
    originals = folder("o", "10.png", "9.jpg", "8.png", "notes.txt")
    found = read_pictures(originals, {"A": folder("a", "9.png", "8.png", "x.png")}, folder("g", "9.png", "y.png"))
    assert list(found.originals) == ["8", "9", "10"]
    assert {stem: file.name for stem, file in found.results["A"].items()} == {"8": "8.png", "9": "9.png"}
    assert found.unpaired == {"A": ("x", "-10"), "gallery": ("y",)}
    assert found.people["9"] == "9"


def test_two_pictures_of_one_stem_are_refused(folder: Callable[..., Path]) -> None:
    with pytest.raises(ValueError, match=r"1\.jpg and 1\.png in .* have one stem"):
        read_pictures(folder("o", "1.png", "1.jpg"), {})


def test_a_method_without_any_original_is_refused(folder: Callable[..., Path]) -> None:
    with pytest.raises(ValueError, match="has the name of an original, such as 1;"):
        read_pictures(folder("o", "1.png"), {"A": folder("a", "2.png")})
    with pytest.raises(ValueError, match="has no picture"):
        read_pictures(folder("empty"), {})


def test_a_file_says_who_is_in_several_pictures(folder: Callable[..., Path], tmp_path: Path) -> None:
    originals, gallery, people = folder("o", "1.png", "2.png"), folder("g", "3.png"), tmp_path / "people.csv"
    people.write_text("1, ann\n2,ann\n\n3,bo\n", encoding="utf-8")
    found = read_pictures(originals, {"A": originals}, gallery, people)
    assert found.people == {"1": "ann", "2": "ann", "3": "bo"}
    assert found.unpaired == {"gallery": ("3",)}
    people.write_text("1,ann\n2,ann\n", encoding="utf-8")
    with pytest.raises(ValueError, match="does not say who is in 1 pictures, such as 3"):
        read_pictures(originals, {"A": originals}, gallery, people)


@pytest.mark.parametrize(("text", "said"), [("1,a\n2\n", "line 2"), ("1,a\n1,b", "line 2.*twice"), ("1,", "line 1")])
def test_a_line_without_stem_and_person_is_named(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "people.csv"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=said):
        read_people(file)


def test_methods_have_names() -> None:
    assert read_methods(["A=x/y", "B=z=1"]) == {"A": Path("x/y"), "B": Path("z=1")}
    for wrong, said in ((["x/y"], "NAME=PLACE"), (["A=x", "A=y"], 'called "A"'), (["originals=x"], "cannot be called")):
        with pytest.raises(ValueError, match=said):
            read_methods(wrong)
