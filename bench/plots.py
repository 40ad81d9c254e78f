"""Plots of the growth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from .growth import Growth

COLUMNS = 3


def write_plot(growths: Sequence[Growth], file: Path) -> None:
    """Write a plot with a panel for each growth.

    Args:
        growths: one or more.
        file: `.png`.

    Raises:
        OSError: the file cannot be written.
    """
    rows = -(-len(growths) // COLUMNS)
    figure = Figure(figsize=(9.0, 2.8 * rows), layout="constrained")
    for number, growth in enumerate(growths, start=1):
        axes = figure.add_subplot(rows, COLUMNS, number)
        walls = [one.median for one in growth.seconds]
        reach = (
            [one.median - one.least for one in growth.seconds],
            [one.most - one.median for one in growth.seconds],
        )
        axes.errorbar(growth.sizes, walls, yerr=reach, marker="o", markersize=3, capsize=2, label="on the wall")
        axes.plot(growth.sizes, growth.processor, marker="s", markersize=3, linestyle="--", label="of a core")
        axes.set_title(growth.name, fontsize=9)
        axes.set_xlabel(f"{growth.unit}s" if " " not in growth.unit else growth.unit.replace("pixel", "pixels", 1))
        axes.set_ylabel("seconds")
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=0)
        axes.tick_params(labelsize=8)
        axes.grid(alpha=0.3)
        if number == 1:
            axes.legend(fontsize=8)
    # Without Matplotlib's version, the same figures give the same bytes.
    figure.savefig(file, dpi=100, metadata={"Software": None})
