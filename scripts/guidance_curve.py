"""What the editor draws beside cfg: shares from the figures in docs/miniature.md, the one place where they are kept.

    python -m scripts.guidance_curve            writes js/guidance_curve.json
    python -m scripts.guidance_curve --check    exits with 1 where the file is not what it would write

Run it after the miniature was measured again.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path

from miniature.measuring.report import AGREEMENT, RECOGNITION
from scripts.whole_text import write_whole

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "miniature.md"
CURVE = ROOT / "js" / "guidance_curve.json"

RECOGNISED = ("Whether the person is still recognised", RECOGNITION["reid"])
EXPRESSION_KEPT = ("Agreement with the original", AGREEMENT["expression"])
"""Table and column."""


def column(document: str, table: str, name: str) -> dict[float, float]:
    """Shares by guidance scale.

    Args:
        document: with the tables of `miniature.measuring.report`.
        table: its heading.
        name: of a column in percent.

    Returns:
        Shares from 0 to 1, as the table has them.
    """
    lines = document.split(f"### {table}\n", 1)[1].strip().split("\n\n", 1)[0].splitlines()
    header, _, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    place = header.index(name)
    return {float(row[0]): round(float(row[place].removesuffix("%")) / 100, 4) for row in rows}


def curve(document: str) -> str:
    """The editor's file.

    Args:
        document: text of docs/miniature.md.
    """
    people = re.findall(r"^Seed \d+, (\d+) people", document, re.MULTILINE)
    recognised, kept = column(document, *RECOGNISED), column(document, *EXPRESSION_KEPT)
    points = [{"cfg": cfg, "recognised": recognised[cfg], "expression_kept": kept[cfg]} for cfg in recognised]
    return json.dumps({"people": int(people[0]), "points": points}, indent=2) + "\n"


def main() -> int:
    """Write or check the file."""
    parser = argparse.ArgumentParser(prog="python -m scripts.guidance_curve", description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 where the file differs")
    wanted = curve(DOCUMENT.read_text(encoding="utf-8"))
    if parser.parse_args().check:
        return int(CURVE.read_text(encoding="utf-8") != wanted)
    write_whole(CURVE, wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main())
