"""Gives a result its files: a picture and its report, complete or absent, numbered, and never over another file."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from .codes import Outcome
from .journal import Journal, Record, Written

STEM = "anonymised"
REPORT = ".json"
SUFFIXES = (".png", ".webp", ".jpg", ".jpeg")
"""Of pictures."""

UNFINISHED = ".unfinished-"

_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EINVAL}
"""What file systems answer that have no hard links."""

_NO_FLUSH = {errno.EINVAL, errno.EBADF, errno.ENOTSUP, errno.ENOSYS}
"""What file systems answer that cannot flush a folder."""


def picture_name(written: Written) -> str:
    """The picture's file name. It is a number: the original's name may tell who is in it."""
    return f"{STEM}-{written.number:06}{written.suffix}"


def report_name(written: Written) -> str:
    """The report's file name."""
    return f"{STEM}-{written.number:06}{REPORT}"


def save(
    folder: Path, journal: Journal, key: tuple[str, str], outcome: Outcome, picture: tuple[bytes, str], report: bytes
) -> Written:
    """Save a result and write it into the journal, so that a crash at any moment leaves all of it or nothing.

    Args:
        folder: of the batch.
        journal: of the folder.
        key: photograph and settings of the job.
        outcome: of the job.
        picture: the file's bytes, and its suffix.
        report: the JSON file's bytes.

    Raises:
        OSError: the files cannot be written.
    """
    content, suffix = picture
    sums = hashlib.sha256(content).hexdigest(), hashlib.sha256(report).hexdigest()
    above = 0
    while True:
        written = journal.writing(*key, outcome, suffix, sums, above)
        write(folder / _unfinished(picture_name(written)), content)
        write(folder / _unfinished(report_name(written)), report)
        if publish(folder, written):
            journal.saved(*key)
            return written
        # Somebody else's file has one of the names.
        withdraw(folder, written)
        above = written.number


def recover(folder: Path, journal: Journal) -> None:
    """End what a crash interrupted: files that are complete get their names, others are removed and made again.

    Raises:
        OSError: a file cannot be read, named or removed.
    """
    for settings, record in journal.under_way():
        if record.written is not None and publish(folder, record.written):
            journal.saved(record.photograph, settings)
            continue
        if record.written is not None:
            withdraw(folder, record.written)
        journal.again(record.photograph, settings)
    for stray in folder.glob(f"{UNFINISHED}*"):
        stray.unlink()


def publish(folder: Path, written: Written) -> bool:
    """Give both files of a result their names; False if one is not complete or its name is taken."""
    pairs = _files(written)
    for name, sha256 in pairs:
        unfinished = folder / _unfinished(name)
        if _holds(folder / name, sha256):
            unfinished.unlink(missing_ok=True)
            continue
        if not _holds(unfinished, sha256):
            return False
        try:
            _give_name(unfinished, folder / name)
        except FileExistsError:
            return False
    flush(folder)
    return True


def withdraw(folder: Path, written: Written) -> None:
    """Remove what there is of a result, and nothing of anybody else."""
    for name, sha256 in _files(written):
        (folder / _unfinished(name)).unlink(missing_ok=True)
        if _holds(folder / name, sha256):
            (folder / name).unlink()
    # Before the journal forgets them: after a loss of power they must not be back.
    flush(folder)


def is_whole(folder: Path, record: Record) -> bool:
    """Whether the files of a job that has a picture are still there."""
    written = record.written
    return written is None or all((folder / name).is_file() for name, _ in _files(written))


def report_bytes(report: Mapping[str, Any]) -> bytes:
    """A report as its file holds it."""
    return (json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def write(path: Path, content: bytes) -> None:
    """Write a file and wait until the disk has it."""
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | getattr(os, "O_BINARY", 0), 0o666)
    with open(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def replace_private(path: Path, pieces: Iterable[bytes]) -> None:
    """Replace a file in one step; only its owner may read it.

    Args:
        path: of the file.
        pieces: of its content, of which only one is in memory at a time.
    """
    unfinished = path.with_name(_unfinished(path.name))
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0), 0o600)
    with open(descriptor, "wb") as file:
        file.writelines(pieces)
        file.flush()
        os.fsync(file.fileno())
    os.replace(unfinished, path)
    flush(path.parent)


def flush(folder: Path) -> None:
    """Make sure that a folder's file names are on the disk, as far as the platform allows."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_FLUSH:
            raise
    finally:
        os.close(descriptor)


def _unfinished(name: str) -> str:
    return f"{UNFINISHED}{name}"


def _files(written: Written) -> tuple[tuple[str, str], ...]:
    # The report first, so that a picture never lacks its report.
    return (report_name(written), written.report_sha256), (picture_name(written), written.sha256)


def _holds(path: Path, sha256: str) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == sha256


def _give_name(unfinished: Path, path: Path) -> None:
    """Give a file its name in one step, unless that is taken."""
    if os.name == "nt":
        os.rename(unfinished, path)  # on Windows this refuses a name that is taken
        return
    try:
        os.link(unfinished, path)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # Without links the check and the step are two; this process alone gives names in the folder.
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from None
        os.replace(unfinished, path)
        return
    with contextlib.suppress(FileNotFoundError):
        unfinished.unlink()
