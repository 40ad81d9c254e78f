"""How generated JSON is laid out: a line for what people compare, because indenting every value doubles the files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def tree_text(tree: Mapping[str, Any]) -> str:
    """A tree of texts, with a line for each innermost object: a node's input with its name and tooltip."""
    return _branch(tree, "") + "\n"


def graph_text(form: Mapping[str, Any]) -> str:
    """A workflow as the editor stores it, with a line for each node, link and group, also inside its nodes.

    For the API: with a line for each node.
    """
    return _graph(form) + "\n"


def _branch(tree: Mapping[str, Any], margin: str) -> str:
    if not any(isinstance(value, Mapping) for value in tree.values()) and margin:
        return _line(tree)
    inside = f"{margin} "
    members = (
        f"{inside}{_line(key)}:{_branch(value, inside) if isinstance(value, Mapping) else _line(value)}"
        for key, value in tree.items()
    )
    return "{\n" + ",\n".join(members) + f"\n{margin}}}"


def _graph(form: Mapping[str, Any]) -> str:
    return "{\n" + ",\n".join(f"{_line(key)}: {_member(key, value)}" for key, value in form.items()) + "\n}"


def _member(key: str, value: Any) -> str:
    if key == "definitions":
        return _graph(value)
    if isinstance(value, list) and value and isinstance(value[0], dict | list):
        return "[\n" + ",\n".join(_graph(item) if key == "subgraphs" else _line(item) for item in value) + "\n]"
    return _line(value)


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
