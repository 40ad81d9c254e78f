"""How fast the batch command's journal is, and how large: `python -m lab.chaos.scale --jobs 1000000 --folder DIR`.

Writes what a batch writes of so many photographs, without servers: as many threads as the batch has slots on its
servers, each with one job at a time. With `--results`, also the files of a small result for each. What is done lies in
the folder; the same command goes on with it.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from batch import outputs
from batch.codes import ANONYMISED, Outcome
from batch.journal import DONE, FILE, PHOTOGRAPH, RUN, Journal, Trace
from lab.journal import JsonLines

SETTINGS = "0" * 64
SERVERS = tuple(f"http://gpu{number}:8188" for number in range(8))
SLOTS = 2 * len(SERVERS)

PICTURE = b"\x89PNG" * 500
"""Stands for a picture: what is measured is waiting for the disk, not its bandwidth."""

PARTS = 100
"""Into so many the jobs are divided; each one's time is noted when it is done."""

MARKS = "marks.jsonl"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m lab.chaos.scale", description=__doc__)
    parser.add_argument("--jobs", type=int, default=1_000_000, help="number of photographs (default: %(default)s)")
    parser.add_argument("--slots", type=int, default=SLOTS, help="jobs at a time (default: %(default)s)")
    parser.add_argument("--results", action="store_true", help="write the files of a small result for each job, too")
    parser.add_argument("--folder", type=Path, help="on the disk to measure; stays there (default: a temporary one)")
    parser.add_argument("--json", action="store_true", help="print the figures as one line of JSON")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        folder = options.folder or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        figures = measure(folder, options.jobs, options.slots, results=options.results)
    print(json.dumps(figures, indent=None if options.json else 2))
    return 0


def measure(folder: Path, jobs: int, slots: int = SLOTS, *, results: bool = False) -> dict[str, float]:
    """Write the journal of a batch and read it again; or go on with it.

    Args:
        folder: for the journal.
        jobs: number of photographs, above 0.
        slots: threads that run jobs.
        results: whether each gets files.

    Returns:
        "jobs", "slots"; "inputs_a_second" while the inputs are surveyed, without reading them; "jobs_a_second" while
        the batch runs; the same of the first and last tenth; "processor_seconds_a_job" while it runs;
        "seconds_to_conclude", to note that nothing is left on servers; "bytes_a_job" of the closed journal;
        "seconds_to_resume", until a second client knows what there is to do; "megabytes", the most that this process
        occupied.

    Raises:
        ValueError: the folder holds another measurement.
    """
    marks = JsonLines(folder / MARKS, {"jobs": jobs, "slots": slots, "results": results})
    noted = marks.entries()
    with contextlib.closing(Journal(folder)) as journal:
        if not any("inputs" in mark for mark in noted):
            started = time.perf_counter()
            # As the survey does: all inputs at once.
            with journal.together():
                for number in range(jobs):
                    write_input(journal, number)
            marks.append({"inputs": jobs, "seconds": time.perf_counter() - started})
        outputs.recover(folder, journal)
        left = left_to_do(journal, jobs)
        part = max(jobs // PARTS, 1)
        for start in range(0, len(left), part):
            numbers = left[start : start + part]
            wall, processor = time.perf_counter(), time.process_time()
            _run(journal, numbers, slots, folder if results else None)
            took = {"seconds": time.perf_counter() - wall, "processor": time.process_time() - processor}
            marks.append({"done": len(numbers), **took})
        started = time.perf_counter()
        # As at the end of a batch: what is on servers is known until somebody has looked whether it is gone.
        journal.gone(journal.traces())
        concluded = time.perf_counter() - started
    started = time.perf_counter()
    with contextlib.closing(Journal(folder)) as journal:
        unfinished, traces = len(left_to_do(journal, jobs)), len(journal.traces())
        resumed = time.perf_counter() - started
    if unfinished or traces:
        raise RuntimeError(
            f"the journal still has {unfinished} jobs to do and {traces} traces on servers; expected none"
        )
    entries = marks.entries()
    [surveyed] = [mark["seconds"] for mark in entries if "inputs" in mark]
    done = [mark for mark in entries if "done" in mark]
    tenth = max(len(done) // 10, 1)
    return {
        "jobs": jobs,
        "slots": slots,
        "inputs_a_second": round(jobs / surveyed, 1),
        "jobs_a_second": _rate(done),
        "first_tenth": _rate(done[:tenth]),
        "last_tenth": _rate(done[-tenth:]),
        "processor_seconds_a_job": round(sum(mark["processor"] for mark in done) / sum(m["done"] for m in done), 6),
        "seconds_to_conclude": round(concluded, 2),
        "bytes_a_job": round((folder / FILE).stat().st_size / jobs, 1),
        "seconds_to_resume": round(resumed, 2),
        "megabytes": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def _rate(marks: Sequence[dict[str, float]]) -> float:
    return round(sum(mark["done"] for mark in marks) / sum(mark["seconds"] for mark in marks), 1)


def _run(journal: Journal, numbers: Sequence[int], slots: int, folder: Path | None) -> None:
    """Run jobs, as many at a time as there are slots."""
    waiting, taking = iter(numbers), threading.Lock()
    errors: list[BaseException] = []

    def taken() -> Iterator[int]:
        while not errors:
            with taking:
                number = next(waiting, None)
            if number is None:
                return
            yield number

    def work() -> None:
        try:
            for number in taken():
                write_job(journal, number, folder)
        except BaseException as error:  # noqa: BLE001 - raised again below
            errors.append(error)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(slots)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for error in errors:
        raise error


def write_input(journal: Journal, number: int) -> None:
    """Write what the survey writes of one new photograph."""
    photograph = _photograph(number)
    journal.know(_name(number), f"{number} 4000000 1575000000", photograph)
    journal.job(photograph, SETTINGS)


def left_to_do(journal: Journal, jobs: int) -> list[int]:
    """Look for what there is to do, as the survey does: input by input, without reading their files."""
    left = []
    with journal.together():
        for number in range(jobs):
            known = journal.input(_name(number))
            if known is None or known[1] is None or journal.job(known[1], SETTINGS).state != DONE:
                left.append(number)
    return left


def write_job(journal: Journal, number: int, folder: Path | None = None) -> None:
    """Write all that running one photograph writes, in its order; with a folder, the files of its result too."""
    photograph = _photograph(number)
    server = SERVERS[number % len(SERVERS)]
    traces = (
        Trace(server, PHOTOGRAPH, f"photograph-{photograph[:32]}", False),
        Trace(server, RUN, photograph[:36], False),
    )
    journal.leave(*traces)
    outcome = Outcome(ANONYMISED, ANONYMISED, "every face was changed", 3)
    if folder is None:
        journal.writing(photograph, SETTINGS, outcome, ".png", (photograph, photograph))
        journal.saved(photograph, SETTINGS)
    else:
        report = outputs.report_bytes({"photograph": photograph})
        outputs.save(folder, journal, (photograph, SETTINGS), outcome, (PICTURE, ".png"), report)
    journal.abandon(traces)
    journal.deleted(traces)


def _name(number: int) -> str:
    return f"/archive/2019/{number:08}.jpg"


def _photograph(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
