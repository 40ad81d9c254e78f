"""The photographs that the command is given: files, folders, patterns, lists of paths, and WebDataset shards."""

from __future__ import annotations

import glob
import hashlib
import os
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from reverse_personalization.photographs.folder import SUFFIXES, by_number

SHARD = ".tar"
INSIDE = "::"
"""Between a shard's path and the name of a file in it."""

_PIECE = 1 << 20


class InputError(ValueError):
    """What was given cannot be used as photographs."""


@dataclass(frozen=True)
class Source:
    """Where the bytes of one photograph are.

    Attributes:
        path: of the file, or of the shard that it is in.
        member: its name in the shard, or "".
        offset: of its first byte.
        size: in bytes; None for the whole file.
    """

    path: Path
    member: str = ""
    offset: int = 0
    size: int | None = None

    @property
    def name(self) -> str:
        """How the caller knows it. Private."""
        name = f"{self.path}{INSIDE}{self.member}" if self.member else str(self.path)
        # A name may hold bytes that are no text.
        return name.encode("utf-8", "backslashreplace").decode()

    def state(self) -> str:
        """What differs as soon as the file is written again.

        Raises:
            OSError: it is not there.
        """
        status = self.path.stat()
        return f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino} {self.offset} {self.size}"

    def digest(self) -> str:
        """The sha256 of the bytes, as hexadecimal digits.

        Raises:
            OSError: they cannot be read.
        """
        found = hashlib.sha256()
        for piece in self._pieces():
            found.update(piece)
        return found.hexdigest()

    def read(self) -> bytes:
        """The bytes.

        Raises:
            OSError: they cannot be read.
        """
        return b"".join(self._pieces())

    def _pieces(self) -> Iterator[bytes]:
        left = self.size
        with self.path.open("rb") as file:
            file.seek(self.offset)
            while left is None or left > 0:
                piece = file.read(_PIECE if left is None else min(left, _PIECE))
                if not piece:
                    break
                left = None if left is None else left - len(piece)
                yield piece
        if left:
            raise OSError(f"the shard ends {left} bytes before the photograph does")


def find(given: Iterable[str], without: Path) -> list[Source]:
    """The photographs that the command line names, each once.

    Args:
        given: paths, patterns, and "@" with the path of a list.
        without: a folder whose files are results, not photographs.

    Returns:
        In the order given, the photographs of a folder by name, numbers in names counted as numbers.

    Raises:
        InputError: something is not there, or holds no photograph.
    """
    found: dict[str, Source] = {}
    results = without.resolve()
    for one in given:
        before = len(found)
        seen = 0
        for source in _of(one, results):
            seen += 1
            found.setdefault(source.name, source)
        if not seen and len(found) == before:
            raise InputError(f"{one} holds no photograph; expected files ending in {', '.join((*SUFFIXES, SHARD))}")
    return list(found.values())


def _of(given: str, without: Path) -> Iterator[Source]:
    if given.startswith("@"):
        yield from _listed(Path(given[1:]), without)
        return
    path = Path(given).expanduser()
    if path.exists():
        yield from _at(path, without)
        return
    if not glob.has_magic(given):
        raise InputError(f"{given} is not there; expected a file, a folder, a pattern, @LIST or a shard")
    matches = sorted(glob.glob(str(path), recursive=True), key=by_number)
    if not matches:
        raise InputError(f"nothing fits the pattern {given}")
    for match in matches:
        # Of what a pattern finds, only photographs count; what is named itself always does.
        if Path(match).is_dir() or _is_photograph(Path(match)):
            yield from _at(Path(match), without)


def _listed(path: Path, without: Path) -> Iterator[Source]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the list {path} cannot be read: {error}; expected a text file with a path a line") from error
    for number, line in enumerate(lines, start=1):
        if not (name := line.strip()):
            continue
        listed = path.parent / Path(name).expanduser()
        if not listed.exists():
            raise InputError(f"{path}, line {number}: {name} is not there; paths count from the list's folder")
        yield from _at(listed, without)


def _at(path: Path, without: Path) -> Iterator[Source]:
    if path.is_dir():
        for file in _below(path, without):
            yield from _in_file(file)
    else:
        yield from _in_file(path)


def _in_file(path: Path) -> Iterator[Source]:
    # One photograph has one name, however the command line spells it.
    path = path.absolute() if path.is_symlink() else path.resolve()
    if path.suffix.lower() != SHARD:
        yield Source(path)
        return
    try:
        with tarfile.open(path, "r:") as shard:
            for member in shard:
                if member.isreg() and not member.issparse() and _is_photograph(Path(member.name)):
                    yield Source(path, member.name, member.offset_data, member.size)
    except (OSError, tarfile.TarError) as error:
        raise InputError(f"the shard {path} cannot be read: {error}; expected an uncompressed tar file") from error


def _below(folder: Path, without: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        here = Path(place)
        folders[:] = sorted(
            (name for name in folders if not name.startswith(".") and (here / name).resolve() != without),
            key=by_number,
        )
        if here.resolve() == without:
            continue
        for name in sorted(files, key=by_number):
            if _is_photograph(Path(name)) or Path(name).suffix.lower() == SHARD:
                yield here / name


def _is_photograph(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
