"""Removes names from a graph, so that it can be stored in a picture that must not lead back to its original.

What says how the picture was made stays. These texts are removed: every text of a node that makes pictures out of texts
(it names a file or a folder), texts of nodes that feed such a node, names of files that the host can load, absolute
paths, anything named like a picture file, notes, and all texts of nodes that the host does not know or that are
malformed. Texts for the text encoder stay: a user who keeps the workflow keeps them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from .name_search import NameSearch

REMOVED = "removed"

OutputTypes = Callable[[str], Sequence[str] | None]
"""A node class -> the types of its outputs, or None for an unknown class."""

MOST_NESTED = 64
"""Levels of nested lists and objects that are read; anything deeper is removed. Real graphs have ten."""

_PICTURES = {"IMAGE", "MASK", "LATENT", "VIDEO"}

_PLAIN = {"STRING", "INT", "FLOAT", "BOOLEAN", "COMBO", "*"}
"""Socket types that can carry a file's name."""

_OF_PICTURES = _PICTURES | {"REVERSE_IDENTITY_FACES", "REVERSE_IDENTITY_PLACEMENTS", "REVERSE_IDENTITY_TRAJECTORY"}
"""Socket types made from a picture: a node that takes one does not load the picture that it outputs."""

# None of these expressions may read a character more than a few times, whatever the text: a graph may hold a whole
# picture as base64.
_SUFFIX = (
    r"\.(?:arw|avif|bmp|cr2|cr3|dng|exr|gif|heic|heif|jfif|jpe?g|jxl|latent"
    r"|mkv|mov|mp4|nef|png|psd|tga|tiff?|webm|webp)"
)

_PICTURE_NAME = re.compile(rf"[^\n]+{_SUFFIX}(?:\s*\[\w+\])?\s*", re.IGNORECASE)

_WORD = re.compile(r"[^\s\"'<>|,;()]+")

_WORD_SUFFIX = re.compile(rf"{_SUFFIX}(?![A-Za-z0-9])", re.IGNORECASE)

_ABSOLUTE_PATH = re.compile(
    r"(?:file://|(?<![A-Za-z0-9])[A-Za-z]:[\\/](?!/)|\\\\(?=\w)|~[\\/]|(?<![\w.:/<])/(?=\w[^/\n]*/))[^\n\"'<>|]*"
)

_FOLDER_NOTES = ("[input]", "[output]", "[temp]")

_FILE_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,6}\Z")

_NODE_NUMBER = re.compile(r"\d+(?::\d+)*")
"""A node's id as the editor assigns it; inside a subgraph it follows the subgraph's own id."""

_STRUCTURE = {"class_type", "type", "Node name for S&R"}
"""Keys whose texts name node classes or socket types."""

_EDITOR_PROPERTIES = {"Node name for S&R", "cnr_id", "ver", "proxyWidgets"}
"""Node properties that the editor needs; others belong to other packs, which may store anything there."""


@dataclass(frozen=True)
class GraphNode:
    """A node of a graph in API form: its class, and its inputs by their names."""

    class_type: str
    inputs: Mapping[str, Any]


@dataclass(frozen=True)
class _Link:
    """A link as the editor stores it: its id, the nodes that it connects, and its socket's type."""

    id: Any
    origin: Any
    target: Any
    type: Any


