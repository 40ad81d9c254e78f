"""Check that the host is new enough. Imported first, so this module needs nothing that an old host may lack."""

from __future__ import annotations

import re

OLDEST_HOST = "0.24.1"
"""The oldest ComfyUI that the pack runs on; `requires-comfyui` in pyproject.toml says the same."""


def require_host() -> None:
    """Refuse a ComfyUI that is too old, before anything of it that may be missing is imported.

    Raises:
        ImportError: the host is older than `OLDEST_HOST`, or so old that it does not say its version.
    """
    try:
        from comfyui_version import __version__ as version
    except ModuleNotFoundError:
        version = "0 (it does not say its version)"
    if _numbers(version) < _numbers(OLDEST_HOST):
        raise ImportError(
            f"Reverse Personalization needs ComfyUI {OLDEST_HOST} or newer, but this is ComfyUI {version}: update "
            "ComfyUI and its requirements, then start it again"
        )


def _numbers(version: str) -> tuple[int, ...]:
    """The release's numbers, so that 0.9 is older than 0.30."""
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])
