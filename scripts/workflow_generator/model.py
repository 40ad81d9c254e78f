"""The parts of a shipped graph, before it is written in any form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

WIDGET_TYPES = ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO")
"""Types of inputs for which the editor shows a widget."""

ENTRY = "entry"
"""Key of a blueprint's own inputs, as the source of a link."""


@dataclass(frozen=True)
class Link:
    """The value of an input that is linked to an output.

    Attributes:
        node: key of the other node, or `ENTRY`.
        output: name of its output, or of the blueprint's input.
    """

    node: str
    output: str


@dataclass(frozen=True)
class Node:
    """A node of a graph.

    Attributes:
        kind: its class.
        inputs: values and links by name. What is left out gets the schema's default.
        title: shown above the node; None for the class's own.
        room: height of its text field or picture, in pixels.
        width: in pixels.
        models: files that the node loads, for the editor's dialog about missing models.
    """

    kind: str
    inputs: Mapping[str, Any] = field(default_factory=dict)
    title: str | None = None
    room: int = 0
    width: int = 320
    models: tuple[Mapping[str, str], ...] = ()


@dataclass(frozen=True)
class Group:
    """A titled frame around columns of nodes, which are named by their keys."""

    title: str
    color: str
    columns: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Workflow:
    """A graph.

    Attributes:
        nodes: by key. In the written forms they are numbered from 1, in this order.
        groups: from the left.
        note: text beside the graph, in Markdown.
    """

    nodes: Mapping[str, Node]
    groups: tuple[Group, ...]
    note: str


@dataclass(frozen=True)
class Port:
    """An input of a blueprint.

    Attributes:
        name: the input's name.
        type: its socket's type.
        value: its widget's value; None for the schema's default.
    """

    name: str
    type: str
    value: Any = None

    @property
    def is_widget(self) -> bool:
        """Whether the node shows a widget for this input."""
        return self.type in WIDGET_TYPES


@dataclass(frozen=True)
class Blueprint:
    """A graph inside one node.

    Attributes:
        name: the node's name.
        description: shown in the node library.
        nodes: by key; their links may come from `ENTRY`.
        groups: from the left.
        inputs: in the order shown.
        outputs: name, type and source of each, in the order shown.
    """

    name: str
    description: str
    nodes: Mapping[str, Node]
    groups: tuple[Group, ...]
    inputs: tuple[Port, ...]
    outputs: tuple[tuple[str, str, Link], ...]
