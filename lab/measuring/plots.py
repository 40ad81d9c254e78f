"""Plots the figures and arranges the pictures on contact sheets."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from ..render.sheet import save, tiled
from .figures import Measured
from .people import Pictures
from .report import AGREEMENT

SHEET_PEOPLE = 8
GENERATED_COLUMNS = 10

KEPT = {
    "yaw": "yaw, degrees",
    "pitch": "pitch, degrees",
    "gaze": "gaze, degrees",
}


def write_plots(measured: Measured, directory: Path) -> None:
    """Write plots and sheets.

    The plots are `recognition.png`, `kept.png` and `attributes.png`; the sheets are `sweep.png` (a row per person: the
    original, then the scales from 0 down), `attribute-faces.png` (the original, then the requests) and
    `generated.png`.

    Raises:
        OSError: a file cannot be written.
    """
    mpl.rcParams.update({"font.size": 9, "axes.grid": True, "grid.alpha": 0.3})
    directory.mkdir(parents=True, exist_ok=True)
    plots = {"recognition": _recognition(measured), "kept": _kept(measured), "attributes": _attributes(measured)}
    for name, figure in plots.items():
        # Leave out Matplotlib's version, so that the same figures give the same bytes.
        figure.savefig(directory / f"{name}.png", dpi=110, metadata={"Software": None})
    sweep = [measured.people.pictures, *measured.anonymised.own.values()]
    save(_side_by_side(sweep, SHEET_PEOPLE), directory / "sweep.png")
    asked = measured.asked.anonymised.values()
    save(_side_by_side([measured.people.pictures, *asked], SHEET_PEOPLE), directory / "attribute-faces.png")
    columns = min(GENERATED_COLUMNS, len(measured.generated))
    whole_rows = len(measured.generated) // columns * columns
    save(tiled(list(measured.generated[:whole_rows]), columns), directory / "generated.png")


def _side_by_side(columns: list[Pictures], people: int) -> Pictures:
    """Make a sheet with a row for each of the first people and a column for each kind of picture."""
    count = min(people, *(len(column) for column in columns))
    return tiled([column[row] for row in range(count) for column in columns], len(columns))


def _recognition(measured: Measured) -> Figure:
    figures = measured.figures
    panels = (
        ("similarity", "cosine with the original", "similarity_grey"),
        ("reid", "re-identified", "reid_grey"),
    )
    figure = Figure((8, 3.4), layout="constrained")
    for axes, (name, title, grey) in zip(figure.subplots(1, 2), panels, strict=True):
        for series, key, label, style in (
            ("guidance", name, "own embedding, colour", "o-C0"),
            ("guidance", grey, "own embedding, grey", "o--C7"),
            ("control", name, "somebody else's, colour", "s-C1"),
            ("control", grey, "somebody else's, grey", "s--C1"),
        ):
            axes.plot(*_series(figures[series], key), style, label=label, markersize=4)
        axes.axvline(figures["default_scale"], color="0.8", zorder=0)
        axes.set_xlabel("guidance scale g")
        axes.set_title(title)
        axes.invert_xaxis()
    figure.axes[0].axhline(figures["judge"]["threshold"], color="C3", linewidth=0.8, label="threshold")
    figure.axes[0].legend()
    return figure


def _series(by_scale: dict[str, dict[str, float | None]], name: str) -> tuple[list[float], list[float]]:
    """Return scales and values; NaN, which is not drawn, stands for what could not be measured."""
    values = [entry[name] for entry in by_scale.values()]
    return [float(scale) for scale in by_scale], [np.nan if value is None else value for value in values]


def _kept(measured: Measured) -> Figure:
    guidance = measured.figures["guidance"]
    scales = [float(scale) for scale in guidance]
    figure = Figure((11, 3.4), layout="constrained")
    angles, shares, background = figure.subplots(1, 3)
    for name, label in KEPT.items():
        angles.plot(scales, [entry["change"][name] for entry in guidance.values()], "o-", label=label, markersize=4)
    angles.set_title("change")
    for name, label in AGREEMENT.items():
        values = [entry["agreement"][name] for entry in guidance.values()]
        shares.plot(scales, values, "o-", label=label, markersize=4)
    shares.set_title("share read as in the original")
    for key, label in (("background", "outside the face"), ("outside_person", "outside the person")):
        background.plot(*_series(guidance, key), "o-", label=label, markersize=4)
    background.set_title("mean difference, of 255")
    for axes in figure.axes:
        axes.axvline(measured.figures["default_scale"], color="0.8", zorder=0)
        axes.set_xlabel("guidance scale g")
        axes.invert_xaxis()
        axes.legend(fontsize=7)
    return figure


def _attributes(measured: Measured) -> Figure:
    shares = measured.figures["attributes"]["shares"]
    cases = {"before": "before", "unasked": "anonymised", "asked": "anonymised, asked for", "text_only": "g = 0, asked"}
    figure = Figure((10, 3.4), layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(shares))
    width = 0.8 / len(cases)
    for i, (case, label) in enumerate(cases.items()):
        axes.bar(places + (i - 1.5) * width, [entry[case] for entry in shares.values()], width, label=label)
    axes.set_xticks(places, list(shares), rotation=35, ha="right")
    axes.set_ylabel("share of faces that show it")
    axes.legend(fontsize=7, ncols=len(cases), loc="upper center", bbox_to_anchor=(0.5, 1.15))
    return figure
