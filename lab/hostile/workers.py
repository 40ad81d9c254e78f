"""Runs cases in one or more processes. This is a module of its own because pool processes cannot see `__main__`."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch

from ..evaluations import counted_evaluations
from .cases import SLOW_KINDS, draw_case
from .judging import Judge, PhotoRecord
from .ordinary import ordinary_case, ordinary_options
from .pipeline import Options, Pipeline, known_models

COMPARED_EVERY = 4
"""Every how many cases one is also run at scale 0, to measure the seam, and at the first scale alone."""

Work = tuple[int, int]
"""Number of a case, and how many photographs it may still draw."""

Record = TypeVar("Record")


class Worker(ABC, Generic[Record]):
    """Runs cases one after the other. Creating one registers the models with the host of its process."""

    def __init__(self, seed: int, models: Path, deadline: float) -> None:
        torch.set_num_threads(1)
        self._models = ExitStack()
        self._models.enter_context(known_models(models))
        self._seed, self._deadline = seed, deadline

    def __call__(self, work: Work) -> list[Record]:
        """Return the records of a case's photographs, or none if time is up."""
        return [] if time.time() > self._deadline else self.records(self._seed, *work)

    @abstractmethod
    def records(self, seed: int, number: int, left: int) -> list[Record]:
        """Return the records of a case; takes the arguments of `draw_case`."""


class Runner(Worker[PhotoRecord]):
    """Runs cases through the whole graph and judges them."""

    def __init__(self, seed: int, models: Path, deadline: float, ordinary: bool) -> None:
        super().__init__(seed, models, deadline)
        self._pipeline, self._ordinary = Pipeline(), ordinary
        self._options = options_of(ordinary)
        self._judge = Judge(self._options.checker)

    def records(self, seed: int, number: int, left: int) -> list[PhotoRecord]:
        """Draw a case, run it and judge it."""
        clocks = (time.perf_counter, time.process_time)
        started = [clock() for clock in clocks]
        case = ordinary_case(seed, number) if self._ordinary else draw_case(seed, number, left)
        options = self._options
        if not self._ordinary:
            # A copy of a huge photograph takes half a gigabyte, and a crowd would take another minute.
            compared = case.kind not in SLOW_KINDS and number % COMPARED_EVERY == 0
            options = replace(options, first=compared, unchanged=compared)
        with counted_evaluations() as evaluations:
            run = self._pipeline.run(case, options)
        records = self._judge.judge(case, run)
        for file in run.files:
            file.unlink()
        wall, processor = ((clock() - start) / len(records) for clock, start in zip(clocks, started, strict=True))
        each = evaluations.count / len(records)
        return [replace(one, evaluations=each, seconds=wall, processor_seconds=processor) for one in records]


def options_of(ordinary: bool) -> Options:
    """How the graph is built for ordinary or hostile photographs."""
    return ordinary_options() if ordinary else Options()


_worker: Worker[Any]


def _start(make: Callable[[], Worker[Any]]) -> None:
    global _worker
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    _worker = make()


def _end_with(parent: int) -> None:
    """End the process when its parent has ended: a pool that is killed leaves its workers at work."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _run(work: Work) -> list[Any]:
    return _worker(work)


def run_all(make: Callable[[], Worker[Record]], works: Sequence[Work], workers: int) -> Iterator[list[Record]]:
    """Yield the records of each case as soon as it is done, until time is up.

    Args:
        make: picklable; makes the worker of a process.
        works: cases in the order in which they start.
        workers: number of processes.
    """
    if workers == 1:
        yield from filter(None, map(make(), works))
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, initializer=_start, initargs=(make,)) as pool:
        yield from filter(None, pool.map(_run, works))
