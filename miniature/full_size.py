"""Writes a checkpoint and an adapter with random weights in SDXL's real sizes: `python -m miniature.full_size DIR`.

They serve to measure memory and time, and to show what the miniature cannot: that the real widths fit. 8 GB.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from .adapter import write_adapter
from .checkpoint import write_checkpoint
from .config import SDXL
from .layout import FULL_SIZE_ADAPTER, FULL_SIZE_CHECKPOINT


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m miniature.full_size", description=__doc__)
    parser.add_argument("directory", type=Path, help="a ComfyUI models folder")
    parser.add_argument("--seed", type=int, default=0, help="seed of the weights (default: %(default)s)")
    options = parser.parse_args(arguments)
    write_checkpoint(options.directory / FULL_SIZE_CHECKPOINT, SDXL, options.seed)
    write_adapter(options.directory / FULL_SIZE_ADAPTER, SDXL, options.seed)


if __name__ == "__main__":
    main()
