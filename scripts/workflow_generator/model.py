"""What a shipped graph is made of, before it is written in any form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

WIDGET_TYPES = ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO")
"""Types of inputs that the editor shows a widget for."""

ENTRY = "entry"
"""Key of a blueprint's own inputs, which links may come from."""


@dataclass(frozen=True)
class Link:
    """An input that takes another node's output.

    Attributes:
        node: key of that node, or `ENTRY`.
        output: name of the output, or of the blueprint's input.
    """

    node: str
    output: str


@dataclass(frozen=True)
class Node:
    """A node of a graph.

    Attributes:
        kind: its class.
        inputs: values and links, by name; the schema's defaults for what is left out.
        title: above the node, or None for the class's own.
        room: height in pixels for its text field or picture.
        width: in pixels.
        models: files that the node loads, for the editor's missing-models dialog.
    """

    kind: str
    inputs: Mapping[str, Any] = field(default_factory=dict)
    title: str | None = None
    room: int = 0
    width: int = 320
    models: tuple[Mapping[str, str], ...] = ()


@dataclass(frozen=True)
class Group:
    """A titled frame around columns of nodes."""

    title: str
    color: str
    columns: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Workflow:
    """A graph.

    Attributes:
        nodes: by key; the first is 1 in the written forms, and so on.
        rows: frames from the left to the right, rows from the top.
        note: Markdown.
    """

    nodes: Mapping[str, Node]
    rows: tuple[tuple[Group, ...], ...]
    note: str


@dataclass(frozen=True)
class Port:
    """An input of a blueprint.

    Attributes:
        name: of the input.
        type: of its socket.
        value: of its widget, None for the schema's default.
    """

    name: str
    type: str
    value: Any = None

    @property
    def is_widget(self) -> bool:
        """Whether the node shows a widget for it."""
        return self.type in WIDGET_TYPES


@dataclass(frozen=True)
class Blueprint:
    """A graph inside one node.

    Attributes:
        name: of the node.
        description: for the node library.
        nodes: by key, with links from `ENTRY`.
        rows: see `Workflow`.
        inputs: in their order.
        outputs: name, type and source, in their order.
    """

    name: str
    description: str
    nodes: Mapping[str, Node]
    rows: tuple[tuple[Group, ...], ...]
    inputs: tuple[Port, ...]
    outputs: tuple[tuple[str, str, Link], ...]
