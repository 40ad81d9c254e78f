"""A graph without the names in it: what may be stored in a picture that must not lead back to its original.

A graph is kept as far as it says how a picture was made. Taken out is what says of what: every text of a node that
makes pictures out of texts (it names a file or a folder), texts of other nodes that feed one, the names of the files
that the host can load, absolute paths, anything that is called like a picture file, notes, and texts of nodes that
the host does not know. Texts for the text encoder stay: keeping the workflow is keeping them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

REMOVED = "removed"

OutputTypes = Callable[[str], Sequence[str] | None]
"""Of a node class the types of its outputs, or None for a class that is not known."""

_PICTURES = {"IMAGE", "MASK", "LATENT", "VIDEO"}

_PLAIN = {"STRING", "INT", "FLOAT", "BOOLEAN", "COMBO", "*"}
"""Socket types that may carry a file's name."""

_OF_PICTURES = _PICTURES | {"FACES", "FACE_PLACEMENTS", "NOISE_TRAJECTORY"}
"""Socket types that carry what was made of a picture: a node that takes one does not load what it gives out."""

_PICTURE_SUFFIX = (
    r"\.(?:arw|avif|bmp|cr2|cr3|dng|exr|gif|heic|heif|jfif|jpe?g|jxl|latent"
    r"|mkv|mov|mp4|nef|png|psd|tga|tiff?|webm|webp)"
)

_PICTURE_NAME = re.compile(rf"[^\n]+{_PICTURE_SUFFIX}(?:\s*\[\w+\])?\s*", re.IGNORECASE)

_PICTURE_WORD = re.compile(rf"[^\s\"'<>|,;()]+{_PICTURE_SUFFIX}(?![A-Za-z0-9])", re.IGNORECASE)

_ABSOLUTE_PATH = re.compile(
    r"(?:file://|(?<![A-Za-z0-9])[A-Za-z]:[\\/](?!/)|\\\\(?=\w)|~[\\/]|(?<![\w.:/<])/(?=\w[^/\n]*/))[^\n\"'<>|]*"
)

_FOLDER_NOTE = re.compile(r"\s*\[(?:input|output|temp)\]$")

_SHORTEST_ANYWHERE = 4
"""Letters of a name that is taken out inside words too; a shorter one only where it stands alone."""

_STRUCTURE = {"class_type", "type", "Node name for S&R"}
"""Keys whose texts name node classes and types of sockets."""

_EDITOR_PROPERTIES = {"Node name for S&R", "cnr_id", "ver", "proxyWidgets"}
"""Properties of a node that the editor needs; others belong to other packs, which may store anything there."""


class Scrubber:
    """Takes names out of one graph.

    Args:
        prompt: the graph in API form: node ids with `class_type` and `inputs`.
        output_types: what the host knows of node classes.
        files: names of the files that can be loaded, relative to their folder.
    """

    def __init__(self, prompt: Mapping[str, Any], output_types: OutputTypes, files: Iterable[str]) -> None:
        self._prompt = prompt
        self._output_types = output_types
        self._sources = set(_sources(prompt, output_types))
        # Names of inputs are no secrets, even where a file is called "image".
        self._public = {name for node in prompt.values() for name in node["inputs"]}
        file_names = {name for file in files for name in _parts(file)}
        self.private_names = set(_names(prompt, self._sources, file_names))
        # Of files that the graph does not load only whole names count: without their suffixes they may be plain words.
        self._pattern = _pattern({*self.private_names, *(name for name in file_names if "." in name)})

    def holds_private_name(self, text: str) -> bool:
        """Whether a text contains the name of what the graph loads."""
        pattern = _pattern(self.private_names)
        return pattern is not None and pattern.search(text) is not None

    def prompt(self) -> dict[str, Any]:
        """The graph in API form, without names."""
        clean = {}
        for key, node in self._prompt.items():
            inputs = {
                name: _blanked(value) if key in self._sources and not _is_link(value) else self._clean(value)
                for name, value in node["inputs"].items()
            }
            clean[key] = {"inputs": inputs, "class_type": node["class_type"]}
            if "title" in node.get("_meta", {}):
                clean[key]["_meta"] = {"title": self._text(node["_meta"]["title"])}
        return clean

    def workflow(self, workflow: Mapping[str, Any]) -> dict[str, Any]:
        """The graph as the editor stores it, without names, and without what other packs left in it.

        Args:
            workflow: the host's, with "nodes", and "definitions" of subgraphs.
        """
        return {key: self._workflow_part(key, value) for key, value in workflow.items() if key != "extra"}

    def _workflow_part(self, key: str, value: Any) -> Any:
        if key == "nodes":
            return [self._workflow_node(node) for node in value]
        if key == "definitions":
            return {"subgraphs": [self.workflow(graph) for graph in value.get("subgraphs", [])]}
        return value if key == "links" else self._clean(value)

    def _workflow_node(self, node: Mapping[str, Any]) -> dict[str, Any]:
        clean = {key: self._clean(value) for key, value in node.items()}
        clean["properties"] = {
            key: value for key, value in clean.get("properties", {}).items() if key in _EDITOR_PROPERTIES
        }
        if self._is_private(node):
            clean["widgets_values"] = _blanked(node.get("widgets_values", []))
        return clean

    def _is_private(self, node: Mapping[str, Any]) -> bool:
        """Whether a node of the editor loads pictures, is a note, or is of a class that the host does not know."""
        outputs = self._output_types(node["type"])
        if outputs is None:
            return True
        linked = [slot for slot in node.get("inputs", []) if slot.get("link") is not None]
        taken = {slot["type"] for slot in linked if "widget" not in slot}
        return not _PICTURES.isdisjoint(outputs) and taken.isdisjoint(_OF_PICTURES)

    def _clean(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, Mapping):
            return {key: item if key in _STRUCTURE else self._clean(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._clean(item) for item in value]
        return value

    def _text(self, text: str) -> str:
        if text in self._public:
            return text
        if _PICTURE_NAME.fullmatch(text):
            return REMOVED
        if self._pattern is not None:
            text = self._pattern.sub(REMOVED, text)
        return _PICTURE_WORD.sub(REMOVED, _ABSOLUTE_PATH.sub(REMOVED, text))


def _is_link(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], int)


