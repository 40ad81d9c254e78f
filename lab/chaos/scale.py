"""How fast the batch command's journal is, and how large: `python -m lab.chaos.scale --jobs 1000000`.

Writes what a batch writes of so many photographs, without servers and without pictures.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from batch.codes import ANONYMISED, Outcome
from batch.journal import PHOTOGRAPH, RUN, Journal, Trace, Written

SETTINGS = "0" * 64
SERVERS = tuple(f"http://gpu{number}:8188" for number in range(8))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m lab.chaos.scale", description=__doc__)
    parser.add_argument("--jobs", type=int, default=1_000_000, help="number of photographs (default: %(default)s)")
    parser.add_argument("--folder", type=Path, help="on the disk to measure (default: the one for temporary files)")
    parser.add_argument("--json", action="store_true", help="print the figures as one line of JSON")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        figures = measure(Path(name), options.jobs)
    print(json.dumps(figures, indent=None if options.json else 2))
    return 0


def measure(folder: Path, jobs: int) -> dict[str, float]:
    """Write the journal of a batch and read it again.

    Args:
        folder: for the journal.
        jobs: number of photographs, above 0.

    Returns:
        "jobs"; "inputs_a_second" while the inputs are surveyed, without reading them; "jobs_a_second" while the batch
        runs; the same of the first and last tenth; "processor_seconds_a_job" while it runs; "seconds_to_conclude", to
        note that nothing is left on servers; "bytes_a_job" of the closed file; "seconds_to_resume", until a second
        client knows what there is to do.
    """
    journal = Journal(folder)
    started = time.perf_counter()
    # As the survey does: all inputs at once.
    with journal.together():
        for number in range(jobs):
            write_input(journal, number)
    surveyed = time.perf_counter() - started
    marks = [time.perf_counter()]
    processor = time.process_time()
    tenth = max(jobs // 10, 1)
    for number in range(jobs):
        write_job(journal, number)
        if (number + 1) % tenth == 0:
            marks.append(time.perf_counter())
    seconds = time.perf_counter() - marks[0]
    processor = time.process_time() - processor
    started = time.perf_counter()
    # As at the end of a batch: what is on servers is known until somebody has looked whether it is gone.
    journal.gone(journal.traces())
    concluded = time.perf_counter() - started
    journal.close()
    size = sum(path.stat().st_size for path in folder.iterdir())
    started = time.perf_counter()
    journal = Journal(folder)
    known = len(journal.inputs()), len(journal.jobs(SETTINGS)), len(journal.traces())
    resumed = time.perf_counter() - started
    journal.close()
    if known != (jobs, jobs, 0):
        raise RuntimeError(f"the journal knows {known} inputs, jobs and traces; expected {jobs}, {jobs} and 0")
    return {
        "jobs": jobs,
        "inputs_a_second": round(jobs / surveyed, 1),
        "jobs_a_second": round(jobs / seconds, 1),
        "first_tenth": round(tenth / (marks[1] - marks[0]), 1),
        "last_tenth": round(tenth / (marks[-1] - marks[-2]), 1),
        "processor_seconds_a_job": round(processor / jobs, 6),
        "seconds_to_conclude": round(concluded, 2),
        "bytes_a_job": round(size / jobs, 1),
        "seconds_to_resume": round(resumed, 2),
    }


def write_input(journal: Journal, number: int) -> None:
    """Write what the survey writes of one new photograph."""
    photograph = _photograph(number)
    journal.know(f"/archive/2019/{number:08}.jpg", f"{number} 4000000 1575000000", photograph)
    journal.job(photograph, SETTINGS)


def write_job(journal: Journal, number: int) -> None:
    """Write all that running one photograph writes, in its order."""
    photograph = _photograph(number)
    server = SERVERS[number % len(SERVERS)]
    traces = [Trace(server, PHOTOGRAPH, f"photograph-{photograph[:32]}", False)]
    traces.append(Trace(server, RUN, photograph[:36], False))
    for trace in traces:
        journal.leave(trace)
    outcome = Outcome(ANONYMISED, ANONYMISED, "every face was changed", 3)
    written = Written(journal.next_number(), ".png", photograph, photograph)
    journal.writing(photograph, SETTINGS, outcome, written)
    journal.saved(photograph, SETTINGS)
    journal.abandon(traces)
    journal.deleted(traces)


def _photograph(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
