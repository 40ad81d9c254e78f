"""The photographs that come with the pack: rendered people, so that a template runs before anybody chose a picture.

The editor shows only what lies in the host's own folders. A copy in the one for temporary files, which the host empties
when it starts, is shown by every editor, and the input folder stays the user's.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path

import folder_paths

_FOLDER = Path(__file__).resolve().parents[1] / "workflows" / "samples"

SAMPLES: Mapping[str, Path] = {
    "sample four people.jpg [temp]": _FOLDER / "four-people.jpg",
    "sample four people anonymised.jpg [temp]": _FOLDER / "four-people-anonymised.jpg",
}
"""Their files by the names by which Load Photograph and the host know the copies."""

logger = logging.getLogger(__name__)


def provide_samples() -> None:
    """Put the copies where the editor finds them, unless they are there; without them it only shows no preview."""
    try:
        for name, file in SAMPLES.items():
            _provide(file, Path(folder_paths.get_temp_directory()) / name.removesuffix(" [temp]"))
    except OSError as error:
        logger.warning(
            "the sample photographs could not be copied into ComfyUI's temporary folder (%s), so that the editor does "
            "not show them; free some space there and start ComfyUI again",
            error.strerror or type(error).__name__,
        )


def _provide(file: Path, copy: Path) -> None:
    content = file.read_bytes()
    if copy.is_file() and copy.read_bytes() == content:
        return
    copy.parent.mkdir(parents=True, exist_ok=True)
    partial = copy.with_name(f".{copy.name}.{os.getpid()}.tmp")
    partial.write_bytes(content)
    partial.replace(copy)