def _links(node: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """Where a node's linked inputs come from: node id and number of the output."""
    for value in node["inputs"].values():
        if _is_link(value):
            yield value[0], value[1]


def _sources(prompt: Mapping[str, Any], output_types: OutputTypes) -> Iterator[str]:
    """Ids of the nodes that make pictures out of texts, and of all nodes that feed them."""
    for key, node in prompt.items():
        outputs = output_types(node["class_type"])
        taken = {kind for parent, slot in _links(node) for kind in _kind(prompt, output_types, parent, slot)}
        if (outputs is None or not _PICTURES.isdisjoint(outputs)) and taken.isdisjoint(_OF_PICTURES):
            yield from _with_feeders(prompt, output_types, key)


def _kind(prompt: Mapping[str, Any], output_types: OutputTypes, key: str, slot: int) -> Sequence[str]:
    """The type of one output, in a list; nothing if it is not known."""
    return (output_types(prompt[key]["class_type"]) or ())[slot : slot + 1]


def _with_feeders(prompt: Mapping[str, Any], output_types: OutputTypes, key: str) -> Iterator[str]:
    """A node, and all whose plain values reach it."""
    seen, waiting = set(), [key]
    while waiting:
        current = waiting.pop()
        if current not in seen:
            seen.add(current)
            links = _links(prompt[current])
            waiting += [
                parent for parent, slot in links if _PLAIN.issuperset(_kind(prompt, output_types, parent, slot))
            ]
    yield from seen


def _parts(name: str) -> Iterator[str]:
    """A path, its file's name, that without its suffix, and the names of its folders."""
    name = _FOLDER_NOTE.sub("", name.strip())
    folders = [part for part in re.split(r"[\\/]", name) if part not in ("", ".", "..", "~")]
    yield from (name, *folders)
    if folders:
        yield re.sub(r"\.[A-Za-z0-9]{1,6}$", "", folders[-1])


def _names(prompt: Mapping[str, Any], sources: set[str], known: set[str]) -> Iterator[str]:
    """Names in the texts of `sources`: what has a suffix, is a path, or is `known` to be a file or a folder."""
    for key in sources:
        for value in prompt[key]["inputs"].values():
            if isinstance(value, str):
                parts = set(_parts(value))
                if len(parts) > 1 or not known.isdisjoint(parts):
                    yield from parts


def _blanked(value: Any) -> Any:
    """The same without its texts."""
    if isinstance(value, str):
        return REMOVED
    if isinstance(value, Mapping):
        return {key: _blanked(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_blanked(item) for item in value]
    return value


def _pattern(names: Iterable[str]) -> re.Pattern[str] | None:
    """Finds all of them, the longest first, in any case of letters."""
    words = [
        re.escape(name) if len(name) >= _SHORTEST_ANYWHERE else rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])"
        for name in sorted(set(names), key=lambda name: (-len(name), name))
        if name
    ]
    return re.compile("|".join(words), re.IGNORECASE) if words else None
