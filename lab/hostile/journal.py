"""Records the judged cases in a file, one line each, so that a stopped run can continue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.environment import ROOT

from ..journal import JsonLines
from .judging import PhotoRecord


@dataclass(frozen=True)
class Journal(JsonLines):
    """A journal in which every entry holds the records of a case."""

    def records(self) -> dict[int, list[PhotoRecord]]:
        """Read the records by case; create the file if it does not exist.

        Raises:
            ValueError: the file belongs to another run.
        """
        cases = [[PhotoRecord.of_json(record) for record in entry] for entry in self.entries()]
        return {records[0].case: records for records in cases}

    def add(self, records: Sequence[PhotoRecord]) -> None:
        """Append a case's records."""
        self.append([record.as_json() for record in records])


def code_files() -> list[Path]:
    """Return the source files that a run depends on: the pack, the renderer and the judge."""
    folders = ("nodes", "host", "reverse_personalization", "lab/render", "lab/hostile")
    return sorted([*(ROOT / "lab").glob("*.py"), *(file for name in folders for file in (ROOT / name).rglob("*.py"))])