class Scrubber:
    """Removes names from one graph.

    Args:
        prompt: the graph in API form: node ids with `class_type` and `inputs`. Malformed nodes, links to missing nodes
            and cycles are tolerated.
        output_types: the types of a node class's outputs, according to the host.
        files: names of the files that can be loaded, relative to their folder. They are read once, when first needed.
    """

    def __init__(self, prompt: Mapping[str, Any], output_types: OutputTypes, files: Iterable[str]) -> None:
        self._prompt = prompt if isinstance(prompt, Mapping) else {}
        self._output_types = output_types
        self._files = files
        self._nodes = read_nodes(self._prompt)
        self._sources = self._find_sources()
        # Names of inputs are not secret, even if a file is called "image".
        self._public = {name for node in self._nodes.values() for name in node.inputs if not _is_picture_name(name)}
        self._certain, self._possible = self._find_names()

    @cached_property
    def private_names(self) -> set[str]:
        """Names of the files and folders that the graph loads."""
        return self._certain | (self._possible & self._file_names)

    def holds_private_name(self, text: str) -> bool:
        """Whether a text contains the name of a file or folder that the graph loads."""
        if NameSearch(self._certain).found_in(text):
            return True
        # There may be many files, so their names are read only if the text contains a word of the graph.
        possible = {name for name in self._possible if NameSearch([name]).found_in(text)}
        return bool(possible) and not possible.isdisjoint(self._file_names)

    def prompt(self) -> dict[str, Any]:
        """The graph in API form, without names."""
        return {self._ids[key]: self._prompt_node(key, raw) for key, raw in self._prompt.items()}

    def workflow(self, workflow: Mapping[str, Any]) -> Any:
        """The graph as the editor stores it, without names and without other packs' data.

        Args:
            workflow: the host's graph, with "nodes", "links", and "definitions" of subgraphs.
        """
        return self._graph(workflow, self._sources, 0)

    @cached_property
    def _file_names(self) -> set[str]:
        return {name for file in self._files for name in _parts(file)}

    @cached_property
    def _search(self) -> NameSearch:
        # Files that the graph does not load count by their whole names only: without suffixes these may be plain words.
        return NameSearch(self.private_names | {name for name in self._file_names if "." in name})

    @cached_property
    def _ids(self) -> dict[str, str]:
        """Node ids without names: numbers from the editor stay, but an id that a person wrote may contain a name."""
        return {
            key: key if _NODE_NUMBER.fullmatch(key) or self._text(key) == key else f"{REMOVED} {number}"
            for number, key in enumerate(self._prompt)
        }

    def _find_sources(self) -> set[str]:
        """Ids of the nodes that make pictures out of texts, of unknown nodes, and of all nodes that feed them."""
        waiting = [key for key, node in self._nodes.items() if self._makes_pictures(node)]
        sources: set[str] = set()
        while waiting:
            key = waiting.pop()
            if key not in sources and key in self._nodes:
                sources.add(key)
                links = self._links_of(self._nodes[key])
                waiting += [origin for origin, slot in links if _PLAIN.issuperset(self._types(origin, slot))]
        return sources

    def _makes_pictures(self, node: GraphNode) -> bool:
        outputs = self._output_types(node.class_type)
        if outputs is None:
            return True
        taken = {kind for origin, slot in self._links_of(node) for kind in self._types(origin, slot)}
        return not _PICTURES.isdisjoint(outputs) and taken.isdisjoint(_OF_PICTURES)

    def _links_of(self, node: GraphNode) -> Iterator[tuple[str, int]]:
        """The origins of a node's linked inputs: node id and number of the output."""
        for value in node.inputs.values():
            if self._is_link(value):
                yield value[0], int(value[1])

    def _is_link(self, value: Any) -> bool:
        """Whether a value is a link to an existing node; a list of a text and a number need not be one."""
        if not (isinstance(value, list) and len(value) == 2 and isinstance(value[0], str)):
            return False
        return isinstance(value[1], (int, float)) and value[1] in range(1 << 16) and value[0] in self._prompt

    def _types(self, key: str, slot: int) -> Sequence[str]:
        """The type of one output, as a sequence; empty if unknown."""
        node = self._nodes.get(key)
        return () if node is None else (self._output_types(node.class_type) or ())[slot : slot + 1]

    def _find_names(self) -> tuple[set[str], set[str]]:
        """Names that the graph loads, and words that are such names if a file or a folder is called that."""
        certain: set[str] = set()
        possible: set[str] = set()
        values = [self._nodes[key].inputs for key in self._sources]
        strange = [raw for key, raw in self._prompt.items() if key not in self._nodes]
        for text in _texts([*values, *strange]):
            parts = {part for part in _parts(text) if part}
            # A text with a suffix or a path is certainly a name.
            (certain if len(parts) > 1 else possible).update(parts)
        return certain, possible

    def _prompt_node(self, key: str, raw: Any) -> Any:
        node = self._nodes.get(key)
        if node is None:
            return self._blank(raw)
        values = {}
        for name, value in node.inputs.items():
            if self._is_link(value):
                values[self._key(name)] = [self._ids[value[0]], value[1]]
            else:
                values[self._key(name)] = self._blank(value) if key in self._sources else self._clean(value)
        clean: dict[str, Any] = {"inputs": values, "class_type": self._structure(node.class_type)}
        if isinstance(meta := raw.get("_meta"), Mapping) and isinstance(title := meta.get("title"), str):
            clean["_meta"] = {"title": self._text(title)}
        return clean

    def _graph(self, graph: Any, sources: Collection[str], depth: int) -> Any:
        """One of the editor's graphs without names: the outermost, or a subgraph.

        Args:
            graph: with "nodes" and "links".
            sources: ids of nodes whose texts must be removed in any case.
            depth: number of graphs around it.
        """
        if not isinstance(graph, Mapping) or depth > MOST_NESTED:
            return self._blank(graph)
        private = self._private_nodes(graph, sources)
        clean: dict[str, Any] = {}
        for key, value in graph.items():
            if key == "nodes" and isinstance(value, list):
                clean[key] = [self._workflow_node(node, private) for node in value]
            elif key == "definitions":
                inner = value.get("subgraphs") if isinstance(value, Mapping) else None
                clean[key] = {"subgraphs": [self._graph(one, (), depth + 1) for one in _listed(inner)]}
            elif key == "links" and isinstance(value, list):
                clean[key] = [self._link(link) for link in value]
            elif key != "extra":
                clean[self._key(key)] = self._clean(value)
        return clean

    def _private_nodes(self, graph: Mapping[str, Any], sources: Collection[str]) -> set[str]:
        """Ids, as texts, of the nodes in one of the editor's graphs whose texts must be removed."""
        nodes = [node for node in _listed(graph.get("nodes")) if _is_editor_node(node)]
        ids = {str(node["id"]) for node in nodes}
        links = [_read_link(link) for link in _listed(graph.get("links"))]
        # A subgraph's inputs and outputs are nodes with negative numbers, which the list does not contain.
        live = [link for link in links if str(link.origin) in ids or str(link.origin).startswith("-")]
        types = {str(link.id): link.type for link in live}
        feeders: dict[str, list[str]] = {}
        for link in live:
            if not isinstance(link.type, str) or link.type in _PLAIN:
                feeders.setdefault(str(link.target), []).append(str(link.origin))
        waiting = [str(node["id"]) for node in nodes if str(node["id"]) in sources or self._is_private(node, types)]
        private: set[str] = set()
        while waiting:
            key = waiting.pop()
            if key not in private:
                private.add(key)
                waiting += feeders.get(key, [])
        return private

    def _is_private(self, node: Mapping[str, Any], types: Mapping[str, Any]) -> bool:
        """Whether one of the editor's nodes loads pictures, is a note, or has a class unknown to the host.

        Args:
            node: as the editor stores it.
            types: types of the links that lead from an existing node, by link id.
        """
        outputs = self._output_types(node["type"])
        if outputs is None:
            return True
        slots = [slot for slot in _listed(node.get("inputs")) if isinstance(slot, Mapping) and "widget" not in slot]
        taken = {str(slot.get("type")) for slot in slots if str(slot.get("link")) in types}
        return not _PICTURES.isdisjoint(outputs) and taken.isdisjoint(_OF_PICTURES)

    def _workflow_node(self, node: Any, private: Collection[str]) -> Any:
        if not _is_editor_node(node):
            return self._blank(node)
        clean = self._clean(node)
        properties = clean.get("properties")
        clean["properties"] = {
            key: value
            for key, value in (properties.items() if isinstance(properties, dict) else ())
            if key in _EDITOR_PROPERTIES
        }
        if str(node["id"]) in private:
            clean["widgets_values"] = self._blank(node.get("widgets_values", []))
        return clean

    def _link(self, link: Any) -> Any:
        if not isinstance(link, list):
            return self._clean(link)
        # The sixth entry is the sockets' type.
        return [self._structure(one) if place == 5 else self._clean(one) for place, one in enumerate(link)]

    def _clean(self, value: Any, depth: int = 0) -> Any:
        """The value without names."""
        if isinstance(value, str):
            return self._text(value)
        if depth > MOST_NESTED:
            return REMOVED
        if isinstance(value, Mapping):
            return {
                self._key(key): self._structure(item) if key in _STRUCTURE else self._clean(item, depth + 1)
                for key, item in value.items()
            }
        if isinstance(value, list):
            return [self._clean(item, depth + 1) for item in value]
        return value

    def _blank(self, value: Any, depth: int = 0) -> Any:
        """The value with all its texts removed."""
        if isinstance(value, str) or depth > MOST_NESTED:
            return REMOVED
        if isinstance(value, Mapping):
            return {self._key(key): self._blank(item, depth + 1) for key, item in value.items()}
        if isinstance(value, list):
            return [self._blank(item, depth + 1) for item in value]
        return value

    def _key(self, key: str) -> str:
        return key if key.isidentifier() or key in _STRUCTURE else self._text(key)

    def _structure(self, value: Any) -> Any:
        """The name of a node class or socket type; a file's name that is only part of such a word stays."""
        if not isinstance(value, str):
            return self._clean(value)
        if self._output_types(value) is not None:
            return value
        return self._text(value) if " " in value else _without_paths(value)

    def _text(self, text: str) -> str:
        if text in self._public:
            return text
        return REMOVED if _is_picture_name(text) else _without_paths(self._search.replace(text, REMOVED))


