"""Runs the command: `python <pack>/batch IN... --out DIR`, or `python -m batch` in the pack's folder."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

if not __package__:
    # Python was given the folder, and put it first on the path: modules in it would hide others of their names.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from batch.command_line import main

if __name__ == "__main__":
    # Who asks the process to end gets the same as for Ctrl+C: it cleans up first.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
