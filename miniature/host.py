"""ComfyUI's code, found through the environment and imported without a GPU."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from types import ModuleType

VARIABLE = "COMFYUI"


class HostMissingError(RuntimeError):
    """COMFYUI does not name a ComfyUI checkout."""


def directory() -> Path:
    """The ComfyUI checkout.

    Raises:
        HostMissingError: the environment variable COMFYUI is unset or names something else.
    """
    value = os.environ.get(VARIABLE, "")
    if not value or not (Path(value) / "comfy" / "supported_models.py").is_file():
        raise HostMissingError(f"Set {VARIABLE} to the directory of a ComfyUI checkout (now: {value!r}).")
    return Path(value).resolve()


def module(name: str) -> ModuleType:
    """Import one of ComfyUI's modules, `comfy.*`, for use on the CPU.

    Raises:
        HostMissingError: as `directory`.
    """
    root = str(directory())
    if root not in sys.path:
        sys.path.append(root)
    # Decided before anything asks for a device: without a GPU the host's device query fails otherwise.
    importlib.import_module("comfy.cli_args").args.cpu = True
    return importlib.import_module(name)
