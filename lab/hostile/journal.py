"""What has been judged so far, in a file that grows by a line with every case: a run that was stopped goes on."""

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
    """A file of JSON lines: first what was run, then a list of records for each case.

    Attributes:
        file: that is written to.
        run: seed, settings, code and models; a file of another run is refused.
    """

    file: Path
    run: dict[str, Any]

    def records(self) -> dict[int, list[PhotoRecord]]:
        """What is in the file, by case; begins it if there is none.

        Raises:
            ValueError: the file is another run's.
        """
        if not self.file.exists():
            write_whole(self.file, json.dumps(self.run) + "\n")
        content = self.file.read_text(encoding="utf-8")
        whole = content[: content.rfind("\n") + 1]
        if whole != content:
            # A stop in the middle of a line: its case is run again.
            write_whole(self.file, whole)
        first, *lines = whole.splitlines()
        if json.loads(first) != self.run:
            raise ValueError(
                f"{self.file} is of another run ({first}); expected {json.dumps(self.run)}: name another file, or "
                "remove it"
            )
        cases = [[PhotoRecord.of_json(record) for record in json.loads(line)] for line in lines]
        return {records[0].case: records for records in cases}

    def add(self, records: Sequence[PhotoRecord]) -> None:
        """Append a case's records."""
        line = json.dumps([record.as_json() for record in records])
        with self.file.open("a", encoding="utf-8") as file:
            file.write(line + "\n")


def files_digest(files: Iterable[Path]) -> str:
    """sha256 over the contents of files, one after the other."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def code_files() -> list[Path]:
    """The files whose code a run depends on: the pack, what draws, and what judges."""
    folders = ("nodes", "host", "reverse_personalization", "lab/render", "lab/hostile")
    return sorted([*(ROOT / "lab").glob("*.py"), *(file for name in folders for file in (ROOT / name).rglob("*.py"))])
