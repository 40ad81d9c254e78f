"""Times ways of doing the same side by side, and says what the times amount to.

The machine that measures also does other work, so times of different minutes cannot be compared. Ways take turns, in
the reverse order every other round, and a ratio is taken within a round. Each run is timed twice over: by the clock on
the wall, and by the processor time that this process spends, which hardly depends on what else the machine does.
"""

from __future__ import annotations

import gc
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np


@dataclass(frozen=True)
class Taken:
    """What a run took, in seconds.

    Attributes:
        wall: from its beginning to its end.
        processor: of all cores, spent by this process.
    """

    wall: float
    processor: float


Times = dict[str, list[Taken]]
"""What each round took, by way."""

Clock = Literal["wall", "processor"]


@dataclass(frozen=True)
class Spread:
    """The middle of some figures, and how far they lie apart.

    Attributes:
        median: of the figures.
        least, most: the smallest and the largest.
    """

    median: float
    least: float
    most: float

    def __str__(self) -> str:
        return f"{self.median:.3g} ({self.least:.3g} to {self.most:.3g})"


def spread(figures: Sequence[float]) -> Spread:
    """The spread of figures.

    Raises:
        ValueError: there are none.
    """
    if not figures:
        raise ValueError("there are no figures; measure one round or more")
    return Spread(statistics.median(figures), min(figures), max(figures))


def alternately(ways: Mapping[str, Callable[[], object]], rounds: int) -> Times:
    """Time each way once a round.

    Args:
        ways: what to do, by name. A way does its preparation before it is called the next time, or itself.
        rounds: 1 or more.

    Returns:
        what each round took.
    """
    times: Times = {name: [] for name in ways}
    for number in range(rounds):
        # What one way leaves to the next, such as a busy processor, falls on each of them in turn.
        order = list(ways) if number % 2 == 0 else list(ways)[::-1]
        for name in order:
            times[name].append(timed(ways[name]))
    return times


def timed(run: Callable[[], object]) -> Taken:
    """Run once and say what it took."""
    gc.collect()
    wall, processor = time.perf_counter(), time.process_time()
    run()
    return Taken(time.perf_counter() - wall, time.process_time() - processor)


def seconds_of(times: Times, way: str, clock: Clock = "wall") -> Spread:
    """Seconds of a way's rounds, by a clock."""
    return spread([getattr(taken, clock) for taken in times[way]])


def ratio(times: Times, one: str, other: str, clock: Clock = "wall") -> Spread:
    """Time of one way over that of another by a clock, taken round by round."""
    return spread([getattr(a, clock) / getattr(b, clock) for a, b in zip(times[one], times[other], strict=True)])


@dataclass(frozen=True)
class Line:
    """A straight line through measured times.

    Attributes:
        constant: seconds that do not depend on the size.
        slope: seconds for each unit of the size.
        deviation: the largest distance of a point from the line, relative to the line.
        exponent: how time grows between the smallest and the largest size: 1 in proportion, 0 not at all.
    """

    constant: float
    slope: float
    deviation: float
    exponent: float


def line_through(sizes: Sequence[float], seconds: Sequence[float]) -> Line:
    """Fit a line so that relative distances are smallest, because noise is in proportion to a time.

    Args:
        sizes: two or more different ones, above 0.
        seconds: of each, above 0.

    Raises:
        ValueError: there are fewer than two sizes, or they are the same.
    """
    if len(set(sizes)) < 2:
        raise ValueError(f"a line needs two different sizes or more, not {list(sizes)}")
    x, y = np.asarray(sizes, float), np.asarray(seconds, float)
    constant, slope = np.linalg.lstsq(np.stack([1 / y, x / y], axis=1), np.ones(len(y)), rcond=None)[0]
    line = constant + slope * x
    first, last = int(x.argmin()), int(x.argmax())
    exponent = math.log(y[last] / y[first]) / math.log(x[last] / x[first])
    return Line(float(constant), float(slope), float(np.abs(y / line - 1).max()), exponent)


STRAIGHT = 0.15
"""Largest relative distance at which points are called a straight line."""


def in_words(line: Line, unit: str) -> str:
    """Say how time grows.

    Args:
        line: through the times.
        unit: name of one unit of the size, such as "step".
    """
    if line.deviation > STRAIGHT:
        return (
            f"No straight line: points lie up to {line.deviation:.0%} off the best one. From the smallest to the "
            f"largest, time grows with the power {line.exponent:.2f}."
        )
    start = f"{line.constant:.2f} s and " if line.constant > 0 else ""
    return f"A straight line: {start}{line.slope:.3g} s for each {unit}. Points lie up to {line.deviation:.0%} off it."
