"""Lists the photographs of a folder in the order of their names, and tells when any of them changes."""

from __future__ import annotations

import re
from pathlib import Path

SUFFIXES = (
    *(".avif", ".bmp", ".heic", ".heif", ".jfif", ".jp2", ".jpeg", ".jpg", ".mpo", ".png", ".tif", ".tiff", ".webp"),
    *(".arw", ".cr2", ".cr3", ".dng", ".nef", ".orf", ".raf", ".rw2"),
)
"""Suffixes of files that count as photographs. Raw files are among them so that they are reported, not passed over."""


def photographs_in(folder: Path) -> list[Path]:
    """The photographs directly in a folder, without hidden files.

    Args:
        folder: an existing folder.

    Returns:
        Their paths by name, numbers in names counted as numbers (2 before 10) and upper case like lower case.

    Raises:
        OSError: the folder cannot be read.
    """
    found = [path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")]
    return sorted((path for path in found if path.is_file()), key=lambda path: (by_number(path.name), path.name))


def state_of(paths: list[Path]) -> list[tuple[str, int, int, int]]:
    """What differs as soon as a photograph is added, removed, renamed, replaced or written again.

    Args:
        paths: of the photographs.

    Returns:
        Of each its name, size and times of change; a file that is gone by now is left out.
    """
    states = []
    for path in paths:
        try:
            status = path.stat()
        except FileNotFoundError:
            continue
        states.append((path.name, status.st_size, status.st_mtime_ns, status.st_ctime_ns))
    return states


def by_number(name: str) -> list[tuple[int, str]]:
    """A key that sorts names with numbers in them as numbers (2 before 10) and upper case like lower case."""
    parts = re.split(r"(\d+)", name.casefold())
    return [(int(part), "") if number % 2 else (0, part) for number, part in enumerate(parts)]
