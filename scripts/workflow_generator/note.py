"""The note beside a graph: its place, and how the editor writes it."""

from __future__ import annotations

import math
from typing import Any

from .layout import FRAME_MARGIN, TITLE_BAR, Box, Layout, opening_scale

WIDE, NARROW = 1000, 420
"""Width of a note above a graph, and of one to its left; pixels."""

APART = 40
"""Between the note and the graph, pixels."""

LETTER, LINE, PARAGRAPH, AROUND = 6.2, 20, 12, 50
"""Of the note's text, in pixels and on the safe side: width of a letter, height of a line, what a paragraph adds to its
lines, and what is around it all."""


def note_box(text: str, layout: Layout) -> Box:
    """Above the graph or to its left, wherever the editor then opens both at the larger scale.

    Args:
        text: in Markdown.
        layout: of the graph.
    """
    height = _height(text, WIDE)
    above = Box(-FRAME_MARGIN, -APART - height, WIDE, height)
    beside = Box(-FRAME_MARGIN - APART - NARROW, TITLE_BAR, NARROW, _height(text, NARROW))
    nodes = list(layout.boxes.values())
    return max((above, beside), key=lambda note: opening_scale([*nodes, note]))


def _height(text: str, width: int) -> int:
    letters = (width - AROUND) / LETTER
    lines = [math.ceil(len(line) / letters) for line in text.split("\n") if line]
    return AROUND + sum(LINE * count + PARAGRAPH for count in lines)


def written_note(text: str, box: Box, number: int, order: int) -> dict[str, Any]:
    """The node with a text beside a graph."""
    return {
        "id": number,
        "type": "MarkdownNote",
        "pos": [box.x, box.y],
        "size": [box.width, box.height],
        "flags": {},
        "order": order,
        "mode": 0,
        "inputs": [],
        "outputs": [],
        "title": "About this workflow",
        "properties": {},
        "widgets_values": [text],
        "color": "#432",
        "bgcolor": "#653",
    }
