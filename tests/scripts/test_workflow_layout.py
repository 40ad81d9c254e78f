"""Where the shipped graphs are drawn: nothing overlaps, and no link runs through a node."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.environment import ROOT
from scripts.workflow_generator.layout import TITLE_BAR, Cable, Size, lay_out
from tests.scripts.editor_graph import NOTE, EditorGraph, Point, Rectangle, read_blueprint, read_workflow

WORKFLOWS = sorted((ROOT / "workflows").glob("*.json"))
BLUEPRINTS = sorted((ROOT / "subgraphs").glob("*.json"))


FRAMELESS = 4
"""Nodes that need no frames."""


def read(path: Path) -> EditorGraph:
    form = json.loads(path.read_text(encoding="utf-8"))
    return read_blueprint(form) if path in BLUEPRINTS else read_workflow(form)


@pytest.fixture(params=[*WORKFLOWS, *BLUEPRINTS], ids=lambda path: path.stem)
def graph(request: pytest.FixtureRequest) -> EditorGraph:
    return read(request.param)


def overlap(a: Rectangle, b: Rectangle) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def enters(a: Point, b: Point, box: Rectangle) -> bool:
    """Whether a straight line has a part inside a rectangle (not only at its border)."""
    low, high = 0.0, 1.0
    for start, end, least, most in ((a[0], b[0], box[0], box[2]), (a[1], b[1], box[1], box[3])):
        if start == end:
            if not least < start < most:
                return False
            continue
        first, last = sorted(((least - start) / (end - start), (most - start) / (end - start)))
        low, high = max(low, first), min(high, last)
    return high - low > 1e-9


def test_a_line_enters_a_box():
    box = (0, 0, 10, 10)
    assert enters((-5, 5), (15, 6), box)
    assert enters((5, -5), (5, 15), box)
    assert not enters((10, 5), (20, 5), box)
    assert not enters((-5, 8), (2, 15), box)


def test_no_two_nodes_overlap(graph):
    boxes = [graph.rectangle(node) for node in graph.nodes.values()]
    assert not [pair for pair in itertools.combinations(boxes, 2) if overlap(*pair)]


def test_no_link_runs_through_a_node(graph):
    for link in graph.links.values():
        for a, b in itertools.pairwise(graph.path(link)):
            through = [node["type"] for node in graph.nodes.values() if enters(a, b, graph.rectangle(node))]
            assert not through, f"link {link['id']} of {link['type']} through {through}"


def test_both_ends_of_a_link_know_it_and_agree_on_its_type(graph):
    known = set()
    for link in graph.links.values():
        source = graph.nodes[link["origin_id"]]["outputs"][link["origin_slot"]]
        target = graph.nodes[link["target_id"]]["inputs"][link["target_slot"]]
        assert link["id"] in source["links"]
        assert link["id"] == target["link"]
        assert source["type"] == link["type"]
        assert target["type"] in (link["type"], "*")
        known.add(link["id"])
    for node in graph.nodes.values():
        assert {slot["link"] for slot in node["inputs"]} - {None} <= known
        assert all(set(slot["links"]) <= known for slot in node["outputs"])


def test_frames_hold_whole_nodes_and_do_not_overlap(graph):
    if len(graph.nodes) <= FRAMELESS:
        assert not graph.frames
        return
    assert graph.frames
    assert not [pair for pair in itertools.combinations(graph.frames, 2) if overlap(*pair)]
    for node in graph.nodes.values():
        box = graph.rectangle(node)
        around = [frame for frame in graph.frames if overlap(box, frame)]
        if node["type"] in (NOTE, "inputNode", "outputNode"):
            assert not around
        else:
            [frame] = around
            assert frame[0] < box[0]
            # Its title needs room.
            assert frame[1] + 40 <= box[1]
            assert frame[2] > box[2]
            assert frame[3] > box[3]


@st.composite
def arrangements(draw):
    """Rows of columns of nodes of any size, and links within a row or to the next."""
    keys = itertools.count()
    rows = [
        [[[str(next(keys)) for _ in range(draw(st.integers(1, 3)))] for _ in range(draw(st.integers(1, 4)))]]
        for _ in range(draw(st.integers(1, 3)))
    ]
    places = [(row, column, key) for row, [columns] in enumerate(rows) for column, c in enumerate(columns) for key in c]
    sizes = {key: Size(draw(st.integers(60, 500)), draw(st.integers(20, 600))) for _, _, key in places}
    pairs = [
        (source, target)
        for row, column, source in places
        for other_row, other_column, target in places
        if other_row == row + 1 or (other_row == row and other_column != column)
    ]
    chosen = draw(st.lists(st.sampled_from(pairs), max_size=12, unique=True)) if pairs else []
    cables = [Cable(source, draw(st.sampled_from("ab")), target, source) for source, target in chosen]
    return rows, sizes, cables


@settings(max_examples=100, deadline=None)
@given(arrangements())
def test_any_graph_is_laid_out_without_overlaps(arrangement):
    rows, sizes, cables = arrangement
    layout = lay_out(rows, sizes, cables)
    boxes = {key: (box.x, box.y - TITLE_BAR, box.right, box.bottom) for key, box in layout.boxes.items()}
    assert not [pair for pair in itertools.combinations(boxes.values(), 2) if overlap(*pair)]
    for number, cable in enumerate(cables):
        source, target = boxes[cable.source], boxes[cable.target]
        turns = []
        last = layout.last_points.get(number)
        while last is not None:
            assert number in layout.points[last].cables
            turns.append((layout.points[last].x, layout.points[last].y))
            last = layout.points[last].parent
        path = [(source[2], source[1] + TITLE_BAR + 5), *turns[::-1], (target[0], target[3] - 5)]
        for a, b in itertools.pairwise(path):
            assert not any(enters(a, b, box) for box in boxes.values())
