"""Breaks batches on purpose: `python -m lab.chaos --runs 30 --photos 100 --seed 1`.

Each run is a batch of small photographs on two real servers with the miniature. While it goes on, one kind of fault
strikes at random moments; then the client is started again until it has nothing left to do. The last line counts what
was lost, doubled or cut short, and what is still on a server.
"""

from __future__ import annotations

import os

# Networks this small finish before a second thread wakes up.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from batch.codes import FAILED
from batch.manifest import FILE as MANIFEST
from lab.journal import JsonLines

from .count import Count, count
from .faults import FAULTS
from .page import as_page
from .photographs import write_photographs
from .stage import Backend, Stage, quick_workflow, servers, small_disk

MOST_RESUMES = 12
"""How often a run is resumed before it counts as stuck."""

DONE = (0, 1, 3)
"""Exit codes of a client that has nothing left to do: all is well, some are blocked, some failed."""

STRIKES = (1, 3)
"""Least and most faults in a run."""

WRONG = ("lost", "doubled", "truncated", "left_on_servers", "wrong", "changed")
"""What is counted, and must be 0."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return 1 if anything is wrong."""
    parser = argparse.ArgumentParser(prog="python -m lab.chaos", description=__doc__)
    parser.add_argument("--runs", type=int, default=30, help="number of batches (default: %(default)s)")
    parser.add_argument("--photos", type=int, default=100, help="photographs in each (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of people, faults and moments (default: %(default)s)")
    parser.add_argument("--servers", type=int, default=2, help="number of servers (default: %(default)s)")
    parser.add_argument("--fault", choices=FAULTS, action="append", help="only these faults; may be repeated")
    parser.add_argument("--report", type=Path, help="Markdown file for the log")
    parser.add_argument("--journal", type=Path, help="file of finished runs, after which the same command goes on")
    parser.add_argument("--json", action="store_true", help="print the counts as one line of JSON")
    options = parser.parse_args(arguments)
    kinds = options.fault or list(FAULTS)
    with tempfile.TemporaryDirectory(prefix="chaos-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        settings = {"photos": options.photos, "seed": options.seed, "servers": options.servers, "kinds": kinds}
        journal = JsonLines(options.journal or folder / "journal", settings)
        expected = write_photographs(folder / "photographs", options.seed, options.photos)
        rows: list[dict[str, Any]] = []
        seen: dict[str, str] = {}
        for row, results in journal.entries():
            rows.append(row)
            seen |= results
        with servers(folder, options.servers) as backends:
            for number in range(len(rows), options.runs):
                kind = kinds[number % len(kinds)]
                chance = random.Random(f"{options.seed} {number}")
                found, told = run(folder / f"run {number}", folder / "photographs", backends, kind, chance, expected)
                changed = sum(seen.setdefault(key, value) != value for key, value in found.results.items())
                rows.append({"run": number, "fault": kind, **told, **_figures(found), "changed": changed})
                journal.append([rows[-1], found.results])
                print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
                for note in found.notes:
                    print(f"  {note}", file=sys.stderr, flush=True)
                if options.report is not None:
                    # After each run: hours of work must not be lost with the last.
                    options.report.write_text(
                        as_page(rows, _sums(rows, options.photos), options.seed), encoding="utf-8"
                    )
    totals = _sums(rows, options.photos)
    print(json.dumps(totals, indent=None if options.json else 2))
    return int(any(totals[key] for key in WRONG))


def _sums(rows: Sequence[dict[str, Any]], photos: int) -> dict[str, int]:
    sums = {key: sum(row.get(key, 0) for row in rows) for key in (*WRONG, "skipped")}
    return {"runs": len(rows), "photos": photos} | sums


def run(
    scratch: Path,
    inputs: Path,
    backends: Sequence[Backend],
    kind: str,
    chance: random.Random,
    expected: dict[str, str],
) -> tuple[Count, dict[str, Any]]:
    """Break one batch, resume it until it is done, and count."""
    scratch.mkdir()
    with small_disk(scratch / "disk") as is_small:
        if kind == "disk full" and not is_small:
            return Count(), {"skipped": 1}
        stage = Stage(backends, inputs, scratch / "disk", scratch)
        stage.write(quick_workflow())
        started = time.monotonic()
        client = stage.start_client()
        strikes = resumes = 0
        for _ in range(chance.randint(*STRIKES)):
            if _ended_within(client, chance.uniform(0.5, 6)):
                break
            FAULTS[kind](stage, chance)
            strikes += 1
            if client.poll() is not None:
                client = stage.start_client()
                resumes += 1
        code = _finish(client)
        while code not in DONE or _has_more_to_do(stage, expected):
            if resumes >= MOST_RESUMES:
                break
            resumes += 1
            # What failed because a server was down is tried again.
            code = _finish(stage.start_client("--retry", "failed"))
        found = count(stage.out / "results", inputs, expected, backends)
        seconds = round(time.monotonic() - started)
        return found, {"strikes": strikes, "resumes": resumes, "exit": code, "seconds": seconds}


def _has_more_to_do(stage: Stage, expected: dict[str, str]) -> bool:
    """Whether something failed that is not expected to."""
    manifest = stage.out / "results" / MANIFEST
    if not manifest.is_file():
        return True
    entries = [json.loads(line) for line in manifest.read_text(encoding="utf-8").splitlines()]
    return any(entry["status"] == FAILED != expected.get(Path(entry["input"]).name) for entry in entries)


def _ended_within(client: Any, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if client.poll() is not None:
            return True
        time.sleep(0.05)
    return False


def _finish(client: Any) -> int:
    client.communicate()
    code: int = client.returncode
    return code


def _figures(found: Count) -> dict[str, int]:
    return {key: getattr(found, key) for key in ("lost", "doubled", "truncated", "left_on_servers", "wrong")}


if __name__ == "__main__":
    sys.exit(main())
