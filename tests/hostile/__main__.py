"""Make hostile photographs, run them through the pack, judge what was saved: `python -m tests.hostile`."""

from __future__ import annotations

import os

# Networks this small are done before a second thread has woken up; several workers share the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import json
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from .cases import CROWD_KIND, HUGE_KIND, cases, draw_case

if TYPE_CHECKING:
    from .judging import PhotoRecord

COMPARED_EVERY = 4
"""Cases of which one is also made at scale 0, for the seam."""

Work = tuple[int, int]
"""A case's number, and how many photographs are left for it."""


class Worker:
    """A host with the pack, and a judge; the models are known to it as long as the process lives."""

    def __init__(self, seed: int, models: Path, deadline: float) -> None:
        import torch

        from .judging import Judge
        from .pipeline import Options, Pipeline, known_models

        torch.set_num_threads(1)
        self._models = ExitStack()
        self._models.enter_context(known_models(models))
        self._pipeline, self._options = Pipeline(), Options()
        self._judge = Judge(self._options.checker)
        self._seed, self._deadline = seed, deadline

    def run(self, work: Work) -> list[PhotoRecord]:
        """Draw a case, run it and judge it; nothing if there is no time left."""
        if time.time() > self._deadline:
            return []
        number, left = work
        clocks = (time.perf_counter, time.process_time)
        started = [clock() for clock in clocks]
        case = draw_case(self._seed, number, left)
        # Of a huge photograph every copy is half a gigabyte, and a crowd takes a minute once more.
        usual = case.kind not in (HUGE_KIND, CROWD_KIND)
        options = replace(self._options, first=usual, unchanged=usual and number % COMPARED_EVERY == 0)
        run = self._pipeline.run(case, options)
        records = self._judge.judge(case, run)
        for file in run.files:
            file.unlink()
        wall, processor = ((clock() - start) / len(records) for clock, start in zip(clocks, started, strict=True))
        return [replace(record, seconds=wall, processor_seconds=processor) for record in records]


_worker: Worker


def _start(seed: int, models: Path, deadline: float) -> None:
    global _worker
    _worker = Worker(seed, models, deadline)


def _run(work: Work) -> list[PhotoRecord]:
    return _worker.run(work)


def run_all(
    seed: int, works: Sequence[Work], workers: int, models: Path, deadline: float
) -> Iterator[list[PhotoRecord]]:
    """The records of all cases that there is time for, each case's as soon as it is judged."""
    if workers == 1:
        yield from filter(None, map(Worker(seed, models, deadline).run, works))
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, _start, (seed, models, deadline)) as pool:
        yield from filter(None, pool.map(_run, works))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 1 if a face left unprotected or something else is not as promised."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="of people and pictures")
    parser.add_argument("--photos", type=int, default=20, help="how many photographs")
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument("--models", type=Path, help="models folder in ComfyUI's layout; by default the shipped weights")
    parser.add_argument("--json", action="store_true", help="print the figures as one last line of JSON")
    parser.add_argument("--report", type=Path, help="Markdown file to write the figures to")
    parser.add_argument("--journal", type=Path, help="file that records every photograph; a stopped run goes on in it")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="after which no other photograph is begun")
    options = parser.parse_args(arguments)
    from miniature.build import JUDGE_PACK
    from reverse_personalization.operating_point import pack_threshold

    from .journal import Journal, models_digest
    from .page import as_page
    from .pipeline import MODELS, Options, provide_models
    from .summary import failed, summarise

    deadline = time.time() + 60 * options.minutes
    with tempfile.TemporaryDirectory(prefix="hostile-") as temporary:
        models = options.models or provide_models(Path(temporary, "models"))
        run = {"seed": options.seed, "models": models_digest(models, MODELS), **asdict(Options())}
        journal = Journal(options.journal or Path(temporary, "journal"), json.loads(json.dumps(run)))
        done = journal.records()
        wanted = list(cases(options.photos))
        left = [work for work in wanted if work[0] not in done]
        for records in run_all(options.seed, left, options.workers, models, deadline) if left else ():
            journal.add(records)
            done[records[0].case] = records
            for record in records:
                print(_line(record), file=sys.stderr, flush=True)
        threshold = pack_threshold(models / JUDGE_PACK)
    records = [record for number, _ in wanted for record in done.get(number, [])]
    figures = summarise(records, threshold, Options().checker)
    page = as_page(figures, f"python -m tests.hostile --seed {options.seed} --photos {len(records)}")
    if options.report:
        options.report.write_text(page, encoding="utf-8")
    print(json.dumps(figures) if options.json else page)
    return int(failed(figures))


def _line(record: PhotoRecord) -> str:
    faces = ", ".join(
        f"{face.size:.0f}px {face.found or 'missed'} {face.status}{' UNPROTECTED' if face.unprotected else ''}"
        for face in record.faces
    )
    return f"{record.case} {record.kind}: {record.outcome} {record.processor_seconds:.1f} s; {faces} {record.error}"


if __name__ == "__main__":
    sys.exit(main())
