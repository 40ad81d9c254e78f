"""Draws hostile photographs, runs them through the pack and judges what it saves: `python -m lab.hostile`."""

from __future__ import annotations

import os

# Networks this small finish before a second thread wakes up, and several workers share the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from .cases import cases

if TYPE_CHECKING:
    from .judging import PhotoRecord


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return 1 if a face was left unprotected or another promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m lab.hostile", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="seed of people and pictures (default: %(default)s)")
    parser.add_argument("--photos", type=int, default=20, help="number of photographs (default: %(default)s)")
    parser.add_argument(
        "--ordinary", action="store_true", help="ordinary groups at a shipped workflow's steps and scales instead"
    )
    parser.add_argument("--workers", type=int, default=1, help="number of processes (default: %(default)s)")
    parser.add_argument("--models", type=Path, help="models folder in ComfyUI's layout (default: the shipped weights)")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON in the last line")
    parser.add_argument("--report", type=Path, help="Markdown file to write the figures into")
    parser.add_argument("--journal", type=Path, help="file that records every photograph, to resume a stopped run")
    parser.add_argument(
        "--minutes", type=float, default=float("inf"), help="start no further photograph after this time"
    )
    options = parser.parse_args(arguments)
    from harness.whole_text import write_whole
    from miniature.layout import JUDGE_PACK
    from reverse_personalization.assurance.operating_point import pack_threshold

    from ..journal import files_digest
    from .journal import Journal, code_files
    from .page import as_page
    from .pipeline import MODELS, provide_models
    from .summary import failed, summarise
    from .workers import Runner, options_of, run_all

    deadline = time.time() + 60 * options.minutes
    with tempfile.TemporaryDirectory(prefix="hostile-") as temporary:
        models = options.models or provide_models(Path(temporary, "models"))
        used = {"code": files_digest(code_files()), "models": files_digest(models / file for file in MODELS)}
        graph = options_of(options.ordinary)
        run = {"seed": options.seed, "ordinary": options.ordinary, **used, **asdict(graph)}
        journal = Journal(options.journal or Path(temporary, "journal"), json.loads(json.dumps(run)))
        done = journal.records()
        wanted = [(number, 1) for number in range(options.photos)] if options.ordinary else list(cases(options.photos))
        left = [work for work in wanted if work[0] not in done]
        make = partial(Runner, options.seed, models, deadline, ordinary=options.ordinary)
        for records in run_all(make, left, options.workers) if left else ():
            journal.add(records)
            done[records[0].case] = records
            for record in records:
                print(_line(record), file=sys.stderr, flush=True)
        threshold = pack_threshold(models / JUDGE_PACK)
    records = [record for number, _ in wanted for record in done.get(number, [])]
    figures = summarise(records, threshold, graph.checker)
    command = f"python -m lab.hostile --seed {options.seed} --photos {len(records)}"
    page = as_page(figures, f"{command} --ordinary" if options.ordinary else command)
    if options.report:
        write_whole(options.report, page)
    print(json.dumps(figures) if options.json else page)
    return int(failed(figures))


def _line(record: PhotoRecord) -> str:
    faces = ", ".join(
        f"{face.size:.0f}px {face.found or 'missed'} {face.status}"
        f"{' under a cover' if face.under_cover else ''}{' UNPROTECTED' if face.unprotected else ''}"
        for face in record.faces
    )
    return f"{record.case} {record.kind}: {record.outcome} {record.processor_seconds:.1f} s; {faces} {record.error}"


if __name__ == "__main__":
    sys.exit(main())
