"""Writes a graph inside one node for the node library: a workflow of that node, with the graph as its subgraph."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from .forms import (
    AROUND_WIDGETS,
    ENTRY_ID,
    EXIT,
    EXIT_ID,
    MARGIN,
    SOCKET_ROW,
    WIDGET_ROW,
    Schemas,
    WrittenGraph,
    written_groups,
)
from .layout import Size, lay_out
from .model import ENTRY, Blueprint
from .texts import MARK

PORT_WIDTH = 160
BLUEPRINT_WIDTH = 360


def blueprint_form(blueprint: Blueprint, schemas: Schemas) -> dict[str, Any]:
    """The file for the node library: a workflow of one node, and the graph inside it."""
    outer, inner = blueprint_node(blueprint, schemas)
    return {
        "id": str(uuid.uuid5(uuid.UUID(inner["id"]), "workflow")),
        "revision": 0,
        "last_node_id": outer["id"],
        "last_link_id": 0,
        "nodes": [outer],
        "links": [],
        "groups": [],
        "definitions": {"subgraphs": [inner]},
        "config": {},
        "extra": {"BlueprintDescription": blueprint.description, **MARK},
        "version": 0.4,
    }


def blueprint_node(blueprint: Blueprint, schemas: Schemas) -> tuple[dict[str, Any], dict[str, Any]]:
    """The node of a blueprint, without links and with an id that no node inside has; and the graph inside it."""
    graph = WrittenGraph(blueprint.nodes, schemas, blueprint)
    frames = [((ENTRY,),), *(group.columns for group in blueprint.groups), ((EXIT,),)]
    ends = {
        ENTRY: Size(PORT_WIDTH, SOCKET_ROW * (len(blueprint.inputs) + 2)),
        EXIT: Size(PORT_WIDTH, SOCKET_ROW * (len(blueprint.outputs) + 2)),
    }
    layout = lay_out(frames, {**graph.sizes, **ends}, graph.cables)
    nodes = graph.written_nodes(layout)
    links = graph.written_links()
    reroutes, rerouted = graph.written_reroutes(layout)
    for link in links:
        if link["id"] in rerouted:
            link["parentId"] = rerouted[link["id"]]
    own = uuid.uuid5(uuid.NAMESPACE_URL, f"reverse-personalization/subgraphs/{blueprint.name}")
    inputs = [(port.name, port.type) for port in blueprint.inputs]
    outputs = [(name, kind) for name, kind, _ in blueprint.outputs]
    inner = {
        "id": str(own),
        "version": 1,
        "state": {
            "lastGroupId": len(blueprint.groups),
            "lastNodeId": len(nodes) + 1,
            "lastLinkId": len(links),
            "lastRerouteId": len(reroutes),
        },
        "revision": 0,
        "config": {},
        "name": blueprint.name,
        "description": blueprint.description,
        "inputNode": {"id": ENTRY_ID, "bounding": layout.boxes[ENTRY].bounding()},
        "outputNode": {"id": EXIT_ID, "bounding": layout.boxes[EXIT].bounding()},
        "inputs": _written_ports(own, "input", inputs, links, "origin"),
        "outputs": _written_ports(own, "output", outputs, links, "target"),
        "widgets": [],
        "nodes": nodes,
        "groups": written_groups(blueprint.groups, layout),
        "links": links,
        "reroutes": reroutes,
        "extra": dict(MARK),
    }
    outer = {
        "id": len(nodes) + 1,
        "type": str(own),
        "pos": [0, 0],
        "size": [
            BLUEPRINT_WIDTH,
            SOCKET_ROW * max(len(outputs), sum(not port.is_widget for port in blueprint.inputs))
            + WIDGET_ROW * sum(port.is_widget for port in blueprint.inputs)
            + AROUND_WIDGETS
            + MARGIN,
        ],
        "flags": {},
        "order": 0,
        "mode": 0,
        "inputs": [
            {
                "name": port.name,
                "type": port.type,
                **({"widget": {"name": port.name}} if port.is_widget else {}),
                "link": None,
            }
            for port in blueprint.inputs
        ],
        "outputs": [{"name": name, "type": kind, "links": []} for name, kind in outputs],
        "title": blueprint.name,
        "properties": {
            "proxyWidgets": [
                next([str(graph.ids[cable.target]), cable.input] for cable in graph.cables if cable.output == port.name)
                for port in blueprint.inputs
                if port.is_widget
            ]
        },
        "widgets_values": [],
    }
    return outer, inner


def _written_ports(
    own: uuid.UUID, side: str, ports: Sequence[tuple[str, str]], links: Sequence[Mapping[str, Any]], end: str
) -> list[dict[str, Any]]:
    """Inputs or outputs of a blueprint; `end` says which end of a link is at them."""
    end_id = {"origin": ENTRY_ID, "target": EXIT_ID}[end]
    return [
        {
            "id": str(uuid.uuid5(own, f"{side} {name}")),
            "name": name,
            "type": kind,
            "linkIds": [link["id"] for link in links if (link[f"{end}_id"], link[f"{end}_slot"]) == (end_id, slot)],
        }
        for slot, (name, kind) in enumerate(ports)
    ]
