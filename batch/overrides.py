"""What the command line changes in a workflow: `--set NODE.INPUT=VALUE`, and short forms for model files."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from typing import Any

from .workflow import Graph, WorkflowError, is_link

SHORT = {
    "checkpoint": "ckpt_name",
    "adapter": "adapter_name",
    "model_pack": "model_pack",
    "checker": "checker",
}
"""Options that set one input of every node that has it."""


def override(graph: Graph, settings: Sequence[str], short: Mapping[str, str | None]) -> Graph:
    """The workflow with other values.

    Args:
        graph: in API format; stays as it is.
        settings: "NODE.INPUT=VALUE" each: an id, a class or a title; a name; JSON or text.
        short: values by key of `SHORT`; None leaves the input as it is.

    Raises:
        WorkflowError: a node or an input is not there or not the only one, or a value does not fit.
    """
    changed = copy.deepcopy(graph)
    for option, value in short.items():
        if value is not None:
            _set_everywhere(changed, option, value)
    for setting in settings:
        _set(changed, setting)
    return changed


def _set_everywhere(graph: Graph, option: str, value: str) -> None:
    name = SHORT[option]
    nodes = [node for node in graph.values() if name in node["inputs"] and not is_link(node["inputs"][name])]
    if not nodes:
        raise WorkflowError(f"--{option.replace('_', '-')} {value}: no node of the workflow has an input {name}")
    for node in nodes:
        node["inputs"][name] = value


def _set(graph: Graph, setting: str) -> None:
    place, equals, text = setting.partition("=")
    wanted, dot, name = place.rpartition(".")
    if not (equals and dot and wanted and name):
        raise WorkflowError(f"--set {setting}: expected NODE.INPUT=VALUE, such as FaceEmbed.det_size=1024")
    inputs = graph[_node(graph, wanted, setting)]["inputs"]
    values = [key for key, value in inputs.items() if not is_link(value)]
    if name not in values:
        linked = " is linked to another node, and" if name in inputs else ""
        what = f"its input {name}{linked} cannot be set" if linked else f"it has no input {name}"
        raise WorkflowError(f"--set {setting}: {what}; of {wanted} you can set {', '.join(values) or 'nothing'}")
    inputs[name] = _value(inputs[name], text, setting)


def _node(graph: Graph, wanted: str, setting: str) -> str:
    """Id of the node that has this id, class or title, in this order."""
    if wanted in graph:
        return wanted
    for of in (lambda node: node["class_type"], title):
        found = [key for key, node in graph.items() if of(node) == wanted]
        if len(found) == 1:
            return found[0]
        if found:
            raise WorkflowError(f"--set {setting}: nodes {', '.join(found)} are called {wanted}; name one by its id")
    there = ", ".join(f"{key} ({node['class_type']})" for key, node in graph.items())
    raise WorkflowError(f"--set {setting}: the workflow has no node {wanted}; it has {there}")


def title(node: Mapping[str, Any]) -> str:
    """What the editor shows above a node, or ""."""
    return str(node.get("_meta", {}).get("title", ""))


def _value(present: object, text: str, setting: str) -> object:
    """The value that a text stands for, of the same kind as the present one."""
    try:
        parsed = json.loads(text)
    except ValueError:
        parsed = text
    if isinstance(present, str):
        # A list of scales or a file called 1 is text, even if it reads like a number.
        return parsed if isinstance(parsed, str) else text
    for kinds, expected in ((bool, "true or false"), ((int, float), "a number")):
        if isinstance(present, kinds):
            if isinstance(parsed, kinds) and isinstance(parsed, bool) == isinstance(present, bool):
                return parsed
            raise WorkflowError(f"--set {setting}: expected {expected}, as the workflow has {json.dumps(present)}")
    return parsed
