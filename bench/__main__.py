"""Measures what the pack takes beside a plain script: `python -m bench [--quick] [--document PAGE]`."""

from __future__ import annotations

import os

# Networks this small finish before a second thread wakes up; the servers that are started inherit this.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from harness.environment import ROOT, SetupError
from harness.in_process import start_host_with
from harness.whole_text import write_whole

REQUIREMENTS = Path(__file__).with_name("requirements.txt")

HOST_OPTIONS = ("--cpu", "--use-pytorch-cross-attention")
"""On a GPU the host uses PyTorch's attention by itself, and diffusers always does."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few steps and small sizes: minutes, and rough figures")
    parser.add_argument("--steps", type=_from(2), metavar="N", help="of the portraits, instead of the usual ones")
    parser.add_argument("--rounds", type=_from(1), metavar="N", help="of each comparison, likewise")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON in the last line")
    parser.add_argument("--document", type=Path, metavar="PAGE", help="Markdown file to write; the plot lies beside it")
    options = parser.parse_args(arguments)
    if find_spec("diffusers") is None:
        parser.error(f"diffusers is missing: {sys.executable} -m pip install -r {REQUIREMENTS.relative_to(ROOT)}")
    start_host_with(HOST_OPTIONS)
    from .page import as_page
    from .plots import write_plot
    from .run import BRIEF, WHOLE, measure

    chosen = {name: value for name in ("steps", "rounds") if (value := getattr(options, name)) is not None}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        found = measure(Path(folder), replace(BRIEF if options.quick else WHOLE, **chosen), _say)
    command = " ".join([".venv/bin/python -m bench", *(sys.argv[1:] if arguments is None else arguments)])
    if options.document:
        plot = options.document.with_suffix(".png")
        write_plot(found.growths, plot)
        write_whole(options.document, as_page(found, command, plot.name))
    print(as_page(found, command, "benchmarks.png") if not options.document else f"{options.document} is written")
    if options.json:
        print(json.dumps(found.as_json(), allow_nan=False), flush=True)
    return 0


def _from(least: int) -> Callable[[str], int]:
    """Read a number of an option that must not be smaller."""

    def read(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"expected a whole number from {least}, not {text!r}")
        return int(text)

    return read


def _say(what: str) -> None:
    print(f"measuring {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except SetupError as error:
        sys.exit(f"error: {error}")
