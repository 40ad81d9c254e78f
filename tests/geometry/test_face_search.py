"""The search of a picture for faces: the views that it gets, and how their finds are merged."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reverse_personalization.geometry.face_search import (
    MIN_SCALE,
    SECOND_MIN_SCALE,
    SIZE_STEP,
    View,
    fragments,
    landmarks_agree,
    search_plan,
    second_search_plan,
    visible_fraction,
)


@given(
    height=st.integers(1, 6000),
    width=st.integers(1, 6000),
    det_size=st.integers(1, 128).map(lambda count: 32 * count),
)
def test_search_plan(height, width, det_size):
    plan = search_plan(height, width, det_size)
    # The picture as it is comes first, so that it wins a tie.
    assert plan[0] == View(det_size, 0.0)
    assert len(set(plan)) == len(plan)
    assert all(view.size % 32 == 0 and 32 <= view.size <= 4096 for view in plan)
    assert max(view.border for view in plan) == 0.75
    whole = [view for view in plan if view.tile is None]
    larger = [view for view in whole if view.size > det_size]
    assert bool(larger) == (max(height, width) > det_size and det_size < 4096)
    # No larger than the picture itself, but for rounding up to the detector's stride.
    assert all(view.size < max(height, width) + SIZE_STEP for view in larger)
    assert all(view.size <= 2 * det_size for view in larger[:1])
    for view in whole:
        framed = max(height, width) * (1 + 2 * view.border) * view.scale(height, width)
        assert framed == pytest.approx(view.size)


def test_search_plan_of_a_fixed_size():
    assert {view.size for view in search_plan(4000, 3000, 640, fixed_size=320)} == {320}


@given(
    height=st.integers(1, 20_000),
    width=st.integers(1, 20_000),
    det_size=st.sampled_from([64, 160, 640, 1024, 4096]),
    fixed_size=st.sampled_from([None, 160, 640]),
    place=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_every_part_of_a_picture_is_shown_large_enough(height, width, det_size, fixed_size, place):
    """Some view shows every face of 48 pixels (first search) or 24 pixels (second search) whole and large enough."""
    for plan, scale in ((search_plan, MIN_SCALE), (second_search_plan, SECOND_MIN_SCALE)):
        views = plan(height, width, det_size, fixed_size)
        assert len(set(views)) == len(views)
        side = min(24 / scale, height, width)
        x, y = place[0] * (width - side), place[1] * (height - side)
        boxes = [view.region(height, width) for view in views if view.upright and view.scale(height, width) >= scale]
        assert any(x0 <= x and y0 <= y and x + side <= x1 and y + side <= y1 for x0, y0, x1, y1 in boxes)


def test_tiles_are_as_few_as_overlap_enough():
    tiles = [view.tile for view in search_plan(3000, 4000, 640) if view.tile is not None]
    assert tiles == [(0, 0, 2560, 2560), (1440, 0, 4000, 2560), (0, 440, 2560, 3000), (1440, 440, 4000, 3000)]
    assert not any(view.tile for view in search_plan(2560, 2000, 640))
    # A small det_size saves time, but a large picture is still shown at half its size.
    assert View(1024, 0.0) in search_plan(2048, 1000, 160)
    counts = [len(second_search_plan(*size, 640)) for size in ((800, 1280), (3000, 4000), (6000, 8000))]
    assert counts == [29, 61, 137]


@pytest.mark.parametrize(
    ("box", "cut"),
    [
        ([1000, 1000, 1100, 1100], False),
        ([1000, 0, 1100, 90], False),
        ([640, 500, 740, 600], True),
        ([643, 500, 740, 600], True),
        ([645, 500, 740, 600], False),
        ([3100, 500, 3200, 600], False),
        ([1000, 2500, 1100, 2559], True),
    ],
)
def test_a_find_at_a_tiles_edge_is_cut_off_unless_the_picture_ends_there(box, cut):
    view = View(1280, 0.0, tile=(640, 0, 3200, 2560))
    assert view.cut_off(np.array([[*box, 0.9]], float), 4000, 3200).tolist() == [cut]


def test_visible_part():
    boxes = np.array([[-10, -10, 10, 10, 1], [-10, 0, 10, 20, 1], [20, 20, 30, 30, 1], [150, 0, 170, 9, 1.0]])
    assert visible_fraction(boxes, 100, 100) == pytest.approx([0.25, 0.5, 1, 0])
    assert visible_fraction(np.zeros((0, 5)), 100, 100).shape == (0,)


WHOLE = [0, 0, 100, 100, 0.9]


def pieces(boxes: list[list[float]], views: list[int], cut: list[bool] | None = None) -> list[bool]:
    return fragments(np.array(boxes, float), np.array(views), np.array(cut or [False] * len(views))).tolist()


@pytest.mark.parametrize(
    ("box", "dropped"),
    [
        pytest.param([10, 10, 40, 40, 0.6], True, id="inside"),
        pytest.param([80, 10, 118, 40, 0.6], True, id="more than half inside"),
        pytest.param([82, 10, 122, 40, 0.6], False, id="more than half outside"),
        pytest.param([10, 10, 40, 40, 0.7], False, id="about as sure as what it lies in"),
        pytest.param([10, 10, 40, 40, 0.95], False, id="surer than what it lies in"),
    ],
)
def test_fragment_of_a_face_that_another_view_saw_whole(box, dropped):
    assert pieces([WHOLE, box], [0, 1]) == [False, dropped]


def test_small_face_before_a_large_one_stays_where_one_view_saw_both():
    small = [10, 10, 40, 40, 0.6]
    assert not any(pieces([WHOLE, small], [0, 0]))
    # The second view saw the large face a little differently, and less surely.
    assert not any(pieces([WHOLE, small, [3, 2, 99, 104, 0.5]], [0, 1, 1]))


def test_a_tile_that_cuts_a_large_face_off_has_seen_it():
    """The fragment at the tile's edge is dropped; a small face in front of the large one is no fragment and stays."""
    small, rest = [10, 10, 40, 40, 0.6], [0, 0, 30, 100, 0.5]
    assert pieces([WHOLE, small, rest], [0, 1, 1], [False, False, True]) == [False, False, True]
    assert pieces([WHOLE, small], [0, 1]) == [False, True]


