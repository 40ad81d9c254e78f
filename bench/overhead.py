"""What a run takes beside the network: its time over that of its evaluations alone.

One evaluation alone is the host's `apply_model`, the innermost call that has the adapter and all patches on it, asked a
second time at once for what it has just computed, in the middle of a run. Everything else counts as overhead: reading
and saving, faces, texts, VAE, guidance, the solver, the host's sampling and its executor.
"""

from __future__ import annotations

import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from torch import Tensor

from lab.evaluations import Call, around_evaluations, counted_evaluations

from .timing import Spread, Taken, spread, timed

SIMULATED = 0.05
"""Seconds of an evaluation when the network's time is simulated."""

ASKED_AGAIN = 4
"""Of so many calls one is asked a second time."""


@dataclass(frozen=True)
class Overhead:
    """How much longer a run takes than its evaluations.

    Attributes:
        measured: with the network's own time.
        simulated: with SIMULATED seconds an evaluation.
        measured_processor: as `measured`, of processor times.
        simulated_processor: as `simulated`, if what is not the network took its processor time and never waited for
            another process.
        bare: median milliseconds of one call alone, by its rows.
        beside: median seconds of a core that a run takes beside the network.
    """

    measured: Spread
    simulated: Spread
    measured_processor: Spread
    simulated_processor: Spread
    bare: Mapping[int, float]
    beside: float


def overhead(run: Callable[[], object], rounds: int) -> Overhead:
    """Measure it.

    Args:
        run: a warm run on a new photograph, or with another setting.
        rounds: 1 or more.
    """
    shares: dict[str, list[float]] = defaultdict(list)
    every: dict[int, list[float]] = defaultdict(list)
    beside = []
    for _ in range(rounds):
        bare = bare_calls(run)
        for rows, one in bare.items():
            every[rows].append(one.wall)
        with counted_evaluations() as counted:
            took = timed(run)
        shares["measured"].append(took.wall / sum(bare[rows].wall for rows in counted.rows))
        shares["measured processor"].append(took.processor / sum(bare[rows].processor for rows in counted.rows))
        with simulated_evaluations(SIMULATED) as simulated:
            took = timed(run)
        network = SIMULATED * simulated.evaluations
        shares["simulated"].append(took.wall / network)
        beside.append(took.processor - simulated.processor)
        shares["simulated processor"].append(1 + beside[-1] / network)
    return Overhead(
        spread(shares["measured"]),
        spread(shares["simulated"]),
        spread(shares["measured processor"]),
        spread(shares["simulated processor"]),
        {rows: 1000 * statistics.median(times) for rows, times in sorted(every.items())},
        statistics.median(beside),
    )


def bare_calls(run: Callable[[], object]) -> dict[int, Taken]:
    """What one call alone takes, by its rows: the median over a run.

    Args:
        run: a warm run.

    Raises:
        ValueError: the run does not evaluate the network.
    """
    times: dict[int, list[Taken]] = defaultdict(list)
    calls: Counter[int] = Counter()

    def ask_again(call: Call, rows: int) -> Tensor:
        prediction = call()
        calls[rows] += 1
        if calls[rows] % ASKED_AGAIN == 1:
            wall, processor = time.perf_counter(), time.process_time()
            call()
            times[rows].append(Taken(time.perf_counter() - wall, time.process_time() - processor))
        return prediction

    with around_evaluations(ask_again):
        run()
    if not times:
        raise ValueError("the run does not evaluate the network, so there is nothing to compare its time with")
    return {
        rows: Taken(statistics.median(one.wall for one in taken), statistics.median(one.processor for one in taken))
        for rows, taken in times.items()
    }


@dataclass
class Simulated:
    """What happened while evaluations were simulated.

    Attributes:
        evaluations: each row counted.
        processor: seconds that the network itself took within them.
    """

    evaluations: int = 0
    processor: float = 0.0


@contextmanager
def simulated_evaluations(seconds: float) -> Iterator[Simulated]:
    """Let every evaluation take this long while the `with` block lasts: the rest of the time is slept.

    Args:
        seconds: of each row; more than the network itself takes.
    """
    seen = Simulated()

    def sleep(call: Call, rows: int) -> Tensor:
        until, processor = time.perf_counter() + seconds * rows, time.process_time()
        prediction = call()
        seen.processor += time.process_time() - processor
        seen.evaluations += rows
        time.sleep(max(0.0, until - time.perf_counter()))
        return prediction

    with around_evaluations(sleep):
        yield seen
