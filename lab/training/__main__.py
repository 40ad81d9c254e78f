"""Trains the whole miniature from scratch: `python -m lab.training WORKSHOP`.

Draws the people it needs, trains part by part, and writes the finished files and a manifest for each part. It can be
stopped at any time and resumes there without repeating what is finished. Parts that do not need each other train at the
same time, each on its own core. On two cores it takes hours; the workshop takes about 5 GB.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from miniature.layout import WEIGHTS

from . import recogniser
from .loop import Workshop
from .parts import PARTS, finished, train_part
from .together import train_together


def start_part(shop: Workshop, name: str) -> subprocess.Popen[bytes]:
    """Start the training of one part on one core."""
    command = [sys.executable, "-m", "lab.training", str(shop.directory), "--models", str(shop.models)]
    return subprocess.Popen([*command, "--part", name, "--threads", "1", *["--smoke"] * shop.smoke])


def main(arguments: Sequence[str] | None = None) -> None:
    """Train the unfinished parts that the command line names."""
    parser = argparse.ArgumentParser(
        prog="python -m lab.training", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("workshop", type=Path, help="folder for rendered data and unfinished trainings")
    parser.add_argument(
        "--models", type=Path, default=WEIGHTS, help="models folder to write into (default: %(default)s)"
    )
    parser.add_argument("--part", action="append", choices=tuple(PARTS), help="only this part; may be repeated")
    parser.add_argument("--smoke", action="store_true", help="test the whole training in seconds instead of hours")
    parser.add_argument("--threads", type=int, default=2, help="cores to use (default: %(default)s)")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    shop = Workshop(options.workshop, options.models, options.smoke, options.threads)
    if options.part is not None:
        for name in PARTS:
            if name in options.part:
                train_part(shop, name)
        return
    waiting = {name: part.needs for name, part in PARTS.items() if not finished(shop, name)}
    for name in [name for name in PARTS if name not in waiting]:
        print(f"{name}: already finished", file=sys.stderr, flush=True)
    if shop.threads == 1:
        for name in waiting:
            train_part(shop, name)
    elif waiting:
        if not shop.smoke:
            # Most parts learn from these. If drawn later, two parts would draw the same pictures at the same time.
            recogniser.TRAINING.render(shop.data, shop.threads)
        train_together(waiting, shop.threads, lambda name: start_part(shop, name))


if __name__ == "__main__":
    main()
