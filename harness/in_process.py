"""A real ComfyUI inside this process, with the pack loaded as a custom node package; on the CPU by default."""

from __future__ import annotations

import asyncio
import functools
import importlib
import importlib.util
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from .comfyui import comfyui_folder
from .environment import ROOT

PACK = "a_pack_under_another_name"
"""The pack's name in `sys.modules`: not the repository's, because the pack must work under any folder name."""

_started_with: list[tuple[str, ...]] = []
"""The options of `start_host_with`, once it was called."""


@functools.cache
def start_host() -> None:
    """Make the host's modules importable, on the CPU, unless `start_host_with` did that on a device.

    Nothing is written into the host's folder; its data is in a temporary one.

    Raises:
        SetupError: there is no ComfyUI, see `harness.comfyui.comfyui_folder`.
    """
    if _started_with:
        return
    _put_host_first()
    arguments = importlib.import_module("comfy.cli_args").args
    arguments.cpu = True
    arguments.base_directory = _data_folder()
    importlib.import_module("nodes")
    _silence_progress()


def start_host_with(options: Sequence[str]) -> None:
    """Start the host as its own command does with these options, all but its server.

    Args:
        options: of the host's command line, such as "--novram"; they choose device, precision and memory management.

    Raises:
        RuntimeError: the host of this process has been started, and keeps the options that it has.
        SetupError: there is no ComfyUI, see `harness.comfyui.comfyui_folder`.
    """
    if "comfy.cli_args" in sys.modules:
        raise RuntimeError("this process has a ComfyUI with other options: start this one in a process of its own")
    _put_host_first()
    _started_with.append(tuple(options))
    own = sys.argv
    sys.argv = ["main.py", *options, "--disable-all-custom-nodes", "--base-directory", _data_folder()]
    try:
        # Not only `nodes`: what makes the host manage a GPU's memory as for a user is in its main module.
        importlib.import_module("main")
    finally:
        sys.argv = own
    _silence_progress()


def _put_host_first() -> None:
    # The host's `nodes` must win over our folder of that name, which pytest imports on the way to tests/nodes/.
    sys.path.insert(0, str(comfyui_folder()))
    if Path(getattr(sys.modules.get("nodes"), "__file__", None) or ".").resolve().is_relative_to(ROOT / "nodes"):
        del sys.modules["nodes"]


def _data_folder() -> str:
    return tempfile.mkdtemp(prefix="comfyui-base-")


def _silence_progress() -> None:
    utilities: Any = importlib.import_module("comfy.utils")
    utilities.PROGRESS_BAR_ENABLED = False


@functools.cache
def load_pack() -> Any:
    """Load the pack as ComfyUI does.

    Returns:
        Its module, with the node classes by id as `node_classes`.
    """
    start_host()
    spec = importlib.util.spec_from_file_location(PACK, ROOT / "__init__.py", submodule_search_locations=[str(ROOT)])
    if spec is None or spec.loader is None:
        raise ImportError(f"{ROOT} is not a pack: it has no __init__.py that Python can load")
    package: Any = importlib.util.module_from_spec(spec)
    sys.modules[PACK] = package
    spec.loader.exec_module(package)

    async def register() -> list[Any]:
        extension = await package.comfy_entrypoint()
        await extension.on_load()
        classes: list[Any] = await extension.get_node_list()
        return classes

    package.node_classes = {node.define_schema().node_id: node for node in asyncio.run(register())}
    return package


def part(name: str) -> ModuleType:
    """A module of the loaded pack, such as "host.guider"."""
    load_pack()
    return importlib.import_module(f"{PACK}.{name}")


def run_node(node_id: str, *args: Any, **kwargs: Any) -> Any:
    """Run one of the pack's nodes as the host would, in inference mode; returns its only output or all of them."""
    import torch

    node = load_pack().node_classes[node_id]
    with torch.inference_mode():
        result = node.execute(*args, **kwargs).result
    return result[0] if len(result) == 1 else result
