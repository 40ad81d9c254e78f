"""The ways of running, by name."""

from __future__ import annotations

import math

import pytest

from lab.measure.ways import NAMED, Way, way_of, ways_of
from miniature.workflow import DEFAULT_SCALE, DENOISE
from reverse_personalization.method.guidance import DEFAULT_TOWARDS
from reverse_personalization.method.quality import EXACT, FAST


def test_the_named_ways_are_what_they_are_said_to_be() -> None:
    assert way_of("exact") == Way("exact", 100, EXACT, DENOISE, DEFAULT_SCALE)
    assert way_of("fast") == Way("fast", 8, FAST, DENOISE, DEFAULT_SCALE)
    assert (way_of("paper").denoise, way_of("paper").scale, way_of("paper").limit) == (0.3, -3.5, math.inf)
    assert all(name == way.name for name, way in NAMED.items())


def test_a_way_is_read_from_its_name() -> None:
    assert way_of("capped:6") == Way("capped:6", 6, FAST, DENOISE, DEFAULT_SCALE)
    assert way_of("free:25") == Way("free:25", 25, EXACT, DENOISE, DEFAULT_SCALE)
    assert way_of("free:9:0.3") == Way("free:9:0.3", 9, EXACT, 0.3, DEFAULT_SCALE)
    assert way_of("capped:9:0.4:-1.5") == Way("capped:9:0.4:-1.5", 9, FAST, 0.4, -1.5)
    drawn = "capped:9:0.4:-1.5:2:stranger"
    assert way_of(drawn) == Way(drawn, 9, FAST, 0.4, -1.5, towards=2.0, target="stranger")
    assert way_of("towards").towards == DEFAULT_TOWARDS


def test_every_step_has_three_evaluations_and_the_first_one_two() -> None:
    assert [way_of(name).evaluations for name in ("exact", "fast", "fast-12", "fast-4")] == [299, 23, 35, 11]
    assert way_of("capped:5:0.5:0").evaluations == 9
    assert [way_of(name).evaluations for name in ("towards", "capped:8:0.5:0:2")] == [31, 23]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("slow", 'no way "slow"; expected exact, fast'),
        ("slow:8", "no way"),
        ("capped", "no way"),
        ("capped:8:0.5:-2:9:stranger:1", "no way"),
        ("capped:8:0.5:-2:9:nobody", "expected synthetic, rotated"),
        ("capped:8:0.5:-2:-1", "at -1; expected"),
        ("capped:many", "something else than a number"),
        ("capped:8::-2", "something else than a number"),
        ("capped:1", "steps is 1"),
        ("capped:8:1.5", "denoise is 1.5"),
        ("free:500", "the largest number of steps"),
        ("exact,", 'no way ""'),
        ("exact,fast,exact", "named twice"),
    ],
)
def test_what_is_no_way_is_refused(names: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ways_of(names)


def test_ways_keep_the_order_of_the_list() -> None:
    assert [way.name for way in ways_of("fast, exact,capped:3")] == ["fast", "exact", "capped:3"]
