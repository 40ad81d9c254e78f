"""Writes a miniature with random weights into a ComfyUI models folder: `python -m miniature.build DIR`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from .adapter import write_adapter
from .checkpoint import write_checkpoint
from .config import MINIATURE
from .insight import write_pack
from .layout import ADAPTER, CHECKPOINT, FACE_PACK


def build(directory: Path, seed: int = 0) -> None:
    """Write the checkpoint, the adapter and the face models. The same seed gives the same bytes.

    Args:
        directory: a ComfyUI models folder, created if necessary. Existing files are replaced.
        seed: for all random weights.

    Raises:
        harness.environment.SetupError: there is no ComfyUI, see `harness.comfyui.comfyui_folder`.
        OSError: a file cannot be written.
    """
    write_checkpoint(directory / CHECKPOINT, MINIATURE, seed)
    write_adapter(directory / ADAPTER, MINIATURE, seed)
    write_pack(directory / FACE_PACK, seed)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m miniature.build", description=__doc__)
    parser.add_argument("directory", type=Path, help="a ComfyUI models folder")
    parser.add_argument("--seed", type=int, default=0, help="seed of the weights (default: %(default)s)")
    options = parser.parse_args(arguments)
    build(options.directory, options.seed)


if __name__ == "__main__":
    main()
