"""Writes a graph in two forms: for the API and for the editor.

Both need the schemas of the node classes, as a running ComfyUI returns them under `/object_info`: the editor's form
lists widgets in their order.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .layout import Cable, Layout, Size, lay_out
from .model import ENTRY, WIDGET_TYPES, Blueprint, Group, Link, Node, Workflow
from .note import note_box, written_note
from .texts import FIRST_VIEW, MARK

Schemas = Mapping[str, Any]
"""Inputs and outputs of a node, by class name."""

# The heights that the editor adds up for a node.
SOCKET_ROW, WIDGET_ROW, AROUND_WIDGETS, MARGIN = 20, 24, 8, 14

BADGE = 24
"""The row under the widgets that names a custom node's pack, when Vue draws the nodes."""

EXIT = "exit"
"""Key of a blueprint's own outputs, which are laid out with the nodes."""

ENTRY_ID, EXIT_ID = -10, -20
"""The editor's ids for the two ends of a blueprint."""


def api_form(workflow: Workflow, schemas: Schemas) -> dict[str, Any]:
    """The form for POST /prompt: class and inputs of every node, with the defaults written out."""
    ids = _ids(workflow.nodes)
    form = {}
    for key, node in workflow.nodes.items():
        inputs = {}
        for name, spec in _inputs(schemas[node.kind]):
            value = _value(node, name, spec)
            if isinstance(value, Link):
                inputs[name] = [str(ids[value.node]), _slot(value, workflow.nodes, schemas)]
            elif _is_widget(spec):
                inputs[name] = value
        title = _title(node, schemas[node.kind])
        form[str(ids[key])] = {"class_type": node.kind, "inputs": inputs, "_meta": {"title": title}}
    return form


def ui_form(name: str, workflow: Workflow, schemas: Schemas) -> dict[str, Any]:
    """The form that the editor opens, laid out."""
    graph = WrittenGraph(workflow.nodes, schemas)
    layout = lay_out([group.columns for group in workflow.groups], graph.sizes, graph.cables)
    nodes = graph.written_nodes(layout)
    nodes.append(written_note(workflow.note, note_box(workflow.note), len(nodes) + 1, len(nodes)))
    links = graph.written_links()
    reroutes, rerouted = graph.written_reroutes(layout)
    return {
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"reverse-personalization/{name}")),
        "revision": 0,
        "last_node_id": len(nodes),
        "last_link_id": len(links),
        "nodes": nodes,
        "links": [[link[key] for key in _LINK_KEYS] for link in links],
        "groups": written_groups(workflow.groups, layout),
        "config": {},
        "extra": {
            "reroutes": reroutes,
            "linkExtensions": [{"id": link, "parentId": parent} for link, parent in rerouted.items()],
            **MARK,
            **FIRST_VIEW,
        },
        "version": 0.4,
    }


_LINK_KEYS = ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type")


