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
        "jobs"; "jobs_a_second" while the batch runs; the same of the first and last tenth; "bytes_a_job" of the closed
        file; "seconds_to_resume", until a second client knows what there is to do.
    """
    journal = Journal(folder)
    marks = [time.perf_counter()]
    tenth = max(jobs // 10, 1)
    for number in range(jobs):
        write_job(journal, number)
        if (number + 1) % tenth == 0:
            marks.append(time.perf_counter())
    seconds = time.perf_counter() - marks[0]
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
        "jobs_a_second": round(jobs / seconds, 1),
        "first_tenth": round(tenth / (marks[1] - marks[0]), 1),
        "last_tenth": round(tenth / (marks[-1] - marks[-2]), 1),
        "bytes_a_job": round(size / jobs, 1),
        "seconds_to_resume": round(resumed, 2),
    }


def write_job(journal: Journal, number: int) -> None:
    """Write all that the command writes of one photograph, in its order."""
    photograph = hashlib.sha256(str(number).encode()).hexdigest()
    journal.know(f"/archive/2019/{number:08}.jpg", f"{number} 4000000 1575000000", photograph)
    journal.job(photograph, SETTINGS)
    server = SERVERS[number % len(SERVERS)]
    traces = [Trace(server, PHOTOGRAPH, f"photograph-{photograph[:32]}", False)]
    traces.append(Trace(server, RUN, photograph[:36], False))
    for trace in traces:
        journal.leave(trace)
    outcome = Outcome(ANONYMISED, ANONYMISED, "every face was changed", 3)
    journal.writing(photograph, SETTINGS, outcome, Written(number + 1, ".png", photograph, photograph))
    journal.saved(photograph, SETTINGS)
    journal.abandon(traces)
    journal.deleted(traces)
    journal.gone(traces)


if __name__ == "__main__":
    sys.exit(main())
