"""The graph that is being queued, so that a node can refuse at once what does not go together with other nodes.

The host asks each node whether its own typed inputs are valid and tells it nothing about the others. It announces a
request before that, in the same task.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

from comfy_execution.graph_utils import is_link
from server import PromptServer

from ..reverse_personalization.assurance.scrub import GraphNode, read_nodes
from .model_hashes import is_model_file

EMBEDDING_NODE, GUIDE_INPUT = "FaceEmbed", "model_pack"
"""The node that embeds faces, and its input that names the guide's pack."""

FACES_INPUT = "faces"
"""How inputs for faces are called."""

MODEL_INPUT = "model"
"""How inputs for models are called."""

_queued: ContextVar[Mapping[str, Any]] = ContextVar("queued graph")


def watch_the_queue() -> None:
    """Be told of every graph that is queued, if there is a server: the host can also run graphs without one."""
    server = getattr(PromptServer, "instance", None)
    if server is not None:
        server.add_on_prompt_handler(remember)


def remember(request: Any) -> Any:
    """Note the graph of a request; the request is passed on as it is."""
    prompt = request.get("prompt") if isinstance(request, Mapping) else None
    _queued.set(prompt if isinstance(prompt, Mapping) else {})
    return request


def queued_prompt() -> Mapping[str, Any]:
    """The graph that is being queued, in API form; empty if it is not known."""
    return _queued.get({})


def is_connected(node_id: str | None, name: str) -> bool:
    """Whether an input of a node of the queued graph is linked.

    Args:
        node_id: of the node; None if it is not known.
        name: of the input.
    """
    node = None if node_id is None else read_nodes(queued_prompt()).get(node_id)
    return node is not None and is_link(node.inputs.get(name))


def guides_of(node_id: str | None) -> set[str]:
    """Names of the packs whose embeddings reach the input `faces` of a node of the queued graph.

    Args:
        node_id: of the node; None if it is not known.

    Returns:
        The names that are typed into the nodes; not those that are linked.
    """
    nodes = read_nodes(queued_prompt())
    left, seen, guides = [] if node_id is None else [node_id], set(), set()
    while left:
        current = left.pop()
        node = nodes.get(current)
        if node is None or current in seen:
            continue
        seen.add(current)
        guide = node.inputs.get(GUIDE_INPUT)
        if node.class_type != EMBEDDING_NODE:
            left += _sources(node)
        elif isinstance(guide, str):
            guides.add(guide)
    return guides


def checkpoint_of(prompt: Mapping[str, Any], node_id: str | None) -> str | None:
    """Name of the file that a node's model comes from, through whatever patches it on the way.

    `checkpointOf` in js/checkpoint.js follows the graph in the editor by the same rule.

    Args:
        prompt: in API form.
        node_id: of the node with an input `model`; None if it is not known.

    Returns:
        The name as the loader has it; None if it is linked, or the way to a loader is not clear.
    """
    nodes = read_nodes(prompt)
    seen: set[str] = set()
    while node_id is not None and node_id in nodes and node_id not in seen:
        seen.add(node_id)
        inputs = nodes[node_id].inputs
        if not is_link(inputs.get(MODEL_INPUT)):
            return next((one for one in inputs.values() if isinstance(one, str) and is_model_file(one)), None)
        node_id = inputs[MODEL_INPUT][0]
    return None


def _sources(node: GraphNode) -> list[str]:
    """Ids of the nodes that a node's faces can come from."""
    if FACES_INPUT in node.inputs:
        faces = node.inputs[FACES_INPUT]
        return [faces[0]] if is_link(faces) else []
    return [value[0] for value in node.inputs.values() if is_link(value)]
