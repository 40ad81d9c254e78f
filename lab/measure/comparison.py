"""Puts the people's numbers together: means, and differences between the ways, which are paired by person."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..measuring.report import number, table
from ..measuring.scores import mean
from .person import Row
from .ways import Way

DIGITS = {"yaw": 2, "pitch": 2, "gaze": 2, "background": 2}
"""Digits after the point in tables, where they are not 3."""

Figures = dict[str, Any]
"""Figures as JSON; None stands for what could not be measured."""


def figures_of(rows: Mapping[Way, Sequence[Row]]) -> Figures:
    """Summarise the rows of all ways.

    Args:
        rows: by way, every person's row, in the same order; at least one person.

    Returns:
        `ways`: by name, `evaluations` and the mean of every measure. `paired`: by name of every way but the first, for
        each measure, `difference` to the first.
    """
    first, *others = rows
    return {
        "ways": {way.name: {"evaluations": way.evaluations, **_means(rows[way])} for way in rows},
        "paired": {
            way.name: {name: difference(_column(rows[first], name), _column(rows[way], name)) for name in rows[way][0]}
            for way in others
        },
    }


def difference(before: np.ndarray, after: np.ndarray) -> tuple[float, float] | None:
    """Return the mean of paired differences and its standard error.

    Args:
        before: [N], NaN for a missing value.
        after: the same people's, [N].

    Returns:
        mean of after - before, and its standard error; None if fewer than two pairs are complete.
    """
    differences = after - before
    kept = differences[~np.isnan(differences)]
    if len(kept) < 2:
        return None
    return float(kept.mean()), float(kept.std(ddof=1) / math.sqrt(len(kept)))


def tables(figures: Figures) -> str:
    """Return the figures as Markdown tables: one row for each measure, one column for each way."""
    ways, paired = figures["ways"], figures["paired"]
    names = list(next(iter(ways.values())))
    parts = [
        table(
            ["mean", *ways],
            [
                [name, *(number(way[name], 0 if name == "evaluations" else _digits(name)) for way in ways.values())]
                for name in names
            ],
        )
    ]
    if paired:
        measures = names[1:]
        rows = [[name, *(_with_error(way[name], _digits(name)) for way in paired.values())] for name in measures]
        parts.append(table([f"less {next(iter(ways))}", *paired], rows))
    return "\n\n".join(parts)


def _means(rows: Sequence[Row]) -> Figures:
    return {name: mean(_column(rows, name)) for name in rows[0]}


def _column(rows: Sequence[Row], name: str) -> np.ndarray:
    return np.array([row[name] for row in rows], np.float64)


def _digits(name: str) -> int:
    return DIGITS.get(name, 3)


def _with_error(pair: tuple[float, float] | None, digits: int) -> str:
    return "-" if pair is None else f"{pair[0]:+.{digits}f} ± {pair[1]:.{digits}f}"
