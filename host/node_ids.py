"""Node ids that another pack uses too: the host silently keeps whichever node it loads last."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from server import PromptServer

from .node_classes import PACKAGE, host_nodes

if TYPE_CHECKING:
    from aiohttp import web

OURS = "Reverse Personalization"

CUSTOM_NODES = "custom_nodes."
"""The host's prefix to a pack's folder."""


def report_taken_ids(ids: Iterable[str]) -> None:
    """Log an error for every id that another pack uses too, once all packs are loaded.

    Without a server nothing signals that moment; then only packs loaded before this one are reported, at once.

    Args:
        ids: of this pack's nodes, which the host is about to register.
    """
    ids = tuple(ids)
    before = {name: module for name in ids if (module := _other_module(name)) is not None}
    server = getattr(PromptServer, "instance", None)
    if server is None:
        _log(before, {})
        return

    async def when_all_are_loaded(app: web.Application) -> None:
        after = {name: module for name in ids if (module := _other_module(name)) is not None}
        _log({name: module for name, module in before.items() if name not in after}, after)

    server.app.on_startup.append(when_all_are_loaded)


def _other_module(name: str) -> str | None:
    """The module, by the host's name, of another pack's node with this id; None if there is none."""
    node: Any = host_nodes.NODE_CLASS_MAPPINGS.get(name)
    if node is None or node.__module__.startswith(f"{PACKAGE}."):
        return None
    return str(getattr(node, "RELATIVE_PYTHON_MODULE", node.__module__))


def _log(replaced: Mapping[str, str], replacing: Mapping[str, str]) -> None:
    """One error for each id: whose nodes ours replace, and whose nodes replace ours."""
    for name, module in replaced.items():
        logging.error(
            '%s replaces the node "%s" of %s, which uses the same id: workflows that mean the other node will fail. %s',
            OURS,
            name,
            module,
            _remedy(module),
        )
    for name, module in replacing.items():
        logging.error(
            'The node "%s" of %s is replaced by one of %s, which uses the same id: workflows that use it do NOT '
            "anonymise anybody. %s",
            name,
            OURS,
            module,
            _remedy(module),
        )


def _remedy(module: str) -> str:
    if module.startswith(CUSTOM_NODES):
        folder = module.removeprefix(CUSTOM_NODES)
        return (
            f'Disable one of the two packs (in ComfyUI Manager, or move the folder "{folder}" or this pack\'s out of '
            "custom_nodes) and restart ComfyUI."
        )
    return f"ComfyUI itself has taken the id: update {OURS} and restart ComfyUI."
