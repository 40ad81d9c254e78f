"""The workflow that runs on each photograph: read from a file in ComfyUI's API format and made fit for a batch."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Graph = dict[str, Any]
"""Node id -> {"class_type": ..., "inputs": ...}."""

PACK = Path(__file__).resolve().parents[1]
DEFAULT = PACK / "workflows" / "api" / "group-photo.json"

LOADER = "ReverseIdentityLoadPhotograph"
HOST_LOADER = "LoadImage"
SAVER = "ReverseIdentitySaveImage"
FACE_FINDER = "FaceEmbed"
PREVIEW = "PreviewAny"
"""ComfyUI's node that shows anything as text and writes no file."""

UPRIGHT_OUTPUTS = 2
"""IMAGE and MASK, which both loaders return first."""


class WorkflowError(ValueError):
    """A workflow, or what the command line changes in it, cannot be used for a batch."""


@dataclass(frozen=True)
class Prepared:
    """A workflow for one photograph a run.

    Attributes:
        graph: without the loader's file.
        loader: id of the node that loads the photograph.
        saver: id of the node that saves the result.
    """

    graph: Graph
    loader: str
    saver: str

    def digest(self) -> str:
        """The sha256 of everything that decides about the result but for the photograph, as hexadecimal digits."""
        bare = {key: {"class_type": node["class_type"], "inputs": node["inputs"]} for key, node in self.graph.items()}
        return hashlib.sha256(json.dumps(bare, sort_keys=True).encode()).hexdigest()

    def asks(self) -> bool:
        """Whether a run may end with a question to a person instead of a result."""
        return any(node["inputs"].get("doubtful") == "ask" for node in self.graph.values())

    def on(self, photograph: str) -> Graph:
        """The graph that a server runs on the photograph of that name."""
        graph = copy.deepcopy(self.graph)
        graph[self.loader]["inputs"]["image"] = photograph
        return graph


def read(path: Path) -> Graph:
    """Read a workflow in API format.

    Raises:
        WorkflowError: it cannot be read or is something else.
    """
    try:
        graph = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WorkflowError(f"the workflow {path} cannot be read: {error}") from error
    if isinstance(graph, dict) and "nodes" in graph and "links" in graph:
        raise WorkflowError(f"{path} is a workflow for the editor; save it there with File > Export (API)")
    if not isinstance(graph, dict) or not graph or not all(map(_is_node, graph.values())):
        raise WorkflowError(f"{path} is no workflow in API format; expected nodes with class_type and inputs by id")
    return graph


def _is_node(node: object) -> bool:
    return isinstance(node, dict) and isinstance(node.get("class_type"), str) and isinstance(node.get("inputs"), dict)


def prepare(given: Mapping[str, Any]) -> Prepared:
    """Make a workflow fit for a batch.

    It loads a photograph as people see it, returns the result without writing it to the server's disk, makes no
    previews, and holds only what the result needs.

    Raises:
        WorkflowError: it does not load exactly one photograph, or does not save exactly one result.
    """
    graph = copy.deepcopy(dict(given))
    saver = _only(graph, (SAVER,), "saves the result")
    needed = needed_by(graph, saver)
    graph = {key: node for key, node in graph.items() if key in needed}
    loader = _only(graph, (LOADER, HOST_LOADER), "loads the photograph")
    _check_outputs(graph, loader)
    graph[loader] = {**graph[loader], "class_type": LOADER, "inputs": {}}
    for node in graph.values():
        if "previews" in node["inputs"]:
            node["inputs"]["previews"] = False
    # The report goes beside the picture, and the contact sheet is made from it.
    graph[saver]["inputs"] |= {"destination": "memory", "report": True}
    return Prepared(graph, loader, saver)


def _only(graph: Graph, classes: tuple[str, ...], purpose: str) -> str:
    found = [key for key, node in graph.items() if node["class_type"] in classes]
    if len(found) == 1:
        return found[0]
    has = f"nodes {', '.join(found)}" if found else "none"
    raise WorkflowError(
        f"expected exactly one node that {purpose} ({' or '.join(classes)}) in the part of the workflow that leads to "
        f"{SAVER}, found {has}"
    )


def needed_by(graph: Graph, *nodes: str) -> set[str]:
    """Ids of the nodes on which these depend, and their own.

    Raises:
        WorkflowError: a node is missing.
    """
    needed: set[str] = set()
    waiting = list(nodes)
    while waiting:
        key = waiting.pop()
        if key in needed:
            continue
        if key not in graph:
            raise WorkflowError(f"the workflow has a link to node {key}, which it does not hold; export it again")
        needed.add(key)
        waiting += [str(value[0]) for value in graph[key]["inputs"].values() if is_link(value)]
    return needed


def _check_outputs(graph: Graph, loader: str) -> None:
    if graph[loader]["class_type"] == LOADER:
        return
    for key, node in graph.items():
        for name, value in node["inputs"].items():
            if is_link(value) and str(value[0]) == loader and value[1] >= UPRIGHT_OUTPUTS:
                raise WorkflowError(f"node {key} takes output {value[1]} of {HOST_LOADER} for {name}; it has 0 and 1")


def is_link(value: object) -> bool:
    """Whether an input's value is the output of another node."""
    return isinstance(value, list) and len(value) == 2 and isinstance(value[1], int) and not isinstance(value[1], bool)
