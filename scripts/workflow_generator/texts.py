"""What is written in the shipped graphs: collected for translation, and the mark by which the editor knows them.

`js/graphs.js` looks for the same texts in a graph that it loads, and puts the editor's language in their place.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

MARK: Mapping[str, Any] = {"reverse_personalization": {"language": "en"}}
"""Among what a graph carries besides: in which language its texts are. Those of an unmarked graph are its author's."""

FIRST_VIEW: Mapping[str, Any] = {"reverse_personalization_first_view": True}
"""Beside the mark, in a graph that is wider than a screen: `js/first_view.js` then opens it at its left end."""

_WORDS, _DIGITS = 4, 4


def texts_of(form: Mapping[str, Any]) -> Iterator[str]:
    """The texts of a workflow as the editor stores it, and of the graphs inside its nodes.

    Yields:
        Names of graphs, titles of groups and nodes, names of the inputs and outputs of graphs, and notes, by paragraph
        and without the signs of a heading; one may come more than once.
    """
    inner = form.get("definitions", {}).get("subgraphs", ())
    for graph in (form, *inner):
        yield from filter(None, [graph.get("name")])
        yield from (group["title"] for group in graph["groups"])
        yield from (node["title"] for node in graph["nodes"] if "title" in node)
        for node in graph["nodes"]:
            if node["type"] == "MarkdownNote":
                yield from (paragraph.lstrip("# ") for paragraph in node["widgets_values"][0].split("\n\n"))
        yield from (slot["name"] for slot in (*graph.get("inputs", ()), *graph.get("outputs", ())))


def by_key(texts: Iterable[str]) -> dict[str, str]:
    """Each text once, under a key that changes with it: no translation outlives what it translates.

    Returns:
        In the order given, by keys such as "models-and-photograph-1c5f".
    """
    return {_key(text): text for text in texts}


def _key(text: str) -> str:
    words = re.findall(r"\w+", text.lower())[:_WORDS]
    return "-".join((*words, hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]))
