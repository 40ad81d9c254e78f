"""Records the judged cases in a file, one line each, so that a stopped run can continue."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.environment import ROOT
from harness.whole_text import write_whole

from .judging import PhotoRecord


@dataclass(frozen=True)
class Journal:
    """A file of JSON lines: the first identifies the run, every other one holds the records of a case.

    Attributes:
        file: path of the journal.
        run: seed, settings, and digests of code and models; a journal with other values is refused.
    """

    file: Path
    run: dict[str, Any]

    def records(self) -> dict[int, list[PhotoRecord]]:
        """Read the records by case; create the file if it does not exist.

        Raises:
            ValueError: the file belongs to another run.
        """
        if not self.file.exists():
            write_whole(self.file, json.dumps(self.run) + "\n")
        content = self.file.read_text(encoding="utf-8")
        whole = content[: content.rfind("\n") + 1]
        if whole != content:
            # The run stopped in the middle of a line, so that case runs again.
            write_whole(self.file, whole)
        first, *lines = whole.splitlines()
        if json.loads(first) != self.run:
            raise ValueError(
                f"{self.file} belongs to another run ({first}); expected {json.dumps(self.run)}. Name another file, or "
                "remove this one."
            )
        cases = [[PhotoRecord.of_json(record) for record in json.loads(line)] for line in lines]
        return {records[0].case: records for records in cases}

    def add(self, records: Sequence[PhotoRecord]) -> None:
        """Append a case's records."""
        line = json.dumps([record.as_json() for record in records])
        with self.file.open("a", encoding="utf-8") as file:
            file.write(line + "\n")


def files_digest(files: Iterable[Path]) -> str:
    """Return the SHA-256 of the contents of all files together, in hexadecimal."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def code_files() -> list[Path]:
    """Return the source files that a run depends on: the pack, the renderer and the judge."""
    folders = ("nodes", "host", "reverse_personalization", "lab/render", "lab/hostile")
    return sorted([*(ROOT / "lab").glob("*.py"), *(file for name in folders for file in (ROOT / name).rglob("*.py"))])
