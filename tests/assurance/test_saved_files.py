"""Saved files are on the disk before the node says so, and which files below the input folder there are."""

from __future__ import annotations

import errno
import os

import pytest

from harness.in_process import part
from tests.saving import files, safe, save


def flushed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[str]]]:
    """What is flushed from now on: a folder's path with the files that it then holds, or a file's with none."""
    seen = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        seen.append(
            (path, [name for name in sorted(os.listdir(path)) if name[0] != "."] if os.path.isdir(path) else [])
        )
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    return seen


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="no /proc that names open files")
@pytest.mark.parametrize("links", [True, False])
def test_the_folders_entry_is_flushed_after_each_file_has_its_name(output, picture, monkeypatch, links):
    """After a power failure whoever sees the picture can rely on the report."""
    if not links:
        monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError(errno.EPERM, "no links")))
    seen = flushed(monkeypatch)
    save(picture, safe(picture), filename_prefix="new/deep/x")
    folders = [(path, names) for path, names in seen if os.path.isdir(path)]
    deep = str(output / "new" / "deep")
    report, picture_file = "x_00001_.json", "x_00001_.png"
    assert folders == [
        (str(output / "new"), ["deep"]),
        (str(output), ["new"]),
        (deep, [report]),
        (deep, [report, picture_file]),
    ]


@pytest.mark.parametrize("refusal", ["EINVAL", "ENOTSUP", "EACCES"])
def test_a_platform_that_flushes_no_folder_is_served(output, picture, monkeypatch, refusal):
    real = os.open

    def open_(path, *arguments, **options):
        if os.path.isdir(path):
            raise OSError(getattr(errno, refusal), "a folder cannot be flushed here")
        return real(path, *arguments, **options)

    monkeypatch.setattr(os, "open", open_)
    assert len(save(picture, safe(picture))) == 1
    assert len(files(output)) == 2


def test_a_disk_that_fails_under_the_folder_fails_the_save(output, monkeypatch):
    def broken(descriptor):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match="Input/output error"):
        part("reverse_personalization.assurance.image_files").flush_folder(output)


def test_the_input_folder_is_not_read_unless_a_workflow_is_kept(output, picture, monkeypatch):
    asked = []
    real = os.walk
    monkeypatch.setattr(os, "walk", lambda *given, **options: asked.append(given) or real(*given, **options))
    save(picture, safe(picture))
    assert asked == []
    save(picture, safe(picture), keep_workflow=True)
    assert len(asked) == 1


def test_a_word_of_the_graph_in_the_prefix_is_looked_up(output, picture, tmp_path):
    """A folder's name has nothing that shows that it is one; only then the files are asked."""
    prompt = {"1": {"class_type": "LoadImage", "inputs": {"image": "wedding", "upload": "image"}}}
    assert len(save(picture, safe(picture), prompt, filename_prefix="the wedding")) == 1
    (tmp_path / "input" / "wedding").mkdir()
    (tmp_path / "input" / "wedding" / "1.jpg").write_bytes(b"")
    with pytest.raises(ValueError, match="filename_prefix contains the name"):
        save(picture, safe(picture), prompt, filename_prefix="the wedding")


def test_files_below_input_are_named_as_the_host_names_them(output, tmp_path):
    import folder_paths

    folder = tmp_path / "input"
    (folder / "a" / "b").mkdir(parents=True)
    for name in ("x.png", "a/y.png", "a/b/z.png"):
        (folder / name).write_bytes(b"")
    host_files = part("reverse_personalization.assurance.image_files")
    assert sorted(host_files.files_below(str(folder))) == sorted(folder_paths.recursive_search(str(folder))[0])
    (folder / "a" / "b" / "round").symlink_to(folder)
    assert len(list(host_files.files_below(str(folder)))) == 4
