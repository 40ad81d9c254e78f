"""The nodes of the running graph that lie between two places, and copies of them that work on other values.

A link is the host's: the id of a node and the number of its output.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from comfy_execution.graph_utils import GraphBuilder, is_link

from ..reverse_personalization.errors import PackError
from .node_classes import host_nodes

Link = tuple[str, int]


class NoPathError(PackError, ValueError):
    """Why nodes cannot be run a second time, as a clause for a report."""


@dataclass(frozen=True, eq=False)
class GraphPath:
    """The nodes that make something out of what some links carry.

    Attributes:
        prompt: the host's graph with everything that was added to it while it ran (its `DynamicPrompt`).
        nodes: ids of the nodes, without those that the links come from.
    """

    prompt: Any
    nodes: frozenset[str]

    def copy(self, values: Mapping[Link, Any], ends: Mapping[str, Mapping[str, Any]]) -> tuple[GraphBuilder, Copies]:
        """Copy the nodes, with their inputs.

        Args:
            values: what the copies get in place of what these links carry.
            ends: further nodes to copy, by id, each with the inputs that differ: values, or None to leave one out.

        Returns:
            The new graph, and its nodes by the ids of those that they copy. The editor shows on an original what its
            copy says.

        Raises:
            NoPathError: a copy would run more than once, because an input is a list with a value for each picture.
        """
        self._refuse_lists(values, ends)
        builder = GraphBuilder()
        copies = {}
        for node_id in (*sorted(self.nodes), *ends):
            copies[node_id] = builder.node(self.prompt.get_node(node_id)["class_type"], node_id)
            copies[node_id].set_override_display_id(self.prompt.get_display_node_id(node_id))

        def instead(value: Any) -> Any:
            if not is_link(value):
                return value
            node_id, output = value
            if (node_id, output) in values:
                return values[node_id, output]
            return copies[node_id].out(output) if node_id in copies else value

        for node_id, copied in copies.items():
            inputs = {name: instead(value) for name, value in self.prompt.get_node(node_id)["inputs"].items()}
            # Not as arguments of `builder.node`: an input may be called "id".
            copied.inputs = inputs
            for name, value in ends.get(node_id, {}).items():
                copied.set_input(name, value)
        return builder, copies

    def _refuse_lists(self, values: Mapping[Link, Any], ends: Mapping[str, Mapping[str, Any]]) -> None:
        """The host runs a node once for each item of a list, but a copy must give one result for the one picture."""
        for node_id in self.nodes:
            if _takes_lists(self.prompt, node_id) or any(_gives_lists(self.prompt, node_id)):
                raise NoPathError(f"{_name(self.prompt, node_id)} between the faces and the image works on lists")
        for node_id in (*self.nodes, *ends):
            for name, value in self.prompt.get_node(node_id)["inputs"].items():
                known = not is_link(value) or value[0] in self.nodes or tuple(value) in values
                if not known and name not in ends.get(node_id, {}) and _carries_list(self.prompt, tuple(value)):
                    raise NoPathError(
                        f"the input {name} of {_name(self.prompt, node_id)} comes from a list, whose item for this "
                        "picture is not known"
                    )


Copies = Mapping[str, Any]
"""The host's nodes of a new graph, by the ids of those that they copy."""


def link_of(inputs: Mapping[str, Any], name: str) -> Link:
    """The link at an input.

    Raises:
        NoPathError: another node of the running graph has put a value there instead.
    """
    value: Any = inputs.get(name)
    if not is_link(value):
        raise NoPathError(f"the input {name} is no link")
    node_id, output = value
    return node_id, output


def path_between(prompt: Any, starts: Collection[Link], needed: Link, end: Link) -> GraphPath:
    """Follow a graph from some links to the node at another.

    Args:
        prompt: the host's `DynamicPrompt`.
        starts: the links to follow.
        needed: that one of them without which there is no path.
        end: a link from the last node of the path.

    Raises:
        NoPathError: what the end carries does not depend on what `needed` carries.
    """
    sources = {node_id for node_id, _ in starts}

    @cache
    def depends(node_id: str, on: frozenset[Link]) -> bool:
        return any(
            link in on or (link[0] not in sources and depends(link[0], on)) for link in _links(prompt, [node_id])
        )

    if end[0] in sources or not depends(end[0], frozenset({needed})):
        raise NoPathError("the image does not come from these faces")
    waiting, nodes = [end[0]], set()
    while waiting:
        node_id = waiting.pop()
        if node_id not in nodes:
            nodes.add(node_id)
            waiting += [
                origin
                for origin, _ in _links(prompt, [node_id])
                if origin not in sources and depends(origin, frozenset(starts))
            ]
    return GraphPath(prompt, frozenset(nodes))


def _links(prompt: Any, node_ids: Iterable[str]) -> list[Link]:
    """All links into some nodes."""
    inputs = [value for node_id in node_ids for value in prompt.get_node(node_id)["inputs"].values()]
    return [(value[0], value[1]) for value in inputs if is_link(value)]


def _carries_list(prompt: Any, link: Link) -> bool:
    """Whether a link may carry a list of values, one for each picture, instead of a single value."""

    @cache
    def carries(node_id: str, output: int) -> bool:
        gives = _gives_lists(prompt, node_id)
        if output < len(gives) and gives[output]:
            return True
        # A node that takes lists as a whole runs once.
        return not _takes_lists(prompt, node_id) and any(carries(*one) for one in _links(prompt, [node_id]))

    return carries(*link)


def _class(prompt: Any, node_id: str) -> Any:
    return host_nodes.NODE_CLASS_MAPPINGS[prompt.get_node(node_id)["class_type"]]


def _gives_lists(prompt: Any, node_id: str) -> tuple[bool, ...]:
    return tuple(getattr(_class(prompt, node_id), "OUTPUT_IS_LIST", None) or ())


def _takes_lists(prompt: Any, node_id: str) -> bool:
    return bool(getattr(_class(prompt, node_id), "INPUT_IS_LIST", False))


def _name(prompt: Any, node_id: str) -> str:
    return f'"{prompt.get_node(node_id)["class_type"]}"'
