"""The node schemas of this checkout, as a ComfyUI with its pack returns them."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness import comfyui
from harness.environment import ROOT, SetupError
from harness.server import ComfyServer
from miniature.server import provide_host
from miniature.workspace import PACK_LINKS, provide_workspace

from .workflow_generator.forms import Schemas

LOG_LINES = 100
"""Enough of the log's end to hold the traceback of a pack that could not be imported."""


def read_schemas() -> Schemas:
    """Start a ComfyUI with the pack and ask it for `/object_info`: the schemas of all its nodes, by class name.

    Its base directory is a new one that nothing else uses. The demo's is below `.comfyui`, which several checkouts may
    share: its link to the pack leads to whichever of them started last.

    Raises:
        SetupError: the pack's nodes are not there, or see `provide_host`.
        ServerError: the server did not start.
    """
    python, code = provide_host()
    # Neither models nor pictures are there: no schema that a generated file depends on lists files.
    with tempfile.TemporaryDirectory(prefix="reverse-personalization-") as folder:
        base = provide_workspace(Path(folder))
        environment = comfyui.child_environment(code)
        with ComfyServer(base, comfyui=code, python=python, environment=environment) as server:
            object_info = server.object_info()
            require_pack(object_info, server.log_tail(LOG_LINES))
    return object_info


def own_schemas(object_info: Schemas) -> dict[str, Any]:
    """The pack's nodes among all that `read_schemas` returns."""
    return {kind: schema for kind, schema in object_info.items() if _is_own(schema)}


def require_pack(object_info: Schemas, log: str) -> None:
    """Check that the pack's nodes are among those of a server.

    Args:
        object_info: the schemas of all its nodes.
        log: what the server wrote, for the error.

    Raises:
        SetupError: there is none, because ComfyUI could not import the pack.
    """
    if not own_schemas(object_info):
        raise SetupError(
            f"ComfyUI has {len(object_info)} nodes but none of this pack: it could not import {ROOT}. Nothing was "
            f"written. Its log says why; mend that and run this command again. The log ends:\n{log}"
        )


def _is_own(schema: Mapping[str, Any]) -> bool:
    folder = next(name for name, target in PACK_LINKS.items() if target == ROOT)
    return bool(schema["python_module"] == f"custom_nodes.{folder}")
