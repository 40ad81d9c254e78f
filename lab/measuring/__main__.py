"""Measure the miniature on people that no training saw: `python -m lab.measuring --seed S --faces N`.

Runs the real workflow on the CPU, with ComfyUI's own loaders and the pack's own nodes, and scores what comes out with
a recogniser and a meter that took no part in it.
"""

from __future__ import annotations

import argparse
import importlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from miniature.layout import WEIGHTS
from miniature.workflow import DEFAULT_SCALE, DENOISE, STEPS

from ..meter import METER_FILE, Meter
from .figures import measure
from .readings import FaceMeter
from .report import tables, write_tables
from .settings import Settings


def open_meter(models: Path) -> FaceMeter:
    """The trained meter."""
    return Meter(models / METER_FILE)


def main(arguments: Sequence[str] | None = None, meter_of: Callable[[Path], FaceMeter] = open_meter) -> None:
    """Run the command line.

    Args:
        arguments: by default the process's.
        meter_of: opens the meter of a models folder.
    """
    parser = argparse.ArgumentParser(prog="python -m lab.measuring", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="whose people: other seeds, other people")
    parser.add_argument("--faces", type=int, default=300, help="people, at least 2")
    parser.add_argument("--steps", type=int, default=STEPS, help="of inversion and generation each")
    parser.add_argument("--denoise", type=float, default=DENOISE, help="of the inversion")
    parser.add_argument("--scale", type=float, default=DEFAULT_SCALE, help="default guidance scale")
    parser.add_argument("--models", type=Path, default=WEIGHTS, metavar="DIR", help="folder in ComfyUI's layout")
    parser.add_argument("--threads", type=int, metavar="N", help="of PyTorch, by default one a core")
    parser.add_argument("--smoke", action="store_true", help="little of everything, in seconds")
    parser.add_argument("--json", action="store_true", help="print all figures as JSON in the last line")
    parser.add_argument("--plots", type=Path, metavar="DIR", help="write plots and pictures there (PNG)")
    parser.add_argument("--document", type=Path, metavar="FILE", help="write the tables into this Markdown file")
    options = parser.parse_args(arguments)
    try:
        settings = Settings(
            seed=options.seed,
            faces=options.faces,
            steps=options.steps,
            denoise=options.denoise,
            default_scale=options.scale,
        )
    except ValueError as error:
        parser.error(str(error))
    if options.threads:
        torch.set_num_threads(options.threads)
    if options.plots is not None:
        # Only they need Matplotlib: where it is missing, that should be said before the long part.
        importlib.import_module("matplotlib")
    measured = measure(settings.smoke() if options.smoke else settings, options.models, meter_of(options.models))
    print(json.dumps(measured.figures, allow_nan=False) if options.json else tables(measured.figures), flush=True)
    if options.plots is not None:
        importlib.import_module("lab.measuring.plots").write_plots(measured, options.plots)
    if options.document is not None:
        write_tables(options.document, tables(measured.figures))


if __name__ == "__main__":
    main()
