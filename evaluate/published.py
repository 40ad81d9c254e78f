"""Numbers that others have published, kept apart from the measured ones and always with their source.

`published.json` has the paper's settings; its tables' numbers are not in this repository. A user who has the paper at
hand writes them into a file of the same form.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

PAPER = Path(__file__).with_name("published.json")


@dataclass(frozen=True)
class PublishedNumber:
    """One published number.

    Attributes:
        source: publication.
        table: where it stands there.
        method: what it is about.
        measure: what was measured, in the publication's words.
        value: the number.
    """

    source: str
    table: str
    method: str
    measure: str
    value: float


def read_published(file: Path = PAPER) -> tuple[PublishedNumber, ...]:
    """Read published numbers.

    Args:
        file: JSON of `source` and `rows`, each with `table`, `method`, `measure` and `value`.

    Raises:
        OSError: it cannot be read.
        ValueError: it has another form.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return tuple(
            PublishedNumber(
                str(content["source"]), str(row["table"]), str(row["method"]), str(row["measure"]), float(row["value"])
            )
            for row in content["rows"]
        )
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f'{file} cannot be used ({error}); expected {{"source": ..., "rows": [{{"table": ..., "method": ..., '
            '"measure": ..., "value": ...}]}'
        ) from None
