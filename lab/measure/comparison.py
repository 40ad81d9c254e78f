"""Puts the people's numbers together: means, and differences between the ways, which are paired by person."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..measuring.report import table
from ..measuring.scores import Floats
from .person import Row
from .ways import Way

DIGITS = {"yaw": 2, "pitch": 2, "gaze": 2, "background": 2}
"""Digits after the point in tables, where they are not 3."""

Figures = dict[str, Any]
"""Figures as JSON; None stands for what could not be measured."""


class MeanWithError(NamedTuple):
    """A mean and its standard error; None for what too few values say nothing of."""

    mean: float | None
    error: float | None


def figures_of(rows: Mapping[Way, Sequence[Row]]) -> Figures:
    """Summarise the rows of all ways.

    Args:
        rows: by way, every person's row, in the same order; at least one person.

    Returns:
        `ways`: by name, `evaluations` and the mean of every measure. `errors`: by name, the standard errors of these
        means. `paired`: by name of every way but the first, for each measure, `difference` to the first.
    """
    first, *others = rows
    spread = {way: {name: mean_with_error(_column(rows[way], name)) for name in rows[way][0]} for way in rows}
    return {
        "ways": {way.name: {"evaluations": way.evaluations, **_part(spread[way], 0)} for way in rows},
        "errors": {way.name: _part(spread[way], 1) for way in rows},
        "paired": {
            way.name: {
                name: mean_with_error(_column(rows[way], name) - _column(rows[first], name)) for name in rows[way][0]
            }
            for way in others
        },
    }


def mean_with_error(values: Floats) -> MeanWithError:
    """Return the mean of the values that are not NaN, and its standard error.

    Args:
        values: [N].

    Returns:
        the mean, None if there are no values; and its standard error, None if there are fewer than two.
    """
    kept = values[~np.isnan(values)]
    mean = float(kept.mean()) if len(kept) else None
    return MeanWithError(mean, float(kept.std(ddof=1) / math.sqrt(len(kept))) if len(kept) > 1 else None)


def tables(figures: Figures) -> str:
    """Return the figures as Markdown tables: one row for each measure, one column for each way."""
    ways, errors, paired = figures["ways"], figures["errors"], figures["paired"]
    first = next(iter(ways))
    means = [["evaluations", *(str(way["evaluations"]) for way in ways.values())]]
    for name in errors[first]:
        means.append([name, *(_cell(name, (ways[way][name], errors[way][name])) for way in ways)])
    parts = [table(["mean ± standard error", *ways], means)]
    if paired:
        rows = [[name, *(_cell(name, way[name], "+") for way in paired.values())] for name in errors[first]]
        parts.append(table([f"less {first}", *paired], rows))
    return "\n\n".join(parts)


def _part(spread: Mapping[str, MeanWithError], which: int) -> Figures:
    return {name: pair[which] for name, pair in spread.items()}


def _column(rows: Sequence[Row], name: str) -> Floats:
    return np.array([row[name] for row in rows], np.float64)


def _cell(name: str, pair: tuple[float | None, float | None], sign: str = "") -> str:
    mean, error = pair
    if mean is None:
        return "-"
    digits = DIGITS.get(name, 3)
    return f"{mean:{sign}.{digits}f}" + ("" if error is None else f" ± {error:.{digits}f}")
