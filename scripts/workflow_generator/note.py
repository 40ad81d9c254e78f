"""The note beside a graph: its place, and how the editor writes it."""

from __future__ import annotations

import math
from typing import Any

from .layout import FRAME_MARGIN, TITLE_BAR, Box

WIDTH = 420
"""Of a note beside a graph, pixels."""

APART = 40
"""Between the note and the graph, pixels."""

LETTER, LINE, PARAGRAPH, AROUND = 6.2, 20, 12, 50
"""Of the note's text, in pixels and on the safe side: width of a letter, height of a line, what a paragraph adds to its
lines, and what is around it all."""


def note_box(text: str) -> Box:
    """Where a note in Markdown stands: to the left of the graph, at which the editor opens it."""
    return Box(-FRAME_MARGIN - APART - WIDTH, TITLE_BAR, WIDTH, _height(text))


def _height(text: str) -> int:
    letters = (WIDTH - AROUND) / LETTER
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
