"""Measures the batch command on many photographs: `python -m bench.thousands --photos 500`.

Three ways take turns, block by block: the server's own queue, fed with all photographs of a block at once; the batch
command on that server; and the batch command on two servers. With `--folder`, the same command goes on where it was.
"""

from __future__ import annotations

import os

# Networks this small finish before a second thread wakes up; the servers inherit this.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from batch.workflow import Prepared, prepare
from harness.environment import SetupError
from harness.whole_text import write_whole
from harness.workflow import Workflow, fill_in, read_shipped, with_inputs
from lab.journal import JsonLines
from miniature.workflow import DEFAULT_SCALE, SIDE, on_miniature

from .photographs import Portraits
from .thousands_page import Figures, as_page, figures_of
from .turns import SLOTS, Command, Direct, Way, measured_servers

DIRECT, ONE, TWO = "direct", "one", "two"
"""The server's own queue, and the command on one server and on two."""

SIMULATED = 0.05
"""Seconds of an evaluation on a GPU, as `overhead.SIMULATED`, for the comparison of two servers with one."""

LARGEST_BLOCK = 50


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.thousands", description=__doc__)
    parser.add_argument("--photos", type=int, default=500, help="photographs of each way (default: %(default)s)")
    parser.add_argument("--block", type=int, default=10, help="photographs of a turn (default: %(default)s)")
    parser.add_argument(
        "--evaluation", type=float, default=SIMULATED, metavar="S", help="of the network (default: %(default)s s)"
    )
    parser.add_argument("--no-second", action="store_true", help="leave out the two servers")
    parser.add_argument("--folder", type=Path, help="for everything; stays there (default: a temporary one)")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON in the last line")
    parser.add_argument("--document", type=Path, metavar="PAGE", help="Markdown file to write")
    options = parser.parse_args(arguments)
    # The last block must be as large as the others, and every slot of two servers needs a photograph in each.
    if not 2 * SLOTS <= options.block <= LARGEST_BLOCK or options.photos % options.block:
        parser.error(f"expected --block from {2 * SLOTS} to {LARGEST_BLOCK}, and --photos a multiple of it")
    with tempfile.TemporaryDirectory(prefix="thousands-", ignore_cleanup_errors=True) as name:
        folder = (options.folder or Path(name)).resolve()
        ways = (DIRECT, ONE) if options.no_second else (DIRECT, ONE, TWO)
        marks = measure(folder, options.photos, options.block, options.evaluation, ways)
    found = figures_of(marks, options.evaluation)
    command = " ".join([".venv/bin/python -m bench.thousands", *(sys.argv[1:] if arguments is None else arguments)])
    page = as_page(found, command)
    if options.document:
        write_whole(options.document, page)
        print(f"{options.document} is written")
    else:
        print(page)
    if options.json:
        print(json.dumps(asdict(found)), flush=True)
    return 0


def measure(
    folder: Path, photographs: int, block: int, evaluation: float, ways: Sequence[str] = (DIRECT, ONE, TWO)
) -> list[dict[str, Any]]:
    """Let the ways take turns until each has done all photographs.

    Args:
        folder: for everything; what an earlier call has done in it is not done again.
        photographs: of each way.
        block: photographs of a turn.
        evaluation: seconds of the network, simulated where the miniature is faster.
        ways: of DIRECT, ONE and TWO.

    Returns:
        what each turn took, in order: "way", "block", "photographs", "seconds", "last", "memory" and "session", which
        counts calls of this function.

    Raises:
        ValueError: the folder holds another measurement.
    """
    folder.mkdir(parents=True, exist_ok=True)
    run = {"photographs": photographs, "block": block, "evaluation": evaluation, "ways": list(ways)}
    marks = JsonLines(folder / "marks.jsonl", run)
    before = marks.entries()
    session = 1 + max((mark["session"] for mark in before), default=0)
    inputs = _photographs(folder / "photographs", photographs)
    workflow = folder / "workflow.json"
    workflow.write_text(json.dumps(cheap_workflow()), encoding="utf-8")
    prepared = prepare(cheap_workflow())
    done = {way: {mark["block"] for mark in before if mark["way"] == way} for way in ways}
    if all(len(blocks) == photographs // block for blocks in done.values()):
        return before
    with measured_servers(folder, 3 if TWO in ways else 1, evaluation) as servers:
        first, *others = servers
        for path in inputs:
            (first.base_directory / "input" / path.name).write_bytes(path.read_bytes())
        taking: dict[str, Way] = {
            DIRECT: Direct(first, prepared),
            ONE: Command([first], folder / "photographs", folder / ONE, workflow),
            TWO: Command(others, folder / "photographs", folder / TWO, workflow),
        }
        ended: set[str] = set()
        try:
            _warm_up(servers, prepared, inputs[0])
            for number in range(photographs // block):
                # What one way leaves to the next, such as a busy disk, falls on each of them in turn.
                for way in ways if number % 2 == 0 else tuple(reversed(ways)):
                    if way in ended or number in done[way]:
                        continue
                    took = taking[way].block(inputs[number * block : (number + 1) * block])
                    marks.append(
                        {"way": way, "block": number, "photographs": block, "session": session, **asdict(took)}
                    )
                    print(json.dumps(marks.entries()[-1]), file=sys.stderr, flush=True)
                    if took.last:
                        ended.add(way)
        finally:
            for one in taking.values():
                one.close()
    return marks.entries()


def _warm_up(servers: Sequence[Any], prepared: Prepared, photograph: Path) -> None:
    """Let every server load its models."""
    for server in servers:
        name = f"first {photograph.name}"
        (server.base_directory / "input" / name).write_bytes(photograph.read_bytes())
        Direct(server, prepared).block([Path(name)])


def cheap_workflow() -> Workflow:
    """The shipped workflow of a group for portraits of the miniature's size: one scale, and no larger search."""
    shipped = fill_in(on_miniature(read_shipped("group-photo")), "photograph.png", {})
    inputs: Mapping[str, dict[str, Any]] = {
        "FaceEmbed": {"det_size": SIDE, "search_turned": False},
        "ReverseIdentityEditRetry": {"scales": f"{DEFAULT_SCALE:g}"},
        "ReverseIdentityCheck": {"det_size": SIDE, "second_search": False},
    }
    return with_inputs(shipped, **inputs)


def _photographs(folder: Path, count: int) -> list[Path]:
    """Portraits of one person in other light, which all cost the same; those that are there already are kept."""
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{number:06}.png" for number in range(count)]
    if not all(path.exists() for path in paths):
        with tempfile.TemporaryDirectory(dir=folder.parent) as name:
            portraits = Portraits(Path(name))
            for path in paths:
                portraits.new().rename(path)
    return paths


__all__ = ["Figures", "measure"]

if __name__ == "__main__":
    try:
        sys.exit(main())
    except SetupError as error:
        sys.exit(f"error: {error}")
