"""Worker processes of the hostile laboratory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.environment import ROOT

SLEEPS = """
import os, sys, time
from pathlib import Path
from lab.hostile.workers import run_all

class Sleeper:
    def __call__(self, work):
        Path(sys.argv[1], str(os.getpid())).touch()
        time.sleep(600)
        return []

if __name__ == "__main__":
    list(run_all(Sleeper, [(0, 1), (1, 1)], 2))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_workers_end_when_the_command_is_killed(tmp_path: Path) -> None:
    script, pids = tmp_path / "sleeps.py", tmp_path / "pids"
    script.write_text(SLEEPS, encoding="utf-8")
    pids.mkdir()
    command = subprocess.Popen(
        [sys.executable, str(script), str(pids)], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    workers: list[int] = []
    try:
        deadline = time.monotonic() + 120
        while len(workers) < 2 and time.monotonic() < deadline:
            workers = [int(file.name) for file in pids.iterdir()]
            time.sleep(0.2)
        assert len(workers) == 2
        command.kill()
        command.wait()
        while any(alive(pid) for pid in workers) and time.monotonic() < deadline:
            time.sleep(0.2)
        assert not any(alive(pid) for pid in workers)
    finally:
        command.kill()
        for pid in workers:
            if alive(pid):
                os.kill(pid, signal.SIGKILL)


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits for its parent does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
