"""Where the shipped graphs are drawn: nothing overlaps, no link runs back or through a node, and titles are legible."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.environment import ROOT
from harness.workflow import TEMPLATE_FOLDER
from miniature.workflow import SMALL_TEMPLATE_FOLDER
from scripts.workflow_generator.layout import TITLE_BAR, Cable, Size, lay_out
from tests.scripts.editor_graph import NOTE, EditorGraph, Point, Rectangle, read_blueprint, read_workflow

WORKFLOWS = sorted([*TEMPLATE_FOLDER.glob("*.json"), *SMALL_TEMPLATE_FOLDER.glob("*.json")])
BLUEPRINTS = sorted((ROOT / "subgraphs").glob("*.json"))


CLEAR = 6
"""Pixels between a link and a node that it does not belong to."""

FRAMELESS = 4
"""Nodes that need no frames."""

CANVAS = (1280, 720)
"""Of the editor on a laptop's screen, in pixels; the host's tabs and tools lie over its edges."""

PART_OF_CANVAS = 0.75
"""What a template takes of it when the host shows it whole."""

FREE_LEFT, FREE_ABOVE, FREE_BELOW = 76, 92, 36
"""Pixels beside what js/first_view.js shows of a template that would be too small whole."""

NAMED = 8 / 14
"""Least scale at which the canvas draws a node's title: it has 14 pixels, and below 8 the host leaves letters out."""

LEGIBLE = 11
"""Height of letters that can be read, pixels of the screen."""

LETTER = 0.56
"""Mean width of a letter of a frame's title, as a part of its size."""

OVERVIEW = 8
"""The same where the host shows a whole template."""

WIDE = {path for path in WORKFLOWS if not path.stem.startswith("01 ")}
"""Templates that are wider than a laptop's screen, so that they open at their left end."""


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


def curve(path: list[Point]) -> list[Point]:
    """A link as the editor draws it: through all points, and the more bent at an end the further that is."""
    drawn: list[Point] = []
    for number, (a, b) in enumerate(itertools.pairwise(path)):
        quarter = 0.25 * math.dist(a, b)
        # Where it turns, the editor bends it by 20 pixels at most, along the way.
        start, end = (quarter if last else min(20.0, quarter) for last in (number == 0, number == len(path) - 2))
        controls = (a, (a[0] + start, a[1]), (b[0] - end, b[1]), b)
        for step in range(41):
            t = step / 40
            weights = ((1 - t) ** 3, 3 * (1 - t) ** 2 * t, 3 * (1 - t) * t**2, t**3)
            x, y = (sum(w * point[axis] for w, point in zip(weights, controls, strict=True)) for axis in (0, 1))
            drawn.append((x, y))
    return drawn


def test_no_link_runs_through_a_node(graph):
    for link in graph.links.values():
        around = {number: graph.rectangle(node) for number, node in graph.nodes.items()}
        for number in around.keys() - {link["origin_id"], link["target_id"]}:
            left, top, right, bottom = around[number]
            around[number] = (left - CLEAR, top - CLEAR, right + CLEAR, bottom + CLEAR)
        for a, b in itertools.pairwise(curve(graph.path(link))):
            through = [graph.nodes[number]["type"] for number, box in around.items() if enters(a, b, box)]
            assert not through, f"link {link['id']} of {link['type']} through {through}"


def test_no_link_runs_backwards(graph):
    for link in graph.links.values():
        for (x, _), (further, _) in itertools.pairwise(graph.path(link)):
            assert x <= further, f"link {link['id']} of {link['type']} from {x} back to {further}"


def test_every_frame_fits_a_laptop_with_its_nodes_named(graph):
    for left, top, right, bottom in graph.frames:
        assert NAMED * (right - left) <= CANVAS[0]
        assert NAMED * (bottom - top) <= CANVAS[1]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_titles_are_legible_where_a_template_opens(path):
    graph, form = read(path), json.loads(path.read_text(encoding="utf-8"))
    boxes = [*(graph.rectangle(node) for node in graph.nodes.values()), *graph.frames]
    left, top, right, bottom = (
        pick(sides) for pick, sides in zip((min, min, max, max), zip(*boxes, strict=True), strict=True)
    )
    whole = PART_OF_CANVAS * min(CANVAS[0] / (right - left), CANVAS[1] / (bottom - top))
    assert (whole < NAMED) == (path in WIDE) == ("reverse_personalization_first_view" in form["extra"])
    if path not in WIDE:
        return
    # The note and the first frame are on the screen, and of every frame that is, all of its height.
    opened = (CANVAS[1] - FREE_ABOVE - FREE_BELOW) / (bottom - top)
    assert NAMED <= opened <= 1
    assert FREE_LEFT + opened * (graph.frames[0][2] - left) <= CANVAS[0]
    for group in form["groups"]:
        assert opened * group["font_size"] >= LEGIBLE, group["title"]
        assert whole * group["font_size"] >= OVERVIEW, group["title"]
        assert LETTER * group["font_size"] * len(group["title"]) <= group["bounding"][2], group["title"]


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
            assert frame[2] > box[2]
            assert frame[3] > box[3]


@st.composite
def arrangements(draw):
    """Frames of columns of nodes of any size, and links to columns further to the right."""
    keys = itertools.count()
    frames = [
        [[str(next(keys)) for _ in range(draw(st.integers(1, 3)))] for _ in range(draw(st.integers(1, 4)))]
        for _ in range(draw(st.integers(1, 3)))
    ]
    columns = [column for frame in frames for column in frame]
    sizes = {key: Size(draw(st.integers(60, 500)), draw(st.integers(20, 600))) for column in columns for key in column}
    pairs = [
        (source, target)
        for column, further in itertools.combinations(columns, 2)
        for source in column
        for target in further
    ]
    chosen = draw(st.lists(st.sampled_from(pairs), max_size=16, unique=True)) if pairs else []
    cables = [Cable(source, draw(st.sampled_from("ab")), target, source) for source, target in chosen]
    return frames, sizes, cables


@settings(max_examples=100, deadline=None)
@given(arrangements())
def test_any_graph_is_laid_out_without_overlaps(arrangement):
    frames, sizes, cables = arrangement
    layout = lay_out(frames, sizes, cables)
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
            assert a[0] <= b[0]
            assert not any(enters(a, b, box) for box in boxes.values())


def test_a_link_that_would_run_backwards_is_refused():
    sizes = dict.fromkeys("abc", Size(100, 100))
    for source, target in ("ba", "ab", "aa"):
        frames = [[["a", "b"], ["c"]]] if source == "a" else [[["a"], ["b", "c"]]]
        with pytest.raises(ValueError, match="further to the right"):
            lay_out(frames, sizes, [Cable(source, "out", target, "in")])
