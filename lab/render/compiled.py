"""Compiles the renderer's loops once, and again after any change.

numba caches compiled code beside the source. It recompiles a function when its own file changes, but not when the file
of a function it calls does. So whatever was compiled before the newest source here is deleted first.
"""

from __future__ import annotations

from pathlib import Path

import numba as nb


def forget_stale(folder: Path) -> None:
    """Delete numba's indices in `folder`/__pycache__ that are older than any source in `folder`."""
    newest = max(source.stat().st_mtime for source in folder.glob("*.py"))
    for index in folder.glob("__pycache__/*.nbi"):
        try:
            if index.stat().st_mtime <= newest:
                index.unlink()
        except FileNotFoundError:  # Another process deleted it first.
            continue


forget_stale(Path(__file__).parent)

kernel = nb.njit(cache=True, fastmath=True)
"""Decorator for compiled functions."""
