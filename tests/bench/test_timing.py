"""The statistics of the benchmarks: turns, spreads, ratios, lines."""

from __future__ import annotations

import pytest

from bench import timing
from bench.timing import Spread, Taken, alternately, in_words, line_through, ratio, seconds_of, spread


class Ticking:
    """Clocks that run as they are told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wall = self.processor = 100.0
        monkeypatch.setattr(timing.time, "perf_counter", lambda: self.wall)
        monkeypatch.setattr(timing.time, "process_time", lambda: self.processor)

    def take(self, wall: float, processor: float) -> None:
        self.wall += wall
        self.processor += processor


def test_ways_take_turns_in_both_orders(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, order = Ticking(monkeypatch), []

    def way(name: str, wall: float) -> None:
        order.append(name)
        clock.take(wall, wall / 2)

    times = alternately({"one": lambda: way("one", 3.0), "other": lambda: way("other", 2.0)}, 3)
    assert order == ["one", "other", "other", "one", "one", "other"]
    assert times == {"one": [Taken(3.0, 1.5)] * 3, "other": [Taken(2.0, 1.0)] * 3}


def test_a_ratio_is_taken_within_a_round() -> None:
    # The machine is ten times slower in the second round: the ratio of the medians would be 1.1.
    times = {"one": [Taken(2, 4), Taken(20, 6), Taken(2.2, 8)], "other": [Taken(1, 2), Taken(10, 2), Taken(2, 2)]}
    assert ratio(times, "one", "other") == Spread(2.0, 1.1, 2.0)
    assert ratio(times, "one", "other", "processor") == Spread(3.0, 2.0, 4.0)
    assert seconds_of(times, "one") == Spread(2.2, 2.0, 20.0)


def test_a_spread_needs_figures_and_is_written_short() -> None:
    assert spread([3.0, 1.0, 2.0, 10.0]) == Spread(2.5, 1.0, 10.0)
    assert str(Spread(1.23456, 1.0, 12.3456)) == "1.23 (1 to 12.3)"
    with pytest.raises(ValueError, match="one round or more"):
        spread([])


def test_a_line_is_found_again() -> None:
    line = line_through([1, 2, 4, 8], [1.5, 2.5, 4.5, 8.5])
    assert (line.constant, line.slope) == pytest.approx((0.5, 1.0))
    assert line.deviation == pytest.approx(0.0, abs=1e-9)
    assert 0.8 < line.exponent < 1.0
    assert in_words(line, "face") == "A straight line: 0.50 s and 1 s for each face. Points lie up to 0% off it."


def test_a_parabola_is_not_called_a_line() -> None:
    sizes = [1, 2, 4, 8]
    line = line_through(sizes, [size**2 for size in sizes])
    assert line.exponent == pytest.approx(2.0)
    assert in_words(line, "face").startswith("No straight line")
    assert "power 2.00" in in_words(line, "face")


def test_a_line_needs_two_sizes() -> None:
    with pytest.raises(ValueError, match=r"two different sizes or more, not \[2, 2\]"):
        line_through([2, 2], [1.0, 1.1])
