"""The photograph that comes with the pack: rendered people, so that a template runs before anybody chose a picture.

The editor shows only what lies in the host's own folders. A copy in the one for temporary files, which the host empties
when it starts, is shown by every editor, and the input folder stays the user's.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

import folder_paths

SAMPLE_FILE = Path(__file__).resolve().parents[1] / "workflows" / "samples" / "four-people.jpg"

_COPY = "sample four people.jpg"

SAMPLE = f"{_COPY} [temp]"
"""How Load Photograph and the host name the copy."""

logger = logging.getLogger(__name__)


def provide_sample() -> None:
    """Put the copy where the editor finds it, unless it is there; without it the editor only shows no preview."""
    copy = Path(folder_paths.get_temp_directory()) / _COPY
    try:
        content = SAMPLE_FILE.read_bytes()
        if copy.is_file() and copy.read_bytes() == content:
            return
        copy.parent.mkdir(parents=True, exist_ok=True)
        partial = copy.with_name(f".{_COPY}.{os.getpid()}.tmp")
        partial.write_bytes(content)
        partial.replace(copy)
    except OSError as error:
        logger.warning(
            "the sample photograph could not be copied into ComfyUI's temporary folder (%s), so that the editor does "
            "not show it; free some space there and start ComfyUI again",
            error.strerror or type(error).__name__,
        )
