"""What the turns of the batch command and of a server's own queue come to, as figures and as a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lab.measuring.report import table

from .timing import Spread, spread

AFTER = 20
"""Photographs after which memory must not grow."""


@dataclass(frozen=True)
class Figures:
    """What was measured.

    Attributes:
        photographs: of each way, in turns that all ways have had.
        block: photographs of a turn.
        evaluation: seconds of the network.
        seconds_a_photograph: by way, the sum of all turns, with the beginning and the end of the command.
        batch_ratio: time of the command over that of the queue, all together.
        block_ratio: the same turn by turn, without the first and the last.
        overhead: milliseconds a photograph that the command takes besides, median of those turns.
        growth: of the most memory, in percent from photograph AFTER to the last, by process.
        megabytes: the most that each occupied.
        two_servers: how many times faster two servers were in those turns; None if they were not measured.
    """

    photographs: int
    block: int
    evaluation: float
    seconds_a_photograph: dict[str, float]
    batch_ratio: float
    block_ratio: Spread
    overhead: float
    growth: dict[str, float]
    megabytes: dict[str, float]
    two_servers: Spread | None


def figures_of(marks: Sequence[dict[str, Any]], evaluation: float) -> Figures:
    """The figures of all turns.

    Args:
        marks: from `thousands.measure`.
        evaluation: seconds of the network.

    Raises:
        ValueError: there are too few turns.
    """
    seconds: dict[str, dict[int, float]] = {}
    for mark in marks:
        seconds.setdefault(mark["way"], {})[mark["block"]] = mark["seconds"]
    blocks = sorted(set.intersection(*(set(one) for one in seconds.values())))
    # The first turn of the command starts it, and the last one ends it.
    inner = blocks[1:-1]
    if not inner:
        raise ValueError(f"each way had {len(blocks)} turns; expected 3 or more")
    size = marks[0]["photographs"]
    direct, one, two = (seconds.get(way, {}) for way in ("direct", "one", "two"))
    growth, megabytes = _memory([mark for mark in marks if mark["way"] == "one"])
    ratios = spread([one[block] / direct[block] for block in inner])
    faster = spread([one[block] / two[block] for block in inner]) if two else None
    return Figures(
        photographs=size * len(blocks),
        block=size,
        evaluation=evaluation,
        seconds_a_photograph={
            way: round(sum(took[block] for block in blocks) / size / len(blocks), 4) for way, took in seconds.items()
        },
        batch_ratio=round(sum(one[block] for block in blocks) / sum(direct[block] for block in blocks), 4),
        block_ratio=ratios,
        overhead=round(1000 * spread([(one[block] - direct[block]) / size for block in inner]).median, 1),
        growth=growth,
        megabytes=megabytes,
        two_servers=faster,
    )


def _memory(marks: Sequence[dict[str, Any]]) -> tuple[dict[str, float], dict[str, float]]:
    """Growth in percent of each process, and the most megabytes, of the longest session."""
    sessions: dict[int, list[dict[str, Any]]] = {}
    for mark in marks:
        sessions.setdefault(mark["session"], []).append(mark)
    longest = max(sessions.values(), key=len)
    done = 0
    before: dict[str, int] = {}
    last: dict[str, int] = {}
    for mark in longest:
        done += mark["photographs"]
        last |= mark["memory"]
        if done >= AFTER and not before:
            before = dict(mark["memory"])
    growth = {name: round(100 * (last[name] / size - 1), 2) for name, size in before.items() if name in last}
    if "client with its last pages" in last and "client" in before:
        growth["client with its last pages"] = round(
            100 * (last["client with its last pages"] / before["client"] - 1), 2
        )
    return growth, {name: round(size / 2**20, 1) for name, size in last.items()}


def as_page(found: Figures, command: str) -> str:
    """Write the page.

    Args:
        found: the figures.
        command: that measured them.
    """
    seconds = found.seconds_a_photograph
    rows = [
        ("the server's own queue, all photographs of a turn at once", f"{seconds['direct']:.3f}", "1"),
        ("the batch command", f"{seconds['one']:.3f}", f"{found.batch_ratio:.3f}"),
    ]
    if "two" in seconds:
        rows.append(
            ("the batch command on two servers", f"{seconds['two']:.3f}", f"{seconds['two'] / seconds['direct']:.3f}")
        )
    memory = [(name, f"{size:,.1f}", f"{found.growth.get(name, 0):.2f} %") for name, size in found.megabytes.items()]
    return f"""# The batch command beside a server's own queue

    {command}

made this page: {found.photographs} portraits of 128 pixels each way, through `group-photo` with the
[miniature](miniature.md) at one scale. An evaluation of the network lasts {1000 * found.evaluation:g} ms, about what a
GPU needs for SDXL; what the miniature does not need of it is slept, because this machine has no GPU, and few cores. All
ways take turns within one run, {found.block} photographs each time, so that what else the machine does falls on all of
them. The command is one process from beginning to end; while it is not its turn, its uploads wait.

## Time

{table(["way", "seconds a photograph", "times the queue"], rows)}

The command's time is whole: with its start, its list of inputs, its look whether anything is left, and its contact
sheet. Without these, turn by turn, it takes {found.block_ratio} times as long as the queue, which is
{found.overhead:g} ms a photograph.
{_two(found)}
## Memory

{table(["process", "most megabytes", f"growth after {AFTER} photographs"], memory)}

*With its last pages* is what the command occupies when it has written its contact sheet at the end.
"""


def _two(found: Figures) -> str:
    if found.two_servers is None:
        return ""
    return (
        f"\nTwo servers are {found.two_servers} times as fast as one, with the network's time simulated as above: "
        "two real ones would share this machine's cores.\n"
    )
