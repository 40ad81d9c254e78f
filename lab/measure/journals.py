"""What a journal's entries depend on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.environment import ROOT

from ..journal import files_digest

CODE = ("host", "lab/measure", "lab/measuring", "lab/render", "miniature", "nodes", "reverse_personalization")
"""Folders with the code that the numbers depend on."""


def run_of(seed: int, models: Path) -> dict[str, Any]:
    """Return what identifies a run: seed of the people, code and models.

    Args:
        seed: of the people.
        models: folder of the models.
    """
    return {"seed": seed, "code": _digest(ROOT, CODE, "py"), "models": _digest(models, (".",), "*")}


def _digest(root: Path, folders: Sequence[str], suffix: str) -> str:
    return files_digest(
        sorted(file for folder in folders for file in (root / folder).rglob(f"*.{suffix}") if file.is_file())
    )
