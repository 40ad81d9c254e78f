"""What a photograph costs: each part's own time, and nothing left behind."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from harness.in_process import part
from lab.hostile import cost


class Ticking:
    """A clock that says what it is told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(cost.time, "process_time", lambda: self.now)


def test_a_parts_time_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    ticking, clock = Ticking(monkeypatch), cost.Clock()

    def inner() -> str:
        ticking.now += 3
        return "done"

    timed = clock.timed("inner", inner)

    def outer() -> str:
        ticking.now += 1
        said = timed()
        ticking.now += 2
        return str(said)

    with clock.counting("everything else"):
        ticking.now += 10
        assert clock.timed("outer", outer)() == "done"
        assert timed() == "done"
    assert clock.seconds == {"everything else": 10, "outer": 3, "inner": 6}


def test_a_part_that_fails_is_counted_too(monkeypatch: pytest.MonkeyPatch) -> None:
    ticking, clock = Ticking(monkeypatch), cost.Clock()

    def failing() -> None:
        ticking.now += 4
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"), clock.counting("around"):
        clock.timed("failing", failing)()
    assert clock.seconds == {"around": 0, "failing": 4}


def test_the_parts_are_those_of_the_pack_and_stay_as_they_were() -> None:
    pack_of = part("host.insight").FacePack
    own, clock = vars(pack_of)["embedding"], cost.Clock()
    stub: Any = SimpleNamespace(other_scale=False, recogniser=SimpleNamespace(opened=lambda: Recogniser()))
    face = part("reverse_personalization.geometry.faces").Detection((0, 0, 9, 9), ((1.0, 1.0),) * 5, 0.5)
    with cost.timed_parts(clock):
        assert pack_of.embedding(stub, np.zeros((9, 9, 3), np.uint8), face).tolist() == [1.0]
    assert set(clock.seconds) == {"embeddings"}
    assert vars(pack_of)["embedding"] is own


class Recogniser:
    """Embeds everything alike."""

    def get(self, picture: np.ndarray, face: Any) -> list[float]:
        return [1.0]


def test_what_is_outside_the_network_is_told_apart() -> None:
    clock = cost.Clock()
    clock.seconds.update({cost.NETWORK: 7.0, "embeddings": 1.5, "check": 2.0})
    face = SimpleNamespace(boxes=((1.2, 2.6, 30.1, 40.0),), said="anonymised")
    found = cost.figures(clock, SimpleNamespace(verdict=SimpleNamespace(images=((face,),))))  # type: ignore[arg-type]
    assert (found["total"], found["outside_network"]) == (10.5, 3.5)
    assert list(found["seconds"]) == [cost.NETWORK, "check", "embeddings"]
    assert (found["boxes"], found["statuses"]) == ([[1, 3, 30, 40]], ["anonymised"])
