"""The photographs of a folder come in the order of their names, and every change of one is seen."""

from __future__ import annotations

import os
from pathlib import Path

from reverse_personalization.photographs.folder import photographs_in, state_of


def test_photographs_come_in_the_order_that_people_count_in(tmp_path: Path):
    names = ["a2.jpg", "a10.jpg", "B1.PNG", "b2.heic", "c.DNG", "z 3 2.webp", "z 3 11.webp"]
    for name in [*reversed(names), ".hidden.jpg", "notes.txt", "clip.mp4", "list.json"]:
        (tmp_path / name).touch()
    (tmp_path / "folder.jpg").mkdir()
    assert [path.name for path in photographs_in(tmp_path)] == names


def test_every_change_of_a_photograph_is_seen(tmp_path: Path):
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_bytes(b"one")
    (tmp_path / "notes.txt").touch()

    def state() -> object:
        return state_of(photographs_in(tmp_path))

    seen = [state()]
    assert state() == seen[0]
    (tmp_path / "notes.txt").write_text("nothing to do with it")
    assert state() == seen[0]
    (tmp_path / "c.jpg").write_bytes(b"one")
    seen.append(state())
    (tmp_path / "c.jpg").rename(tmp_path / "d.jpg")
    seen.append(state())
    # Other content of the same length, under the same time.
    status = (tmp_path / "a.jpg").stat()
    (tmp_path / "a.jpg").write_bytes(b"two")
    os.utime(tmp_path / "a.jpg", ns=(status.st_atime_ns, status.st_mtime_ns))
    seen.append(state())
    (tmp_path / "b.jpg").unlink()
    seen.append(state())
    assert all(a != b for i, a in enumerate(seen) for b in seen[:i])


def test_a_photograph_that_is_removed_meanwhile_is_left_out(tmp_path: Path):
    (tmp_path / "a.jpg").touch()
    found = photographs_in(tmp_path)
    (tmp_path / "a.jpg").unlink()
    assert state_of(found) == []
