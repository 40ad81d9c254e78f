"""Which finds show one thing, and where views see two people apart of whom others make one find."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from reverse_personalization.geometry.boxes import intersection_over_union
from reverse_personalization.geometry.finds import SAME_FACE_IOU
from reverse_personalization.geometry.things import TWO_MIN_SCORE_RATIO, TWO_MIN_VIEWS, things
from tests.finds import finds_of


def test_finds_of_one_thing_are_one_group_and_the_surest_comes_first() -> None:
    finds = finds_of([[0, 0, 10, 10, 0.3], [50, 50, 60, 60, 0.4], [1, 0, 11, 10, 0.9]], [0, 1, 2])
    assert [group.tolist() for group in things(finds)] == [[2, 0], [1]]


def test_an_upright_view_chooses_the_find_although_a_turned_one_is_a_little_surer() -> None:
    finds = finds_of([[0, 0, 10, 10, 0.86], [1, 0, 11, 10, 0.80]], [0, 1])
    finds.upright[0] = False
    assert things(finds)[0].tolist() == [1, 0]


@given(
    st.lists(
        st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(5, 30), st.floats(0.1, 1)),
        min_size=1,
        max_size=20,
    )
)
def test_every_find_is_in_one_group(drawn: list[tuple[int, int, int, float]]) -> None:
    finds = finds_of([[x, y, x + side, y + side, score] for x, y, side, score in drawn], [0] * len(drawn))
    groups = things(finds)
    assert sorted(number for group in groups for number in group.tolist()) == list(range(len(drawn)))
    # The groups' surest finds are different things.
    surest = finds.boxes[[group[0] for group in groups]]
    assert (intersection_over_union(surest, surest) - np.eye(len(surest)) <= SAME_FACE_IOU).all()


LEFT, BOTH, RIGHT = [0, 0, 80, 100], [20, 0, 130, 100], [62, 0, 142, 100]


def two_people(views: int, fainter: float) -> list[list[int]]:
    """The groups of finds of two people whom one view makes one find, and so many views see apart."""
    boxes = [[*BOTH, 0.81], *([*box, score] for _ in range(views) for box, score in ((LEFT, 0.8), (RIGHT, fainter)))]
    seen_by = [0, *(view for view in range(1, views + 1) for _ in range(2))]
    return [group.tolist() for group in things(finds_of(boxes, seen_by))]


def test_two_people_whom_most_views_see_apart_are_two_things() -> None:
    assert two_people(TWO_MIN_VIEWS, 0.7) == [[1, 3, 5], [2, 4, 6]]


@pytest.mark.parametrize(("views", "fainter"), [(TWO_MIN_VIEWS - 1, 0.7), (TWO_MIN_VIEWS, 0.8 * TWO_MIN_SCORE_RATIO)])
def test_a_face_beside_which_few_views_or_faint_finds_show_another_is_one_thing(views: int, fainter: float) -> None:
    [group] = two_people(views, fainter)
    assert sorted(group) == list(range(2 * views + 1))