def test_what_a_tile_cuts_off_and_nobody_sees_whole_stays():
    rest, other = [0, 0, 30, 100, 0.5], [70, 0, 100, 100, 0.9]
    assert pieces([rest, other], [0, 1], [True, True]) == [False, False]
    # Two finds that are both cut off do not make a whole face for each other either.
    assert pieces([rest, [0, 0, 90, 100, 0.9]], [0, 1], [True, True]) == [False, False]


def test_no_finds_have_no_fragments():
    assert fragments(np.zeros((0, 5)), np.zeros(0, int), np.zeros(0, bool)).shape == (0,)


def test_landmarks_disagree_where_two_views_are_about_as_sure_of_different_places():
    upright = np.array([[20, 30], [80, 30], [50, 55], [30, 80], [70, 80]], float)
    sideways = np.stack([100 - upright[:, 1], upright[:, 0]], axis=1)
    boxes = np.array([[0, 0, 100, 100, 0.8], [2, 0, 102, 100, 0.77], [200, 0, 300, 100, 0.79]])
    third = sideways + np.array([200, 0])
    agreed, turned = np.stack([upright, upright + 20, third]), np.stack([upright, sideways, third])
    assert landmarks_agree(boxes, agreed, [0, 2]) == [True, True]
    assert landmarks_agree(boxes, turned, [0, 2]) == [False, True]
    boxes[1, 4] = 0.75
    assert landmarks_agree(boxes, turned, [0, 2]) == [True, True]
    assert landmarks_agree(boxes, turned, []) == []


def test_thousands_of_finds_are_compared_in_little_memory():
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 900, (6000, 2))
    boxes = np.column_stack([low, low + rng.uniform(5, 100, (6000, 2)), rng.uniform(0.01, 1, 6000)])
    tracemalloc.start()
    fragments(boxes, np.repeat(np.arange(40), 150), np.zeros(6000, bool))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6  # [6000, 6000] numbers take 288 MB.
