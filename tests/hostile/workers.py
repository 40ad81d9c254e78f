"""One process or several that run cases; a process of a pool cannot see what is in `__main__`."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import torch

from .cases import SLOW_KINDS, draw_case
from .judging import Judge, PhotoRecord
from .pipeline import Options, Pipeline, known_models

COMPARED_EVERY = 4
"""Cases of which one is also made at scale 0, for the seam."""

Work = tuple[int, int]
"""A case's number, and how many photographs are left for it."""


class Worker:
    """A host with the pack, and a judge; the models are known to it as long as the process lives."""

    def __init__(self, seed: int, models: Path, deadline: float) -> None:
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
        usual = case.kind not in SLOW_KINDS
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