class WrittenGraph:
    """The nodes and links of a graph, as the editor writes them."""

    def __init__(self, nodes: Mapping[str, Node], schemas: Schemas, blueprint: Blueprint | None = None) -> None:
        self.nodes = nodes
        self.schemas = schemas
        self.blueprint = blueprint
        self.ids = {**_ids(nodes), ENTRY: ENTRY_ID, EXIT: EXIT_ID}
        self.sizes = {key: Size(node.width, _height(schemas[node.kind]) + node.room) for key, node in nodes.items()}
        self.cables = [
            Cable(value.node, value.output, key, name)
            for key, node in nodes.items()
            for name, spec in _inputs(schemas[node.kind])
            if isinstance(value := _value(node, name, spec), Link)
        ]
        if blueprint is not None:
            self.cables += [Cable(link.node, link.output, EXIT, name) for name, _, link in blueprint.outputs]

    def written_nodes(self, layout: Layout) -> list[dict[str, Any]]:
        """Every node, in order."""
        return [self._written_node(order, key, layout) for order, key in enumerate(self.nodes)]

    def written_links(self) -> list[dict[str, Any]]:
        """Every link, numbered like the cables from 1."""
        return [
            {
                "id": number,
                "origin_id": self.ids[cable.source],
                "origin_slot": self._output_slot(cable),
                "target_id": self.ids[cable.target],
                "target_slot": self._input_slot(cable),
                "type": self._output_type(cable),
            }
            for number, cable in enumerate(self.cables, 1)
        ]

    def written_reroutes(self, layout: Layout) -> tuple[list[dict[str, Any]], dict[int, int]]:
        """The points where links turn, and for each link that turns the id of its last point."""
        written = [
            {
                "id": number,
                **({} if point.parent is None else {"parentId": point.parent + 1}),
                "pos": [point.x, point.y],
                "linkIds": [cable + 1 for cable in point.cables],
            }
            for number, point in enumerate(layout.points, 1)
        ]
        return written, {cable + 1: point + 1 for cable, point in layout.last_points.items()}

    def _written_node(self, order: int, key: str, layout: Layout) -> dict[str, Any]:
        node = self.nodes[key]
        schema = self.schemas[node.kind]
        inputs: list[dict[str, Any]] = []
        values: list[Any] = []
        for name, spec in _inputs(schema):
            value = _value(node, name, spec)
            slot: dict[str, Any] = {"name": name, "type": _type(spec), "link": None}
            if _is_widget(spec):
                slot["widget"] = {"name": name}
                values.extend(_widget_values(self._shown(value, spec), spec))
            if isinstance(value, Link):
                slot["link"] = self.cables.index(Cable(value.node, value.output, key, name)) + 1
            inputs.append(slot)
        properties: dict[str, Any] = {"Node name for S&R": node.kind}
        if node.models:
            properties["models"] = [dict(model) for model in node.models]
        box = layout.boxes[key]
        return {
            "id": self.ids[key],
            "type": node.kind,
            "pos": [box.x, box.y],
            "size": [box.width, box.height],
            "flags": {},
            "order": order,
            "mode": 0,
            "inputs": inputs,
            "outputs": [
                {
                    "name": name,
                    "type": kind,
                    "links": [
                        number
                        for number, cable in enumerate(self.cables, 1)
                        if (cable.source, cable.output) == (key, name)
                    ],
                }
                for name, kind in zip(schema["output_name"], schema["output"], strict=True)
            ],
            # Without a title the editor shows the node's name in the user's language.
            **({"title": node.title} if node.title else {}),
            "properties": properties,
            "widgets_values": values,
        }

    def _shown(self, value: Any, spec: list[Any]) -> Any:
        """The value that a widget shows, even if it is linked to an input of the blueprint."""
        if not isinstance(value, Link):
            return value
        chosen = next(port.value for port in self._ends().inputs if port.name == value.output)
        return _options(spec).get("default") if chosen is None else chosen

    def _output_slot(self, cable: Cable) -> int:
        if cable.source == ENTRY:
            return [port.name for port in self._ends().inputs].index(cable.output)
        return _slot(Link(cable.source, cable.output), self.nodes, self.schemas)

    def _input_slot(self, cable: Cable) -> int:
        if cable.target == EXIT:
            return [name for name, _, _ in self._ends().outputs].index(cable.input)
        return [name for name, _ in _inputs(self.schemas[self.nodes[cable.target].kind])].index(cable.input)

    def _output_type(self, cable: Cable) -> str:
        if cable.source == ENTRY:
            return self._ends().inputs[self._output_slot(cable)].type
        kind: str = self.schemas[self.nodes[cable.source].kind]["output"][self._output_slot(cable)]
        return kind

    def _ends(self) -> Blueprint:
        if self.blueprint is None:
            raise ValueError("this graph has links from an entry or to an exit, which only a blueprint has")
        return self.blueprint


def _ids(nodes: Mapping[str, Node]) -> dict[str, int]:
    return {key: number for number, key in enumerate(nodes, 1)}


def _slot(link: Link, nodes: Mapping[str, Node], schemas: Schemas) -> int:
    """Number of the output from which a link comes."""
    slot: int = schemas[nodes[link.node].kind]["output_name"].index(link.output)
    return slot


def _title(node: Node, schema: Mapping[str, Any]) -> str:
    return node.title or schema["display_name"] or node.kind


def written_groups(groups: Sequence[Group], layout: Layout) -> list[dict[str, Any]]:
    """The frames."""
    return [
        {
            "id": number,
            "title": group.title,
            "bounding": layout.frame(group.columns).bounding(),
            "color": group.color,
            "font_size": layout.font,
            "flags": {},
        }
        for number, group in enumerate(groups, 1)
    ]


def _inputs(schema: Mapping[str, Any]) -> Iterator[tuple[str, list[Any]]]:
    for kind in ("required", "optional"):
        yield from ((name, spec) for name, spec in schema["input"].get(kind, {}).items())


def _type(spec: list[Any]) -> str:
    return "COMBO" if isinstance(spec[0], list) else spec[0]


def _is_widget(spec: list[Any]) -> bool:
    return _type(spec) in WIDGET_TYPES and not _options(spec).get("forceInput")


def _options(spec: list[Any]) -> Mapping[str, Any]:
    return spec[1] if len(spec) > 1 else {}


def _value(node: Node, name: str, spec: list[Any]) -> Any:
    return node.inputs.get(name, _options(spec).get("default"))


def _widget_values(value: Any, spec: list[Any]) -> list[Any]:
    """The value of a widget, and those of the widgets that the editor adds to it."""
    options = _options(spec)
    values = [value]
    control = options.get("control_after_generate")
    if control:
        values.append(control if isinstance(control, str) else "fixed")
    if options.get("image_upload"):
        values.append("image")
    return values


def _height(schema: Mapping[str, Any]) -> int:
    specs = [spec for _, spec in _inputs(schema)]
    widgets = [spec for spec in specs if _is_widget(spec)]
    sockets = max(len(specs) - len(widgets), len(schema["output"]))
    rows = sum(len(_widget_values(None, spec)) for spec in widgets if not _options(spec).get("multiline"))
    badge = BADGE if schema["python_module"].startswith("custom_nodes.") else 0
    return SOCKET_ROW * sockets + WIDGET_ROW * rows + (AROUND_WIDGETS if widgets else 0) + MARGIN + badge
