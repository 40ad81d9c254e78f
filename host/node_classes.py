"""What the host knows of the node classes in a graph."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from comfy_api.latest import io

from ..reverse_personalization.assurance.scrub import read_nodes

host_nodes: Any = importlib.import_module("nodes")
"""The host's module of that name; to a type checker the name is this pack's own folder."""

PACKAGE = __package__.rpartition(".")[0]
"""Name under which the host has loaded this pack."""


TOLD_TEXTS = {("FaceEmbed", "select"), ("ReverseIdentityRetrySampler", "scales")}
"""Node and input of the texts that are settings: such a node runs only with words of its own and numbers in them."""


def output_types(class_type: str) -> tuple[str, ...] | None:
    """Types of a node's outputs, or None for a class that is not installed; choices are "COMBO" however declared."""
    node = host_nodes.NODE_CLASS_MAPPINGS.get(class_type)
    if node is None:
        return None
    return tuple(kind if isinstance(kind, str) else "COMBO" for kind in node.RETURN_TYPES)


def own_settings(prompt: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Numbers, booleans and choices of the pack's own nodes in a graph, and TOLD_TEXTS: never what somebody wrote.

    Seeds are left out: whoever has a candidate photograph and the models could make the result again with them.

    Args:
        prompt: the host's, in API form: node ids with `class_type` and `inputs`.

    Returns:
        Of each node its "node" (class) and "inputs", ordered by class, then as in the graph. Linked inputs are not
        in it.
    """
    settings = []
    for node in read_nodes(prompt).values():
        node_class = host_nodes.NODE_CLASS_MAPPINGS.get(node.class_type)
        if node_class is None or not node_class.__module__.startswith(f"{PACKAGE}."):
            continue
        values = {
            item.id: node.inputs[item.id]
            for item in node_class.define_schema().inputs
            if item.id in node.inputs and _is_setting(node.class_type, item, node.inputs[item.id])
        }
        settings.append({"node": node.class_type, "inputs": values})
    return sorted(settings, key=lambda entry: entry["node"])


def _is_setting(class_type: str, item: Any, value: Any) -> bool:
    if (class_type, item.id) in TOLD_TEXTS:
        return isinstance(value, str)
    if isinstance(item, io.Combo.Input):
        return value in item.options
    if isinstance(item, io.Int.Input) and item.control_after_generate:
        return False
    return isinstance(item, (io.Int.Input, io.Float.Input, io.Boolean.Input)) and isinstance(value, (bool, int, float))
