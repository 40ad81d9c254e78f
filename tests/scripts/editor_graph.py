"""A graph as the editor's file has it: read independently of what wrote it, drawn and queued as the editor does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

WIDGETS = {"INT", "FLOAT", "STRING", "BOOLEAN", "COMBO"}
TITLE_BAR = 30
ENTRY = -10
NOTE = "MarkdownNote"

Point = tuple[float, float]
Rectangle = tuple[float, float, float, float]
"""Left, top, right, bottom."""


@dataclass(frozen=True)
class EditorGraph:
    """Nodes, links and reroutes by id, and frames."""

    nodes: Mapping[int, Mapping[str, Any]]
    links: Mapping[int, Mapping[str, Any]]
    reroutes: Mapping[int, Mapping[str, Any]]
    frames: tuple[Rectangle, ...]
    ports: tuple[str, ...] = ()
    """Names of a subgraph's inputs."""

    def rectangle(self, node: Mapping[str, Any]) -> Rectangle:
        """Of a node with its title bar."""
        (x, y), (width, height) = node["pos"], node["size"]
        return (x, y - TITLE_BAR, x + width, y + height)

    def path(self, link: Mapping[str, Any]) -> list[Point]:
        """Where a link is drawn, from output to input."""
        points = [self._socket(link["target_id"], link["target_slot"], "inputs")]
        parent = link.get("parentId")
        while parent is not None:
            reroute = self.reroutes[parent]
            assert link["id"] in reroute["linkIds"]
            points.append(tuple(reroute["pos"]))
            parent = reroute.get("parentId")
        points.append(self._socket(link["origin_id"], link["origin_slot"], "outputs"))
        return points[::-1]

    def _socket(self, node_id: int, slot: int, side: str) -> Point:
        node = self.nodes[node_id]
        left, top, right, _ = self.rectangle(node)
        entries = node[side]
        sockets = [number for number, entry in enumerate(entries) if "widget" not in entry]
        if slot in sockets:
            below = 14 + 20 * sockets.index(slot)
        else:
            rows = max(len(sockets), len(node["outputs"]))
            below = 10 + 20 * rows + 24 * (slot - sum(number < slot for number in sockets)) + 12
        return (right if side == "outputs" else left, top + TITLE_BAR + below)


def read_workflow(form: Mapping[str, Any]) -> EditorGraph:
    """A workflow's file."""
    keys = ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type")
    parents = {entry["id"]: entry["parentId"] for entry in form["extra"]["linkExtensions"]}
    links = [{**dict(zip(keys, link, strict=True)), "parentId": parents.get(link[0])} for link in form["links"]]
    return _graph(form, links, form["extra"]["reroutes"])


def read_blueprint(form: Mapping[str, Any]) -> EditorGraph:
    """The graph inside a blueprint's file; its two ends are nodes, without widgets."""
    [inner] = form["definitions"]["subgraphs"]
    ends = {}
    for name, ins, outs in (("inputNode", [], inner["inputs"]), ("outputNode", inner["outputs"], [])):
        x, y, width, height = inner[name]["bounding"]
        ends[inner[name]["id"]] = {
            "type": name,
            "pos": [x, y],
            "size": [width, height],
            "inputs": [{"name": port["name"], "type": port["type"], "link": port["linkIds"][0]} for port in ins],
            "outputs": [{"name": port["name"], "type": port["type"], "links": port["linkIds"]} for port in outs],
        }
    ports = tuple(port["name"] for port in inner["inputs"])
    return _graph(inner, inner["links"], inner["reroutes"], ends, ports)


def _graph(
    form: Mapping[str, Any],
    links: list[Any],
    reroutes: list[Any],
    ends: Mapping[int, Any] | None = None,
    ports: tuple[str, ...] = (),
) -> EditorGraph:
    frames = [group["bounding"] for group in form["groups"]]
    return EditorGraph(
        nodes={**{node["id"]: node for node in form["nodes"]}, **(ends or {})},
        links={link["id"]: link for link in links},
        reroutes={reroute["id"]: reroute for reroute in reroutes},
        frames=tuple((x, y, x + width, y + height) for x, y, width, height in frames),
        ports=ports,
    )


def queued(
    graph: EditorGraph, schemas: Mapping[str, Any], connected: Mapping[str, list[Any]] | None = None
) -> dict[str, Any]:
    """What the editor would queue: class and inputs of every node.

    Args:
        graph: of a workflow or a blueprint.
        schemas: of the server.
        connected: what leads into a blueprint's inputs; widgets that nothing leads into have their own values.
    """
    prompt = {}
    for node_id, node in graph.nodes.items():
        if node["type"] not in schemas:
            continue
        inputs = dict(_widget_values(node, schemas[node["type"]]))
        for slot in node["inputs"]:
            if slot["link"] is None:
                continue
            link = graph.links[slot["link"]]
            if link["origin_id"] != ENTRY:
                inputs[slot["name"]] = [str(link["origin_id"]), link["origin_slot"]]
            elif (port := graph.ports[link["origin_slot"]]) in (connected or {}):
                inputs[slot["name"]] = (connected or {})[port]
        prompt[str(node_id)] = {"class_type": node["type"], "inputs": inputs}
    return prompt


def _widget_values(node: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Name and value of a node's widgets, which its file has in the schema's order."""
    values = iter(node["widgets_values"])
    for kind in ("required", "optional"):
        for name, spec in schema["input"].get(kind, {}).items():
            options = spec[1] if len(spec) > 1 else {}
            if (isinstance(spec[0], list) or spec[0] in WIDGETS) and not options.get("forceInput"):
                yield name, next(values)
                # The editor's own widgets behind these two are not queued.
                for extra in ("control_after_generate", "image_upload"):
                    if options.get(extra):
                        next(values)
    assert not list(values), f"{node['type']} has more values than widgets"
