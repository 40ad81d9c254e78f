"""Applies every patch that the host ships to the method and writes the table: `python -m lab.patches`."""

from __future__ import annotations

import os

# Networks this small finish before a second thread wakes up.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import importlib
import json
import math
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return 1 if a row breaks a promise."""
    parser = argparse.ArgumentParser(prog="python -m lab.patches", description=__doc__)
    parser.add_argument("--people", type=int, default=2, help="number of faces (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=6, help="steps of inversion and generation (default: %(default)s)")
    parser.add_argument("--only", default="", help="only nodes whose id matches this regular expression")
    parser.add_argument("--json", action="store_true", help="print the rows as JSON in the last line")
    parser.add_argument("--document", type=Path, help="Markdown file to write the table to")
    options = parser.parse_args(arguments)

    from harness.in_process import start_host
    from harness.whole_text import write_whole

    from .bench import Bench, Size
    from .page import as_page
    from .promises import judge
    from .sweep import Sweep

    start_host()
    # ComfyUI's own module, which is there once the host has started.
    version = importlib.import_module("comfyui_version").__version__
    size = Size(people=options.people, steps=options.steps)
    sweep = Sweep(Bench(size), thorough=True)
    rows = []
    for row in sweep.rows(lambda case: re.search(options.only, case.node) is not None):
        print(f"[{time.strftime('%H:%M:%S')}] {row.name}", file=sys.stderr, flush=True)
        rows.append(row)
    models, texts = sweep.baseline, sweep.text_baseline
    judged = list(judge(rows, models, texts))
    page = as_page(judged, models, texts, size, "python -m lab.patches", version)
    if options.document:
        write_whole(options.document, page)
    figures = [{**asdict(each.row), "verdict": each.verdict, "broken": each.broken} for each in judged]
    print(json.dumps(_finite(figures)) if options.json else page)
    return int(any(each.broken for each in judged))


def _finite(value: Any) -> Any:
    """Replace NaN, which JSON lacks, with None."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


if __name__ == "__main__":
    sys.exit(main())
