"""Which photographs the command line names: files, folders, patterns, lists and shards."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import pytest

from batch.inputs import InputError, find
from tests.batch.fake_server import photograph, write_photographs

NOWHERE = Path("/nowhere")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("10.png", "2.JPG", "notes.txt", ".hidden.png", "deep/er/1.heic", ".git/1.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    return tmp_path


def names(folder: Path, *given: str, without: Path = NOWHERE) -> list[str]:
    return [os.path.relpath(source.path, folder) for source in find(given, without)]


def test_a_folder_is_searched_in_the_order_of_numbers(folder) -> None:
    assert names(folder, str(folder)) == ["2.JPG", "10.png", "deep/er/1.heic"]


def test_results_are_no_photographs(folder) -> None:
    assert names(folder, str(folder), without=folder / "deep") == ["2.JPG", "10.png"]


def test_a_file_that_is_named_counts_whatever_its_name(folder) -> None:
    assert names(folder, str(folder / "notes.txt")) == ["notes.txt"]


def test_what_is_named_twice_counts_once(folder) -> None:
    assert names(folder, str(folder / "2.JPG"), str(folder), str(folder / "deep" / ".." / "2.JPG")) == [
        "2.JPG",
        "10.png",
        "deep/er/1.heic",
    ]


def test_patterns_find_photographs(folder) -> None:
    assert names(folder, f"{folder}/*") == ["2.JPG", "10.png", "deep/er/1.heic"]
    assert names(folder, f"{folder}/**/*.heic") == ["deep/er/1.heic"]


def test_a_file_whose_name_is_a_pattern_is_that_file(folder) -> None:
    (folder / "[1].png").write_bytes(b"")
    assert names(folder, str(folder / "[1].png")) == ["[1].png"]


def test_a_list_names_paths_from_its_folder(folder) -> None:
    listing = folder / "list.txt"
    listing.write_text(f"10.png\n\n  deep\n{folder / '2.JPG'}\n", encoding="utf-8")
    assert names(folder, f"@{listing}") == ["10.png", "deep/er/1.heic", "2.JPG"]
    listing.write_text("10.png\nabsent.png\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"line 2: absent\.png is not there"):
        names(folder, f"@{listing}")


@pytest.mark.parametrize(
    ("given", "said"),
    [("absent.png", "is not there"), ("absent*.png", "nothing fits"), ("empty", "holds no photograph")],
)
def test_what_is_not_there_is_an_error(folder, given, said) -> None:
    (folder / "empty").mkdir()
    with pytest.raises(InputError, match=said):
        find([str(folder / given)], NOWHERE)


def test_a_shard_holds_photographs(folder) -> None:
    shard = folder / "shard.tar"
    with tarfile.open(shard, "w") as tar:
        for name in ("10.png", "notes.txt", "deep/er/1.heic"):
            tar.add(folder / name, name)
    sources = find([str(shard)], NOWHERE)
    assert [(source.member, source.read()) for source in sources] == [
        ("10.png", b"10.png"),
        ("deep/er/1.heic", b"deep/er/1.heic"),
    ]
    assert sources[0].name == f"{shard}::10.png"
    content = shard.read_bytes()
    shard.write_bytes(content[: sources[1].offset + 3])
    with pytest.raises(OSError, match="the shard ends"):
        sources[1].read()
    shard.write_bytes(b"no tar")
    with pytest.raises(InputError, match="uncompressed tar"):
        find([str(shard)], NOWHERE)


def test_a_shard_is_anonymised(run, server, manifest, tmp_path) -> None:
    write_photographs(tmp_path / "in", "anonymised", "covered")
    with tarfile.open(tmp_path / "shard.tar", "w") as tar:
        tar.add(tmp_path / "in", "in")
    assert run(tmp_path / "shard.tar", servers=[server]).code == 0
    assert [line["input"].split("::")[1] for line in manifest()] == ["in/Alice Smith 0.png", "in/Alice Smith 1.png"]


def test_a_name_that_is_no_text_is_kept_apart(run, server, manifest, tmp_path) -> None:
    path = os.fsencode(tmp_path) + b"/\xff.png"
    Path(os.fsdecode(path)).write_bytes(photograph())
    assert run(tmp_path, servers=[server]).code == 0
    assert manifest()[0]["input"].endswith("udcff.png")
