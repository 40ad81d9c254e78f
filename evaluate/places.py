"""Where pictures are: a folder, a list of paths, or the manifest of a batch."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from batch.inputs import INSIDE
from reverse_personalization.photographs.folder import SUFFIXES, photographs_in

MANIFEST_SUFFIX = ".jsonl"
"""Of the list that the batch command writes of its results."""


def named_pictures(place: Path) -> list[tuple[str, Path]]:
    """The pictures at a place, each with the stem by which it is paired.

    Args:
        place: a folder, whose pictures are named by their own stems; a text file of paths, one a line, relative to that
            file's folder; or the manifest.jsonl of the batch command, whose pictures have the stems of their inputs.

    Raises:
        OSError: it cannot be read.
        ValueError: a line of a list or of a manifest is something else.
    """
    if place.is_dir():
        return [(file.stem, file) for file in photographs_in(place)]
    if place.suffix.lower() == MANIFEST_SUFFIX:
        return list(_of_manifest(place))
    return [(file.stem, file) for file in listed(place)]


def listed(file: Path) -> list[Path]:
    """The pictures of a list.

    Args:
        file: UTF-8 text with a path a line, relative to the file's folder.

    Raises:
        OSError: the list cannot be read.
        ValueError: it is not text, or a line names no picture that is there.
    """
    found = []
    for number, line in enumerate(_lines(file), start=1):
        if not (name := line.strip()):
            continue
        path = file.parent / Path(name).expanduser()
        if path.suffix.lower() not in SUFFIXES or not path.is_file():
            raise ValueError(
                f"{file}, line {number}: {name} is no picture that is there; expected a path a line, relative to "
                f"{file.parent}"
            )
        found.append(path)
    return found


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{file} is not text ({error.reason}); expected a folder of pictures, a text file with a path a line, or a "
            "batch's manifest.jsonl"
        ) from error


def _of_manifest(file: Path) -> Iterator[tuple[str, Path]]:
    """Inputs without a picture are left out, and so are those that are given no more."""
    for number, line in enumerate(_lines(file), start=1):
        if not line.strip():
            continue
        entry = _entry(line, f"{file}, line {number}")
        if entry["output"] is not None and not entry.get("removed"):
            yield Path(entry["input"].rpartition(INSIDE)[2]).stem, file.parent / entry["output"]


def _entry(line: str, where: str) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(
            f"{where} is not JSON ({error.msg}); expected the manifest.jsonl of the batch command"
        ) from None
    texts = {"input": (str,), "output": (str, type(None))}
    if not isinstance(entry, dict) or any(not isinstance(entry.get(key, 0), kinds) for key, kinds in texts.items()):
        raise ValueError(
            f'{where} lacks "input" or "output"; expected the manifest.jsonl of a batch, in which each line '
            "names an input and its picture or null"
        )
    return entry
