"""What the host knows of the node classes in a graph."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from comfy_api.latest import io

from ..reverse_personalization.assurance.scrub import read_nodes

host_nodes: Any = importlib.import_module("nodes")
"""The host's module `nodes`; a type checker would take that name for this pack's own folder."""

PACKAGE = __package__.rpartition(".")[0]
"""Name under which the host has loaded this pack."""


SETTING_TEXTS = {
    ("FaceEmbed", "select"),
    ("ReverseIdentityRetrySampler", "scales"),
    ("ReverseIdentityEditRetry", "scales"),
    ("ReverseIdentityScaleSweep", "scales"),
}
"""Text inputs, by node and name, that are settings: their nodes accept only fixed words and numbers in them."""


FILE_CHOICES = {("ReverseIdentityLoadPhotograph", "image"), ("ReverseIdentityLoadFolder", "folder")}
"""Choices, by node and name, that are names of originals and so no settings."""


def output_types(class_type: str) -> tuple[str, ...] | None:
    """Types of a node's outputs, or None for a class that is not installed; choices are "COMBO" however declared."""
    node = host_nodes.NODE_CLASS_MAPPINGS.get(class_type)
    if node is None:
        return None
    return tuple(kind if isinstance(kind, str) else "COMBO" for kind in node.RETURN_TYPES)


def own_settings(prompt: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Numbers, booleans, choices and `SETTING_TEXTS` of the pack's own nodes in a graph; no free text, no files' names.

    Seeds are left out: with them, anybody who has a candidate photograph and the models could reproduce the result.

    Args:
        prompt: the host's, in API form: node ids with `class_type` and `inputs`.

    Returns:
        For each node its "node" (class) and "inputs" without linked ones, ordered by class, then as in the graph.
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
    if (class_type, item.id) in FILE_CHOICES:
        return False
    if (class_type, item.id) in SETTING_TEXTS:
        return isinstance(value, str)
    if isinstance(item, io.Combo.Input):
        return value in item.options
    if isinstance(item, io.Int.Input) and item.control_after_generate:
        return False
    return isinstance(item, (io.Int.Input, io.Float.Input, io.Boolean.Input)) and isinstance(value, (bool, int, float))
