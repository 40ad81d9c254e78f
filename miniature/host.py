"""ComfyUI's code, found through the environment and imported without a GPU."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

from scripts.comfyui import comfyui_folder


def module(name: str) -> ModuleType:
    """Import one of ComfyUI's modules, `comfy.*`, for use on the CPU.

    Raises:
        SetupError: there is no ComfyUI, see `comfyui_folder`.
    """
    root = str(comfyui_folder())
    if root not in sys.path:
        sys.path.append(root)
    # Decided before anything asks for a device: without a GPU the host's device query fails otherwise.
    importlib.import_module("comfy.cli_args").args.cpu = True
    return importlib.import_module(name)
