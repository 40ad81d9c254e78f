"""A real ComfyUI inside this process, on the CPU, with the pack loaded as a custom node package."""

from __future__ import annotations

import asyncio
import functools
import importlib
import importlib.util
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

from .comfyui import comfyui_folder
from .environment import ROOT

PACK = "a_pack_under_another_name"
"""The pack's name in `sys.modules`: not the repository's, because the pack must work under any folder name."""


@functools.cache
def start_host() -> None:
    """Make the host's modules importable. Nothing is written into its folder; its data is in a temporary one.

    Raises:
        SetupError: there is no ComfyUI, see `harness.comfyui.comfyui_folder`.
    """
    folder = str(comfyui_folder())
    # The host's `nodes` must win over our folder of that name.
    sys.path.insert(0, folder)
    # pytest, which looks for a name for tests/nodes/test_x.py, may have imported our folder by then.
    loaded = getattr(sys.modules.get("nodes"), "__file__", None)
    if Path(loaded or "").resolve() != Path(folder, "nodes.py").resolve():
        sys.modules.pop("nodes", None)
    arguments = importlib.import_module("comfy.cli_args").args
    arguments.cpu = True
    arguments.base_directory = tempfile.mkdtemp(prefix="comfyui-base-")
    importlib.import_module("nodes")
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
