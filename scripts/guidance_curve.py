"""Writes the curve that the editor draws beside cfg, from the figures in docs/miniature.md.

    python -m scripts.guidance_curve            write js/guidance_curve.json
    python -m scripts.guidance_curve --check    write nothing; exit with 1 if the file is out of date

Run it after measuring the miniature again (`python -m lab.measuring`). The figures are kept in that document alone.
"""

from __future__ import annotations

import argparse
import json
import re
import sys

from harness.environment import ROOT
from harness.whole_text import write_whole
from lab.measuring.report import AGREEMENT, RECOGNITION

DOCUMENT = ROOT / "docs" / "miniature.md"
CURVE = ROOT / "js" / "guidance_curve.json"

RECOGNISED = ("Whether the person is still recognised", RECOGNITION["reid"])
EXPRESSION_KEPT = ("Agreement with the original", AGREEMENT["expression"])
"""The table and the column that hold each share."""


def column(document: str, table: str, name: str) -> dict[float, float]:
    """Read a column of shares by guidance scale.

    Args:
        document: text with the tables of `lab.measuring.report`.
        table: the table's heading.
        name: heading of a column in percent.

    Returns:
        Shares from 0 to 1 by guidance scale, in the table's order.
    """
    lines = document.split(f"### {table}\n", 1)[1].strip().split("\n\n", 1)[0].splitlines()
    header, _, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    place = header.index(name)
    return {float(row[0]): round(float(row[place].removesuffix("%")) / 100, 4) for row in rows}


def curve(document: str) -> str:
    """The text of the editor's file.

    Args:
        document: text of docs/miniature.md.
    """
    people = re.findall(r"^Seed \d+, (\d+) people", document, re.MULTILINE)
    recognised, kept = column(document, *RECOGNISED), column(document, *EXPRESSION_KEPT)
    points = [{"cfg": cfg, "recognised": recognised[cfg], "expression_kept": kept[cfg]} for cfg in recognised]
    return json.dumps({"people": int(people[0]), "points": points}, indent=2) + "\n"


def main() -> int:
    """Write or check the file."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.guidance_curve",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if the file differs")
    wanted = curve(DOCUMENT.read_text(encoding="utf-8"))
    if parser.parse_args().check:
        return int(CURVE.read_text(encoding="utf-8") != wanted)
    write_whole(CURVE, wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main())
