"""The search of a picture for faces: the views that the detector gets."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reverse_personalization.geometry.face_search import (
    MIN_SCALE,
    SECOND_MIN_SCALE,
    SIZE_STEP,
    View,
    search_plan,
    second_search_plan,
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
    assert counts == [20, 39, 83]


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
