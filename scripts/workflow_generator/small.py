"""The shipped graphs on the miniature: its files, and the settings that it was made for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from harness.workflow import SHIPPED_FILES, renamed
from miniature.workflow import MINIATURE, MINIATURE_INPUTS, scaled

from . import parts
from .model import Blueprint, Link, Node, Port, Workflow

_FILES = {SHIPPED_FILES[purpose]: name for purpose, name in MINIATURE.items()}

NOTE = (
    "This runs on the **miniature**, small models of rendered faces that know people of about 128 pixels and nobody "
    "else: it shows what the nodes do, not how good SDXL's pictures are. For photographs, open the template of the "
    "same number without *(miniature)*."
)
"""The paragraph that says what to expect."""


def small_workflow(workflow: Workflow, title: str) -> Workflow:
    """A graph on the miniature, with a note of this title."""
    note = parts.note_text(title, NOTE, parts.SAVING_NOTE)
    return replace(workflow, nodes=_small_nodes(workflow.nodes), note=note)


def small_blueprint(blueprint: Blueprint) -> Blueprint:
    """A blueprint on the miniature; what it offers as an input has the miniature's value there."""
    nodes = _small_nodes(blueprint.nodes)
    offered = {
        value.output: _small_inputs(node)[name]
        for node in blueprint.nodes.values()
        for name, value in node.inputs.items()
        if isinstance(value, Link) and name in MINIATURE_INPUTS.get(node.kind, {})
    }
    ports = tuple(_small_port(port, offered) for port in blueprint.inputs)
    return replace(blueprint, name=f"{blueprint.name} (miniature)", nodes=nodes, inputs=ports)


def _small_port(port: Port, offered: Mapping[str, Any]) -> Port:
    return replace(port, value=offered.get(port.name, _FILES.get(port.value, port.value)))


def _small_nodes(nodes: Mapping[str, Node]) -> dict[str, Node]:
    """With the miniature's values, but where a link leads into an input."""
    return {
        key: replace(
            node,
            inputs={
                **_small_inputs(node),
                **{name: value for name, value in node.inputs.items() if isinstance(value, Link)},
            },
            models=(),
        )
        for key, node in nodes.items()
    }


def _small_inputs(node: Node) -> dict[str, Any]:
    return scaled(node.kind, {**renamed(node.inputs, _FILES), **MINIATURE_INPUTS.get(node.kind, {})})
