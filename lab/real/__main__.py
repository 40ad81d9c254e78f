"""Real photographs and models in the lab: `python -m lab.real fetch | finds | measure --json`."""

from __future__ import annotations

import os

# Several processes share the cores, and a second thread waits by computing.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import json
import sys
from collections.abc import Sequence

from .cache import VARIABLE, cache
from .pictures import evenly, pictures


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 1 if something cannot be had."""
    parser = argparse.ArgumentParser(
        prog="python -m lab.real", description=f"{__doc__} Everything goes to .real, or where {VARIABLE} says."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("fetch", help="fetch and convert the models that are not there yet")
    finding = commands.add_parser("finds", help="store what each view of each picture finds")
    finding.add_argument("--only", default="", help="only pictures with this in their path")
    measuring = commands.add_parser("measure", help="measure the pack as it is in this clone")
    measuring.add_argument("--json", action="store_true", help="print the figures as one line of JSON, not indented")
    measuring.add_argument("--live", action="store_true", help="run the detector, do not read stored finds")
    measuring.add_argument(
        "--parts", help="comma-separated: nobody, animals, people, recognising, calibrating, scaling, sharpness"
    )
    measuring.add_argument("--limit", type=int, default=0, help="most pictures of a kind")
    options = parser.parse_args(arguments)
    from .fetch import FetchError, fetch

    try:
        if options.command == "fetch":
            print(json.dumps(fetch(cache()), indent=1))
        elif options.command == "finds":
            _finds(options.only)
        else:
            _measure(options)
    except (FetchError, FileNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _finds(only: str) -> None:
    from .finds import write

    there = [picture for picture in evenly(pictures()) if picture.there and only in picture.path]
    for number, file in enumerate(write(there), start=1):
        print(f"{number} of {len(there)}: {file}", file=sys.stderr, flush=True)


def _measure(options: argparse.Namespace) -> None:
    from .measure import PARTS, measure

    parts = tuple(options.parts.split(",")) if options.parts else PARTS
    if unknown := set(parts) - set(PARTS):
        raise SystemExit(f"error: {', '.join(sorted(unknown))} cannot be measured; choose from {', '.join(PARTS)}")
    figures = measure(parts, options.live, options.limit, lambda text: print(text, file=sys.stderr, flush=True))
    print(json.dumps(figures, indent=None if options.json else 1))


if __name__ == "__main__":
    sys.exit(main())
