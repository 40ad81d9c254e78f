"""How often the ways of changing a face evaluate the network, as numbers alone: who only counts needs no torch."""

from __future__ import annotations

FAST, EXACT = "fast", "exact"
"""Names of the qualities of the one-pass edit; exact is the paper's."""

STEPS = {FAST: 8, EXACT: 100}
"""N of each quality."""

PURIFIED = 1
"""Evaluations for a purified copy of a face."""


def of_edit(steps: int, attributes: bool = False, target: bool = False) -> int:
    """Evaluations of an edit of one face in one pass.

    Args:
        steps: N.
        attributes: whether the branch without identity has a text of its own. Without one, it has the source's first
            prediction.
        target: whether the face is drawn towards a target.
    """
    return (4 if target else 3) * steps - (0 if attributes else 1)


def of_further_scale(steps: int, attributes: bool = False, target: bool = False) -> int:
    """Evaluations of the same edit at another scale, which does not need the source's N; arguments as for `of_edit`."""
    return of_edit(steps, attributes, target) - steps


def of_inversion(steps: int) -> int:
    """Evaluations of an inversion of one face in N steps, without guidance."""
    return steps


def of_replay(steps: int, target: bool = False) -> int:
    """Evaluations of a generation from N recorded steps.

    Args:
        steps: N.
        target: whether the face is drawn towards a target.
    """
    return (3 if target else 2) * steps
