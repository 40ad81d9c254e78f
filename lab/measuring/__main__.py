"""Measures the method on people that no training saw: `python -m lab.measuring --seed S --faces N`.

Runs the real workflow on the CPU, with ComfyUI's own loaders, the pack's own nodes and the miniature's models, and
scores the results with a recogniser and a meter that did not contribute to them.
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
    """Open the trained meter of a models folder."""
    return Meter(models / METER_FILE)


def main(arguments: Sequence[str] | None = None, meter_of: Callable[[Path], FaceMeter] = open_meter) -> None:
    """Run the command line.

    Args:
        arguments: the arguments; by default those of the process.
        meter_of: opens the meter of a models folder.
    """
    parser = argparse.ArgumentParser(prog="python -m lab.measuring", description=__doc__)
    parser.add_argument(
        "--seed", type=int, default=0, help="seed of the people; another seed draws other people (default: %(default)s)"
    )
    parser.add_argument("--faces", type=int, default=300, help="number of people, at least 2 (default: %(default)s)")
    parser.add_argument(
        "--steps", type=int, default=STEPS, help="steps of inversion and generation each (default: %(default)s)"
    )
    parser.add_argument(
        "--denoise", type=float, default=DENOISE, help="denoise of the inversion (default: %(default)s)"
    )
    parser.add_argument(
        "--scale",
        type=float,
        default=DEFAULT_SCALE,
        help="guidance scale for the attributes and the targets (default: %(default)s)",
    )
    parser.add_argument(
        "--models",
        type=Path,
        default=WEIGHTS,
        metavar="DIR",
        help="models folder in ComfyUI's layout (default: the shipped weights)",
    )
    parser.add_argument("--threads", type=int, metavar="N", help="PyTorch's threads (default: one for each core)")
    parser.add_argument("--smoke", action="store_true", help="test the whole measurement in seconds, on few pictures")
    parser.add_argument("--json", action="store_true", help="print all figures as JSON in the last line")
    parser.add_argument("--plots", type=Path, metavar="DIR", help="write plots and pictures into this folder (PNG)")
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
        # Only plots need Matplotlib. If it is missing, fail before the long part.
        importlib.import_module("matplotlib")
    measured = measure(settings.smoke() if options.smoke else settings, options.models, meter_of(options.models))
    print(json.dumps(measured.figures, allow_nan=False) if options.json else tables(measured.figures), flush=True)
    if options.plots is not None:
        importlib.import_module("lab.measuring.plots").write_plots(measured, options.plots)
    if options.document is not None:
        write_tables(options.document, tables(measured.figures))


if __name__ == "__main__":
    main()