def read_nodes(prompt: Mapping[str, Any]) -> dict[str, GraphNode]:
    """The nodes of a graph in API form, by their ids; malformed ones are left out."""
    return {
        key: GraphNode(raw["class_type"], raw["inputs"])
        for key, raw in prompt.items()
        if isinstance(raw, Mapping)
        and isinstance(raw.get("class_type"), str)
        and isinstance(raw.get("inputs"), Mapping)
    }


def _is_editor_node(node: Any) -> bool:
    return isinstance(node, Mapping) and isinstance(node.get("type"), str) and isinstance(node.get("id"), (int, str))


def _read_link(link: Any) -> _Link:
    """Read a link in either form: the list [id, origin, its slot, target, its slot, type], or a subgraph's object."""
    if isinstance(link, list) and len(link) >= 6:
        return _Link(link[0], link[1], link[3], link[5])
    named = link if isinstance(link, Mapping) else {}
    return _Link(named.get("id"), named.get("origin_id"), named.get("target_id"), named.get("type"))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _texts(values: Iterable[Any]) -> Iterator[str]:
    """All texts in nested values."""
    waiting = list(values)
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, Mapping):
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value


def _parts(name: str) -> Iterator[str]:
    """A path, the names of its file and folders, and the file's name without its suffix."""
    name = name.strip()
    for note in _FOLDER_NOTES:
        name = name.removesuffix(note).rstrip()
    folders = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".", "..", "~")]
    yield from (name, *folders)
    if folders:
        yield _FILE_SUFFIX.sub("", folders[-1])


def _is_picture_name(text: str) -> bool:
    return _PICTURE_NAME.fullmatch(text) is not None


def _without_paths(text: str) -> str:
    """The text without absolute paths and without words named like a picture file."""
    return _WORD.sub(_without_picture, _ABSOLUTE_PATH.sub(REMOVED, text))


def _without_picture(word: re.Match[str]) -> str:
    ends = [found.end() for found in _WORD_SUFFIX.finditer(word[0]) if found.start()]
    return REMOVED + word[0][ends[-1] :] if ends else word[0]
