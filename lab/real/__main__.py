"""Real photographs and models in the lab: `python -m lab.real fetch | finds | measure --json`."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import json
import sys
from collections.abc import Sequence

from .cache import VARIABLE, cache


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 1 if something cannot be had."""
    parser = argparse.ArgumentParser(
        prog="python -m lab.real", description=f"{__doc__} Everything goes to .real, or where {VARIABLE} says."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("fetch", help="fetch and convert what is not there yet")
    options = parser.parse_args(arguments)
    from .fetch import FetchError, fetch

    try:
        digests = fetch(cache())
    except FetchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if options.command == "fetch":
        print(json.dumps(digests, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
