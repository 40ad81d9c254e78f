"""Whether servers can do what a batch asks of them: `--doctor`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .client import Client, GoneError, NoRoomError, ServerLostError
from .workflow import SAVER, Prepared, is_link

GUIDES, CHECKERS = ("model_pack",), ("checker",)
"""Inputs that name recognisers: the one that guides the change, and the one that judges it."""


def examine(client: Client, prepared: Prepared, name: str) -> tuple[list[str], list[str]]:
    """Ask a server.

    Args:
        client: of the server.
        prepared: the workflow that it is to run.
        name: of the server in messages.

    Returns:
        Lines about what is there, and lines about what is missing.
    """
    try:
        stats = client.stats()
        nodes = client.nodes()
    except (ServerLostError, GoneError, NoRoomError) as error:
        return [], [f"{name}: {error}; start ComfyUI there, or check the address"]
    good = [f"{name}: ComfyUI {stats.get('system', {}).get('comfyui_version', '?')}", *map(_device, _devices(stats))]
    bad = []
    for key, node in prepared.graph.items():
        kind = node["class_type"]
        if kind not in nodes:
            bad.append(f"{name}: there is no node {kind}, which the workflow needs (node {key}); install its pack")
            continue
        bad += [f"{name}: {line}" for line in _wrong_choices(key, node, nodes[kind])]
    if SAVER in nodes and "destination" not in _inputs(nodes[SAVER]):
        bad.append(f"{name}: has an older version of this pack; update it there")
    if not bad:
        good.append("  has every node and every model that the workflow names")
    return good, bad


def recognisers(prepared: Prepared) -> list[str]:
    """What is wrong with the workflow's choice of recognisers: who guides must not judge."""
    guides, checkers = (
        {
            node["inputs"][key]
            for node in prepared.graph.values()
            for key in keys
            if isinstance(node["inputs"].get(key), str)
        }
        for keys in (GUIDES, CHECKERS)
    )
    if same := guides & checkers:
        return [
            f"the workflow: {', '.join(sorted(same))} guides the change and judges it; name another recogniser with "
            "--checker"
        ]
    return [] if checkers else ["the workflow: no node has a checker, so nothing judges the results"]


def _wrong_choices(key: str, node: Mapping[str, Any], described: Mapping[str, Any]) -> list[str]:
    """Values that the server does not offer, such as models that it does not have."""
    wrong = []
    inputs = _inputs(described)
    for name, value in node["inputs"].items():
        choices = _choices(inputs.get(name))
        if choices is not None and not is_link(value) and value not in choices:
            offered = ", ".join(map(str, choices)) or "nothing"
            wrong.append(f"node {key} ({node['class_type']}) has no {value} for {name}; it offers {offered}")
    return wrong


def _inputs(described: Mapping[str, Any]) -> dict[str, Any]:
    groups = described.get("input", {})
    return {**groups.get("required", {}), **groups.get("optional", {})}


def _choices(spec: Any) -> list[Any] | None:
    """What an input can be set to, in either form in which ComfyUI says so; None if it is no choice."""
    if not isinstance(spec, (list, tuple)) or not spec:
        return None
    if isinstance(spec[0], list):
        return spec[0]
    if spec[0] == "COMBO" and len(spec) > 1 and isinstance(spec[1], dict):
        options = spec[1].get("options")
        return options if isinstance(options, list) else None
    return None


def _devices(stats: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [one for one in stats.get("devices", ()) if isinstance(one, dict)]


def _device(device: Mapping[str, Any]) -> str:
    free, total = (float(device.get(key) or 0) / 2**30 for key in ("vram_free", "vram_total"))
    return f"  {device.get('name', '?')}: {free:.1f} of {total:.1f} GiB free"
