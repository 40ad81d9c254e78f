"""A file of JSON lines in which a long run records what is done, so that a stopped one can continue."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.whole_text import write_whole


@dataclass(frozen=True)
class JsonLines:
    """A file whose first line identifies the run; every other line is an entry.

    Attributes:
        file: path of the journal.
        run: what the entries depend on, such as seed, settings, and digests of code and models; as JSON.
    """

    file: Path
    run: dict[str, Any]

    def entries(self) -> list[Any]:
        """Read the entries, in the order in which they were appended; create the file if it does not exist.

        Raises:
            ValueError: the file belongs to another run.
        """
        if not self.file.exists():
            write_whole(self.file, json.dumps(self.run) + "\n")
        content = self.file.read_text(encoding="utf-8")
        whole = content[: content.rfind("\n") + 1]
        if whole != content:
            # The run stopped in the middle of a line, so that entry is made again.
            write_whole(self.file, whole)
        first, *lines = whole.splitlines()
        if json.loads(first) != self.run:
            raise ValueError(
                f"{self.file} belongs to another run ({first}); expected {json.dumps(self.run)}. Name another file, or "
                "remove this one."
            )
        return [json.loads(line) for line in lines]

    def append(self, entry: Any) -> None:
        """Append an entry, which must be JSON."""
        with self.file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")


def files_digest(files: Iterable[Path]) -> str:
    """Return the SHA-256 of the contents of all files together, in hexadecimal."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()
