"""ComfyUI's code on the CPU, and what makes a ComfyUI in this process know the miniature."""

from __future__ import annotations

import asyncio
import importlib
import sys
from pathlib import Path
from types import ModuleType

from harness.comfyui import comfyui_folder

from .layout import EXTENSION

MODEL_FOLDERS = ("checkpoints", "ipadapter", "insightface")
"""Where models lie below a models folder."""


def module(name: str) -> ModuleType:
    """Import one of ComfyUI's modules, `comfy.*`, for use on the CPU.

    Raises:
        SetupError: there is no ComfyUI, see `harness.comfyui.comfyui_folder`.
    """
    root = str(comfyui_folder())
    if root not in sys.path:
        sys.path.append(root)
    # Decided before anything asks for a device: without a GPU the host's device query fails otherwise.
    importlib.import_module("comfy.cli_args").args.cpu = True
    return importlib.import_module(name)


def add_miniature(models: Path) -> None:
    """Make the host of this process recognise the miniature, and search a models folder before all others.

    The host must be running: see `harness.in_process.start_host`.

    Args:
        models: a folder in ComfyUI's layout.

    Raises:
        RuntimeError: the host did not load the extension.
    """
    if not asyncio.run(importlib.import_module("nodes").load_custom_node(str(EXTENSION))):
        raise RuntimeError(f"ComfyUI did not load {EXTENSION}; its log says why.")
    paths = importlib.import_module("folder_paths")
    for name in MODEL_FOLDERS:
        paths.add_model_folder_path(name, str((models / name).resolve()), is_default=True)
