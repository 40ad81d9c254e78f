"""How often a workflow evaluates the network for each face, and how long the whole takes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from reverse_personalization.method.evaluations import (
    FAST,
    PURIFIED,
    STEPS,
    of_edit,
    of_further_scale,
    of_inversion,
    of_replay,
)

from .workflow import Graph, is_link

INVERSIONS = ("DPMSolverInversion", "ReverseIdentityDDIMInversion")
CHECK = "ReverseIdentityCheck"


@dataclass(frozen=True)
class Evaluations:
    """Evaluations of the network for one face: `least` if the first scale suffices, `most` if none does."""

    least: int
    most: int

    def __add__(self, other: Evaluations) -> Evaluations:
        return Evaluations(self.least + other.least, self.most + other.most)


def per_face(graph: Graph) -> Evaluations:
    """Evaluations of the pack's nodes for each face that is changed; second passes and other packs are not counted."""
    found = Evaluations(0, 0)
    for node in graph.values():
        if node["class_type"] in _COUNTS:
            found += _COUNTS[node["class_type"]](graph, node["inputs"])
    return found


def changes(graph: Graph) -> bool:
    """Whether the workflow changes faces."""
    return any(node["class_type"] in CHANGING for node in graph.values())


@dataclass(frozen=True)
class Duration:
    """How long a batch takes, in seconds; from `least` to `most`."""

    least: float
    most: float

    def __str__(self) -> str:
        """For people: "about 2 h 10 min to 4 h"."""
        least, most = clock(self.least), clock(self.most)
        return f"about {least}" if least == most else f"about {least} to {most}"


def clock(seconds: float) -> str:
    """Seconds as people say them."""
    if seconds < 90:
        return f"{math.ceil(seconds)} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours >= 48:
        return f"{hours // 24} d {hours % 24} h"
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def _edit(graph: Graph, inputs: Mapping[str, Any]) -> Evaluations:
    return _once(of_edit(_steps(inputs), is_link(inputs.get("attributes")), _drawn(inputs)))


def _edit_retry(graph: Graph, inputs: Mapping[str, Any]) -> Evaluations:
    edit = _steps(inputs), is_link(inputs.get("attributes")), _drawn(inputs)
    return _retried(inputs, of_edit(*edit), of_further_scale(*edit))


def _sweep(graph: Graph, inputs: Mapping[str, Any]) -> Evaluations:
    edit = _steps(inputs), is_link(inputs.get("attributes"))
    return _once(of_edit(*edit) + (_scales(inputs) - 1) * of_further_scale(*edit))


def _inversion(graph: Graph, inputs: Mapping[str, Any]) -> Evaluations:
    return _once(of_inversion(_number(inputs, "steps")))


def _replay(graph: Graph, inputs: Mapping[str, Any]) -> Evaluations:
    return _once(of_replay(_recorded_steps(graph, inputs), _drawn(inputs)))


def _replay_retry(graph: Graph, inputs: Mapping[str, Any]) -> Evaluations:
    replay = of_replay(_recorded_steps(graph, inputs), _drawn(inputs))
    return _retried(inputs, replay, replay)


def _check(graph: Graph, inputs: Mapping[str, Any]) -> Evaluations:
    return _once(PURIFIED if is_link(inputs.get("model")) else 0)


_COUNTS: dict[str, Callable[[Graph, Mapping[str, Any]], Evaluations]] = {
    "ReverseIdentityEdit": _edit,
    "ReverseIdentityEditRetry": _edit_retry,
    "ReverseIdentityScaleSweep": _sweep,
    **dict.fromkeys(INVERSIONS, _inversion),
    "ReverseIdentityKSampler": _replay,
    "ReverseIdentityGuider": _replay,
    "ReverseIdentityRetrySampler": _replay_retry,
    CHECK: _check,
}

CHANGING = frozenset(_COUNTS) - {CHECK}
"""Classes of nodes that change faces, or begin to."""


def _drawn(inputs: Mapping[str, Any]) -> bool:
    """Whether a node draws faces towards a target."""
    return is_link(inputs.get("target")) and inputs.get("towards") != 0


def _once(evaluations: int) -> Evaluations:
    return Evaluations(evaluations, evaluations)


def _retried(inputs: Mapping[str, Any], first: int, further: int) -> Evaluations:
    """At one scale, and at all of them."""
    purified = PURIFIED if inputs.get("purify") is True else 0
    return Evaluations(first + purified, first + purified + (_scales(inputs) - 1) * (further + purified))


def _scales(inputs: Mapping[str, Any]) -> int:
    """How many there are."""
    return len(str(inputs.get("scales", "")).split(","))


def _steps(inputs: Mapping[str, Any]) -> int:
    return _number(inputs, "steps") or STEPS.get(str(inputs.get("quality")), STEPS[FAST])


def _recorded_steps(graph: Graph, inputs: Mapping[str, Any]) -> int:
    """Steps of the inversion that a trajectory comes from."""
    value: Any = inputs.get("trajectory")
    while is_link(value):
        node = graph[str(value[0])]
        if node["class_type"] in INVERSIONS:
            return _number(node["inputs"], "steps")
        value = node["inputs"].get("trajectory")
    return 0


def _number(inputs: Mapping[str, Any], name: str) -> int:
    """A whole number, or 0 if it is linked or not given."""
    value = inputs.get(name, 0)
    return value if isinstance(value, int) else 0
