"""Runs a job with a host of its own, because a ComfyUI takes its command-line options once for each process."""

from __future__ import annotations

import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from harness.environment import ROOT
from harness.in_process import start_host_with

LINES_SHOWN = 20
"""Lines of a failed process's output that are shown."""


class Job(Protocol):
    """Something to do inside a host. A job and its results can be pickled.

    Attributes:
        options: of the host's command line.
    """

    @property
    def options(self) -> tuple[str, ...]:
        """Of the host's command line."""

    def run(self) -> Any:
        """Do it; the host has been started with the options."""


Runner = Callable[[Any], Any]
"""Runs a `Job` and returns its results."""


class JobError(RuntimeError):
    """A job's process ended with an error; the message ends with its output."""


def run_apart(job: Job) -> Any:
    """Run a job in a process of its own, whose host has the job's options.

    Returns:
        what the job's `run` returns.

    Raises:
        JobError: the process ended with an error.
    """
    with tempfile.TemporaryDirectory(prefix="device-job-") as folder:
        given, made = Path(folder, "job"), Path(folder, "results")
        given.write_bytes(pickle.dumps(job))
        command = [sys.executable, "-m", "lab.device.jobs", str(given), str(made)]
        finished = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
        if finished.returncode:
            said = "\n".join((finished.stdout + finished.stderr).strip().splitlines()[-LINES_SHOWN:])
            shown = " ".join(job.options) or "no options"
            raise JobError(f"ComfyUI with {shown} failed, exit code {finished.returncode}:\n{said}")
        return pickle.loads(made.read_bytes())


def main() -> None:
    """Run a pickled job: `python -m lab.device.jobs JOB RESULTS`."""
    given, made = map(Path, sys.argv[1:])
    job: Job = pickle.loads(given.read_bytes())
    start_host_with(job.options)
    made.write_bytes(pickle.dumps(job.run()))


if __name__ == "__main__":
    main()
