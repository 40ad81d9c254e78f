"""Writes the templates to begin with: a photograph, the blueprint that does everything, and the node that saves."""

from __future__ import annotations

import uuid
from typing import Any

from harness.workflow import TEMPLATES

from . import parts, small
from .blueprint import blueprint_node
from .forms import Schemas, WrittenGraph
from .graphs import ANONYMIZE_FACES
from .layout import Box, Layout
from .model import Blueprint, Node
from .note import written_note
from .texts import MARK

GAP, BELOW = 60, 90
"""Pixels between the nodes, and between the blueprint and the note below it."""

NOTE_HEIGHT = 300

_NOTE = parts.note_text(
    "Anonymize a photograph",
    "1. **Anonymize faces**: choose your model files, if they have other names than those shown.\n"
    "2. Press **Run**. *Save Anonymized Image* shows before and after, and what became of every face.\n"
    "3. **Photograph**: the people of the sample are rendered. Choose a photograph of yours, or drop one on the node, "
    "and press **Run** again.",
    "A second recogniser checks every face; what it still recognises is changed again at the next of **scales**, and "
    f"covered if nothing helps. To choose who is changed, open *{TEMPLATES['group-photo']}*.",
    parts.models_note(checked=True),
    parts.ORIGINALS_NOTE,
)


_SMALL_NOTE = parts.note_text(
    "Anonymize a photograph on the miniature",
    "Press **Run**. *Save Anonymized Image* shows before and after, and what became of every face.",
    small.NOTE,
    parts.ORIGINALS_NOTE,
)


def start_form(schemas: Schemas) -> dict[str, Any]:
    """The file for the editor."""
    return _form("start", ANONYMIZE_FACES, _NOTE, schemas)


def small_start_form(schemas: Schemas) -> dict[str, Any]:
    """The file for the editor, on the miniature."""
    return _form("miniature/start", small.small_blueprint(ANONYMIZE_FACES), _SMALL_NOTE, schemas)


def _form(name: str, whole: Blueprint, text: str, schemas: Schemas) -> dict[str, Any]:
    blueprint, inner = blueprint_node(whole, schemas)
    nodes = {
        "photograph": parts.photograph(),
        "save": Node("ReverseIdentitySaveImage", room=parts.COMPARISON_ROOM),
    }
    graph = WrittenGraph(nodes, schemas)
    places, left = {}, 0
    for key, width, height in (
        ("photograph", *graph.sizes["photograph"]),
        ("blueprint", *blueprint["size"]),
        ("save", *graph.sizes["save"]),
    ):
        places[key] = Box(left, 0, width, height)
        left += width + GAP
    photograph, save = graph.written_nodes(Layout(places, 0, (), {}))
    above = places["blueprint"]
    blueprint |= {"pos": [above.x, above.y], "order": 1}
    photograph |= {"id": blueprint["id"] + 1}
    save |= {"id": blueprint["id"] + 2, "order": 2}
    links = [
        _linked(1, photograph, "image", blueprint, "image"),
        _linked(2, blueprint, "image", save, "images"),
        _linked(3, blueprint, "verdict", save, "verdict"),
    ]
    below = Box(above.x, above.bottom + BELOW, above.width, NOTE_HEIGHT)
    note = written_note(text, below, blueprint["id"] + 3, 3)
    return {
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"reverse-personalization/{name}")),
        "revision": 0,
        "last_node_id": note["id"],
        "last_link_id": len(links),
        "nodes": [photograph, blueprint, save, note],
        "links": links,
        "groups": [],
        "definitions": {"subgraphs": [inner]},
        "config": {},
        "extra": {"reroutes": [], "linkExtensions": [], **MARK},
        "version": 0.4,
    }


def _linked(number: int, source: dict[str, Any], output: str, target: dict[str, Any], entry: str) -> list[Any]:
    """Link two written nodes; return the link."""
    out = next(slot for slot, port in enumerate(source["outputs"]) if port["name"] == output)
    into = next(slot for slot, port in enumerate(target["inputs"]) if port["name"] == entry)
    source["outputs"][out]["links"] = [number]
    target["inputs"][into]["link"] = number
    return [number, source["id"], out, target["id"], into, source["outputs"][out]["type"]]
