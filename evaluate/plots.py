"""Draws the tables: a point with its interval for each method, and what is re-identified against what is kept."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .measures import Measure, Table
from .pairing import ORIGINALS
from .statistics import Estimate
from .summary import Summary
from .tables import heading

COLUMNS = 3
"""Panels side by side."""

BINS = np.linspace(-0.5, 1, 46).tolist()
"""Edges of the cosines' bins."""


def write_plots(summary: Summary, tables: Mapping[str, Table], out: Path) -> None:
    """Write `measures.png`, `trade-off.png`, `cosines.png` and, if there are groups, `groups.png`.

    Raises:
        OSError: a file cannot be written.
    """
    mpl.rcParams.update({"font.size": 8, "axes.grid": True, "grid.alpha": 0.3})
    figures = {"measures": _measures(summary), "trade-off": _trade_off(summary), "cosines": _cosines(summary, tables)}
    if summary.groups:
        figures["groups"] = _groups(summary)
    out.mkdir(parents=True, exist_ok=True)
    for name, figure in figures.items():
        # Leave out Matplotlib's version, so that the same figures give the same bytes.
        figure.savefig(out / f"{name}.png", dpi=110, metadata={"Software": None})


def _panels(count: int, height: float) -> tuple[Figure, list[Axes]]:
    rows = -(-count // COLUMNS)
    figure = Figure((4 * min(count, COLUMNS), height * rows), layout="constrained")
    axes = list(np.ravel(figure.subplots(rows, min(count, COLUMNS), squeeze=False)))
    for unused in axes[count:]:
        unused.set_axis_off()
    return figure, axes[:count]


def _measures(summary: Summary) -> Figure:
    shown = [measure for measure in summary.measures if not measure.detail]
    methods = list(summary.methods)
    figure, panels = _panels(len(shown), 0.7 + 0.22 * len(methods))
    for axes, measure in zip(panels, shown, strict=True):
        for place, method in enumerate(methods):
            _point(axes, summary.methods[method][measure.name], place, measure, method)
        axes.set_yticks(range(len(methods)), methods)
        axes.set_ylim(len(methods) - 0.5, -0.5)
        axes.set_title(_title(measure))
    return figure


def _point(axes: Axes, value: Estimate, place: float, measure: Measure, method: str) -> None:
    if value.value is None:
        return
    factor = 100 if measure.share else 1
    axes.errorbar(
        factor * value.value,
        place,
        xerr=_error(value, factor),
        fmt="o",
        color="C7" if method == ORIGINALS else "C0",
        markersize=4,
    )


def _error(value: Estimate, factor: float) -> list[list[float]] | None:
    if value.value is None or value.low is None or value.high is None:
        return None
    # A percentile of resamples can lie beyond the mean of very skewed values.
    low, high = max(0.0, value.value - value.low), max(0.0, value.high - value.value)
    return [[factor * low], [factor * high]]


def _title(measure: Measure) -> str:
    return heading(measure) + (", %" if measure.share else "")


def _trade_off(summary: Summary) -> Figure:
    judge = next(measure for measure in summary.measures if measure.about == "recognition")
    kept = [
        measure for measure in summary.measures if measure.about in ("kept", "attributes") and not measure.detail
    ] or [measure for measure in summary.measures if measure.about == "quality"]
    figure, panels = _panels(len(kept), 2.8)
    methods = [method for method in summary.methods if method != ORIGINALS]
    for axes, measure in zip(panels, kept, strict=True):
        factor = 100 if measure.share else 1
        for number, method in enumerate(methods):
            x, y = summary.methods[method][judge.name], summary.methods[method][measure.name]
            if x.value is None or y.value is None:
                continue
            axes.errorbar(
                100 * x.value,
                factor * y.value,
                xerr=_error(x, 100),
                yerr=_error(y, factor),
                fmt="o",
                color=f"C{number}",
                markersize=4,
                label=method,
            )
        axes.set_ylabel(_title(measure))
    figure.supxlabel(_title(judge))
    _legend(figure, panels)
    return figure


def _cosines(summary: Summary, tables: Mapping[str, Table]) -> Figure:
    figure, panels = _panels(len(summary.thresholds), 2.8)
    for axes, (judge, threshold) in zip(panels, summary.thresholds.items(), strict=True):
        for method, table in tables.items():
            values = table.values[f"cosine, {judge}"]
            measured = values[~np.isnan(values)]
            if len(measured):
                axes.hist(np.clip(measured, BINS[0], BINS[-1]), BINS, histtype="step", label=method)
        axes.axvline(threshold.value, color="C3", linewidth=0.8, label="threshold")
        axes.set_title(f"cosine with the original, {judge}")
        axes.set_ylabel("results")
    _legend(figure, panels)
    return figure


def _groups(summary: Summary) -> Figure:
    groups = list(dict.fromkeys(one.group for one in summary.groups))
    judge = summary.groups[0].judge
    methods = list(dict.fromkeys(one.method for one in summary.groups))
    figure, panels = _panels(len(groups), 2.8)
    for axes, group in zip(panels, groups, strict=True):
        own = [one for one in summary.groups if one.group == group and one.judge == judge]
        labels = list(dict.fromkeys(one.label for one in own))
        for number, method in enumerate(methods):
            for one in own:
                if one.method == method and one.share.value is not None:
                    axes.errorbar(
                        100 * one.share.value,
                        labels.index(one.label) + 0.7 * (number / len(methods) - 0.35),
                        xerr=_error(one.share, 100),
                        fmt="o",
                        color=f"C{number}",
                        markersize=3,
                        label=method,
                    )
        axes.set_yticks(range(len(labels)), labels)
        axes.set_title(group)
    figure.supxlabel(f"re-identified by {judge}, %")
    _legend(figure, panels)
    return figure


def _legend(figure: Figure, panels: list[Axes]) -> None:
    """One legend for all panels, above them: some methods are measured in a few panels only."""
    labelled: dict[str, Artist] = {}
    for axes in panels:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            labelled.setdefault(label, handle)
    figure.legend(list(labelled.values()), list(labelled), loc="outside upper center", ncols=4)
