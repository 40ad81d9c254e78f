"""The base directory of a server: this pack and the miniature, linked and copied into one folder.

Standard library only: the demo runs this outside the environment.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from harness.comfyui import child_environment, link
from harness.environment import ROOT, run

from .layout import EXTENSION, WEIGHTS

WORKSPACE = ROOT / ".comfyui" / "workspace"

PACK_LINKS = {"reverse-personalization": ROOT, "miniature-host-extension": EXTENSION}
"""Links below custom_nodes, and their targets."""


def provide_workspace(workspace: Path = WORKSPACE) -> Path:
    """Make the base directory, with this pack and the miniature's host extension linked in."""
    for name in ("models", "custom_nodes", "input", "output", "temp", "user"):
        (workspace / name).mkdir(parents=True, exist_ok=True)
    for name, target in PACK_LINKS.items():
        link(workspace / "custom_nodes" / name, target)
    return workspace


def miniature_version() -> str:
    """A digest of the miniature's weights and sources; it changes when either does."""
    everything = sorted((ROOT / "miniature").rglob("*"))
    sources = [path for path in everything if path.is_file() and "__pycache__" not in path.parts]
    joined = b"\0".join(path.read_bytes() for path in sources)
    return hashlib.sha256(joined).hexdigest()[:16]


def provide_models(python: Path, comfyui: Path, workspace: Path) -> None:
    """Put the miniature's models into the workspace, unless this version of them is already there.

    These are the shipped weights. If the checkpoint is not among them, models with random weights are written first:
    they only show that everything works together.
    """
    stamp = workspace / "models" / "miniature.version"
    version = miniature_version()
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == version:
        return
    if not list(WEIGHTS.glob("checkpoints/*")):
        print("Writing miniature models with random weights", flush=True)
        environment = {**child_environment(comfyui), "PYTHONPATH": str(ROOT)}
        run([python, "-m", "miniature.build", workspace / "models"], environment)
    if WEIGHTS.is_dir():
        print("Installing the miniature's weights", flush=True)
        shutil.copytree(WEIGHTS, workspace / "models", dirs_exist_ok=True)
    stamp.write_text(version, encoding="utf-8")
