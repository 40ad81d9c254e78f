"""The paper's comparisons on the miniature: `python -m lab.paper --seed S --faces N --out DIR`.

Draws people of the test split, makes results with ways of running the method and with covers, and runs `evaluate` on
the folders, with the miniature's judge and meter. A run that was stopped continues.
"""

from __future__ import annotations

import os

# Several processes share the cores, and a second thread waits by computing.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from evaluate.__main__ import main as evaluate
from evaluate.files import REPORT_FILE
from miniature.layout import FACE_PACK, JUDGE_PACK, WEIGHTS
from miniature.workflow import FOUND_SCORE
from reverse_personalization.assurance.covering import METHODS

from ..measure.ways import choices, ways_of
from ..measuring.report import write_tables
from .parts import write_meter
from .pictures import GALLERY, ORIGINALS, RESULTS, Plan, write_pictures

REPORT = Path("report")
"""Folder of the report below the output folder."""

FIRST_SECTION, SECTION_AFTER = "## Judges", "## Differences"
"""Sections of the report with which the part for a document begins, and before which it ends."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 1 if something cannot be evaluated."""
    parser = argparse.ArgumentParser(prog="python -m lab.paper", description=__doc__)
    parser.add_argument(
        "--seed", type=int, default=0, help="seed of the people; another seed draws other people (default: %(default)s)"
    )
    parser.add_argument("--faces", type=int, default=24, help="number of people, at least 2 (default: %(default)s)")
    parser.add_argument(
        "--ways",
        default="exact,fast,untouched",
        metavar="NAME,NAME",
        help=f"ways of running: {choices()} (default: %(default)s)",
    )
    parser.add_argument(
        "--models", type=Path, default=WEIGHTS, metavar="DIR", help="models folder (default: the shipped weights)"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for pictures and report")
    parser.add_argument("--document", type=Path, metavar="FILE", help="write the tables into this Markdown file")
    parser.add_argument("--json", action="store_true", help="print all figures as JSON in the last line")
    options = parser.parse_args(arguments)
    try:
        plan = Plan(options.seed, options.faces, ways_of(options.ways), METHODS, options.models)
        write_pictures(plan, options.out)
    except (FileNotFoundError, ValueError) as error:
        parser.error(str(error))
    code = evaluate([*evaluation(plan, options.out), *(["--json"] if options.json else [])])
    if options.document is not None and code == 0:
        write_tables(options.document, tables_of(options.out / REPORT / REPORT_FILE))
    return code


def tables_of(report: Path) -> str:
    """The sections of a report that say who is re-identified and what is kept, each one level lower."""
    text = report.read_text(encoding="utf-8")
    chosen = text[text.index(FIRST_SECTION) : text.index(SECTION_AFTER)]
    return chosen.replace("\n## ", "\n### ").replace(FIRST_SECTION, f"#{FIRST_SECTION}", 1).strip()


def evaluation(plan: Plan, out: Path) -> list[str]:
    """Write what `evaluate` needs beside the pictures; returns its arguments.

    Args:
        plan: what was drawn and run.
        out: folder of the pictures.
    """
    results = [word for name in plan.methods for word in ("--results", f"{name}={out / RESULTS / name}")]
    return [
        *("--originals", str(out / ORIGINALS)),
        *results,
        *("--gallery", str(out / GALLERY)),
        *("--recogniser", str(plan.models / JUDGE_PACK)),
        *("--detector", str(plan.models / FACE_PACK)),
        *("--guide", str(plan.models / FACE_PACK)),
        *("--lowest-score", str(FOUND_SCORE)),
        *("--estimator", str(write_meter(plan.models, out))),
        *("--out", str(out / REPORT)),
    ]


if __name__ == "__main__":
    sys.exit(main())
