"""The list of what became of every input, for the caller alone: it says which photograph became which picture."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from . import outputs
from .codes import NOT_REACHED, Outcome, failed
from .journal import DONE, Journal, Written

FILE = "manifest.jsonl"

UNDONE = failed(NOT_REACHED, "it was not this photograph's turn yet; run the command again")


@dataclass(frozen=True)
class Entry:
    """What became of an input.

    Attributes:
        name: of the input. Private.
        photograph: its sha256, or None if it cannot be read.
        outcome: how it ended, or why it has not.
        written: its files, or None.
        removed: whether the input is given no more.
    """

    name: str
    photograph: str | None
    outcome: Outcome
    written: Written | None
    removed: bool = False


def entries(
    journal: Journal, settings: str, given: Mapping[str, str | None], now: Mapping[str, Outcome]
) -> Iterator[Entry]:
    """What became of each input, one after the other: those given, in order, and then those that are given no more.

    Args:
        journal: of the folder.
        settings: digest of the workflow.
        given: sha256 of each input's photograph by the input's name; None if it cannot be read.
        now: outcomes that are not in the journal, because the next run tries again, by photograph or by name.
    """
    for names, removed in ((given.items(), False), (journal.removed_inputs(), True)):
        for name, photograph in names:
            record = None if photograph is None else journal.find(photograph, settings)
            if record is not None and record.state == DONE and record.outcome is not None:
                yield Entry(name, photograph, record.outcome, record.written, removed)
            elif not removed:
                yield Entry(name, photograph, now.get(photograph or name) or now.get(name) or UNDONE, None)


def write(folder: Path, listed: Callable[[], Iterable[Entry]]) -> bool:
    """Write the manifest, a line of JSON for each input, in one step; only its owner may read it.

    Args:
        folder: of the batch.
        listed: lists the entries; called twice if they are others than before.

    Returns:
        Whether it says something else than before.
    """

    def lines() -> Iterator[bytes]:
        return (f"{json.dumps(_line(entry), ensure_ascii=False)}\n".encode() for entry in listed())

    path = folder / FILE
    if _holds(path, lines()):
        return False
    outputs.replace_private(path, lines())
    return True


def _holds(path: Path, lines: Iterable[bytes]) -> bool:
    """Whether a file consists of just these lines."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return all(file.read(len(line)) == line for line in lines) and not file.read(1)


def _line(entry: Entry) -> dict[str, object]:
    written = entry.written
    return {
        "input": entry.name,
        "output": None if written is None else outputs.picture_name(written),
        "report": None if written is None else outputs.report_name(written),
        "status": entry.outcome.status,
        "code": entry.outcome.code,
        "sentence": entry.outcome.sentence,
        "faces": entry.outcome.faces,
        "sha256": None if written is None else written.sha256,
        "removed": entry.removed,
    }
