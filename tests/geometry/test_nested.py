"""Finds that are too large to be faces, because there are faces inside them, and finds of parts of a face."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reverse_personalization.geometry.nested import (
    finds_astride,
    finds_on_heads,
    frames_of_faces,
    nested_finds,
    parts_of_faces,
)

HEIGHT, WIDTH = 600, 900
GROUP = (150.0, 50.0, 650.0, 500.0)
"""A find of two fifths of the picture."""
LEFT, RIGHT = (280.0, 200.0, 330.0, 260.0), (450.0, 220.0, 500.0, 280.0)
"""Two faces that it contains."""


def dropped(*finds: tuple[tuple[float, ...], float, bool]) -> list[int]:
    boxes, ratings, known = zip(*finds, strict=True)
    return np.flatnonzero(nested_finds(np.array(boxes), np.array(ratings), np.array(known), HEIGHT, WIDTH)).tolist()


def test_a_doubtful_find_around_two_faces_is_no_face():
    assert dropped((LEFT, 0.9, False), (GROUP, 0.4, False), (RIGHT, 0.8, False)) == [1]


def test_a_huge_doubtful_find_around_one_known_face_is_no_face():
    assert dropped((GROUP, 0.4, False), (LEFT, 0.9, True)) == [0]


@pytest.mark.parametrize(
    "finds",
    [
        pytest.param([(GROUP, 0.8, False), (LEFT, 0.9, True), (RIGHT, 0.9, True)], id="rates about as high as they"),
        pytest.param([(GROUP, 0.4, True), (LEFT, 0.9, True), (RIGHT, 0.9, True)], id="known to be a face"),
        pytest.param([(GROUP, 0.4, False), (LEFT, 0.9, False)], id="one face that is not known"),
        pytest.param([(GROUP, 0.4, False), (LEFT, 0.9, False), (LEFT, 0.8, False)], id="two finds of one thing"),
        pytest.param(
            [((200.0, 100.0, 500.0, 450.0), 0.4, False), (LEFT, 0.9, True)], id="one known face, find not huge"
        ),
        pytest.param([(GROUP, 0.4, False), ((250.0, 100.0, 480.0, 380.0), 0.9, True)], id="one known face, not small"),
        pytest.param(
            [(GROUP, 0.4, False), ((155.0, 55.0, 205.0, 115.0), 0.9, True), ((600.0, 440.0, 645.0, 495.0), 0.9, True)],
            id="neighbours in the corners of its box",
        ),
        pytest.param(
            [(GROUP, 0.4, False), ((130.0, 250.0, 180.0, 310.0), 0.9, True), ((620.0, 250.0, 690.0, 310.0), 0.9, True)],
            id="neighbours that lie partly outside",
        ),
    ],
)
def test_what_may_be_a_face_stays(finds):
    assert dropped(*finds) == []


def test_fragments_of_a_close_up_do_not_make_it_disappear():
    """Eyes and a cheek that an earlier search took for faces and changed; the whole face rates higher than they."""
    eyes = [(290.0, 180.0, 360.0, 240.0), (450.0, 180.0, 520.0, 240.0)]
    assert dropped((GROUP, 0.7, False), *((eye, 0.55, True) for eye in eyes)) == []


boxes = st.tuples(st.floats(-50, 850), st.floats(-50, 550), st.floats(1, 900), st.floats(1, 900))
found = st.tuples(boxes, st.floats(0.01, 1), st.booleans())


@given(st.lists(found, min_size=1, max_size=8))
def test_known_faces_and_the_surest_find_are_never_dropped(finds):
    given_ = [((x, y, x + w, y + h), rating, known) for (x, y, w, h), rating, known in finds]
    gone = dropped(*given_)
    ratings = [rating for _, rating, _ in given_]
    assert not any(given_[number][2] for number in gone)
    assert all(ratings[number] < max(ratings) for number in gone)


FACE, CHIN = (100.0, 100.0, 200.0, 220.0), (120.0, 160.0, 170.0, 215.0)


@pytest.mark.parametrize(
    ("part", "rating", "known", "expected"),
    [
        pytest.param(CHIN, 0.5, False, True, id="a doubtful chin"),
        pytest.param(CHIN, 0.8, False, False, id="as sure as the face"),
        pytest.param(CHIN, 0.5, True, False, id="known to be a face"),
        pytest.param((120.0, 180.0, 170.0, 240.0), 0.5, False, True, id="a chin with some neck"),
        pytest.param((120.0, 200.0, 170.0, 260.0), 0.5, False, False, id="a neck"),
        pytest.param((120.0, 50.0, 175.0, 105.0), 0.5, False, False, id="hair above the face"),
        pytest.param((110.0, 20.0, 165.0, 75.0), 0.5, False, False, id="somebody behind, seen above the head"),
        pytest.param((110.0, 35.0, 190.0, 115.0), 0.5, False, False, id="somebody larger behind, seen above the face"),
        pytest.param((102.0, 102.0, 122.0, 122.0), 0.5, False, True, id="doubtful in a corner of its box"),
        pytest.param((102.0, 102.0, 122.0, 122.0), 0.5, True, False, id="a neighbour in a corner of its box"),
        pytest.param((50.0, 160.0, 105.0, 215.0), 0.5, False, False, id="somebody beside the face"),
        pytest.param((60.0, 160.0, 110.0, 215.0), 0.5, True, False, id="a known face at the ear"),
        pytest.param((80.0, 160.0, 110.0, 195.0), 0.5, False, False, id="an ear"),
        pytest.param((55.0, 160.0, 90.0, 195.0), 0.5, False, False, id="somebody seen beside the head"),
        pytest.param((30.0, 120.0, 130.0, 220.0), 0.45, False, False, id="somebody large half behind it"),
        pytest.param((80.0, 160.0, 110.0, 195.0), 0.45, True, False, id="a known face at its edge"),
        pytest.param((105.0, 110.0, 200.0, 215.0), 0.5, False, False, id="somebody nearly as large"),
    ],
)
def test_a_doubtful_find_inside_a_clear_face_is_a_part_of_it(part, rating, known, expected):
    parts = parts_of_faces(
        np.array([FACE, part]), np.array([0.9, rating]), np.array([True, known]), np.array([True, False])
    )
    assert parts.tolist() == [False, expected]


@pytest.mark.parametrize(
    ("side", "sure", "rating", "expected"),
    [
        pytest.param(20.0, 0.8, 0.6, True, id="a lens of its glasses"),
        pytest.param(20.0, 0.6, 0.6, False, id="on what may be no face"),
        pytest.param(20.0, 0.8, 0.7, False, id="a face beyond doubt"),
        pytest.param(80.0, 0.8, 0.7, False, id="a child"),
    ],
)
def test_nobody_much_smaller_is_before_a_certain_face(side, sure, rating, expected):
    x, y = (FACE[0] + FACE[2]) / 2, (FACE[1] + FACE[3]) / 2
    ratings = np.array([sure, rating])
    parts = parts_of_faces(
        np.array([FACE, (x - side / 2, y - side / 2, x + side / 2, y + side / 2)]),
        ratings,
        np.array([True, True]),
        ratings >= 0.65,
    )
    assert parts.tolist() == [False, expected]


@pytest.mark.parametrize(
    ("part", "rating", "certain", "expected"),
    [
        pytest.param((120.0, 200.0, 170.0, 260.0), 0.6, False, {1: [0]}, id="a neck"),
        pytest.param((120.0, 50.0, 175.0, 105.0), 0.6, False, {1: [0]}, id="hair above the face"),
        pytest.param((80.0, 160.0, 110.0, 195.0), 0.6, False, {1: [0]}, id="an ear"),
        pytest.param((80.0, 160.0, 110.0, 195.0), 0.6, True, {}, id="certainly a face at the ear"),
        pytest.param((80.0, 160.0, 110.0, 195.0), 0.8, False, {}, id="as sure as the face"),
        pytest.param((105.0, 15.0, 175.0, 75.0), 0.6, False, {1: [0]}, id="the top of a head of curls"),
        pytest.param((25.0, 160.0, 60.0, 195.0), 0.6, False, {}, id="beside the head"),
        pytest.param((100.0, 25.0, 200.0, 125.0), 0.6, False, {}, id="nearly as large as the face"),
    ],
)
def test_a_smaller_find_on_the_head_of_a_surer_face_may_be_a_part_of_it(part, rating, certain, expected):
    on = finds_on_heads(np.array([FACE, part]), np.array([0.9, rating]), np.array([True, certain]))
    assert {find: faces.tolist() for find, faces in on.items()} == expected


def test_a_find_of_two_people_is_nobody():
    left, right = (100.0, 100.0, 160.0, 170.0), (170.0, 105.0, 230.0, 180.0)
    assert dropped((left, 0.8, True), (right, 0.7, True), ((95.0, 95.0, 235.0, 185.0), 0.45, False)) == [2]


WIDE = (90.0, 80.0, 230.0, 300.0)


@pytest.mark.parametrize(
    ("frame", "rating", "known", "expected"),
    [
        pytest.param(WIDE, 0.5, False, {1: [0]}, id="a doubtful find around the face"),
        pytest.param(WIDE, 0.8, False, {}, id="as sure as the face"),
        pytest.param(WIDE, 0.5, True, {}, id="known to be a face"),
        pytest.param((0.0, 0.0, 350.0, 450.0), 0.5, False, {}, id="room for somebody else"),
        pytest.param((160.0, 100.0, 300.0, 240.0), 0.5, False, {}, id="beside the face"),
    ],
)
def test_a_doubtful_find_around_a_clear_face_may_be_drawn_too_wide(frame, rating, known, expected):
    frames = frames_of_faces(np.array([FACE, frame]), np.array([0.9, rating]), np.array([True, known]))
    assert {outer: inner.tolist() for outer, inner in frames.items()} == expected


def test_a_find_of_a_face_and_most_of_its_neighbour_is_looked_at_without_both():
    neighbour, beyond = (190.0, 120.0, 270.0, 210.0), (240.0, 230.0, 320.0, 330.0)
    boxes = np.array([FACE, neighbour, beyond, (90.0, 90.0, 245.0, 260.0)])
    frames = frames_of_faces(boxes, np.array([0.9, 0.9, 0.9, 0.4]), np.array([True, True, True, False]))
    assert {outer: inner.tolist() for outer, inner in frames.items()} == {3: [0, 1]}


def test_nothing_found():
    assert nested_finds(np.zeros((0, 4)), np.zeros(0), np.zeros(0, bool), HEIGHT, WIDTH).shape == (0,)


def test_arrays_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="2 boxes, 1 ratings and 2 known"):
        nested_finds(np.array([LEFT, RIGHT]), np.ones(1), np.zeros(2, bool), HEIGHT, WIDTH)


def test_faces_that_fill_a_find_only_together_are_all_flattened():
    left, right, around = (100.0, 100.0, 160.0, 160.0), (150.0, 100.0, 210.0, 160.0), (60.0, 40.0, 260.0, 240.0)
    frames = [
        frames_of_faces(
            np.array([*inner, around]), np.array([0.9] * len(inner) + [0.5]), np.arange(len(inner) + 1) < len(inner)
        )
        for inner in ([left], [left, right])
    ]
    assert [{outer: inner.tolist() for outer, inner in found.items()} for found in frames] == [{}, {2: [0, 1]}]


UPRIGHT = np.array([[-0.2, -0.2], [0.2, -0.2], [0, 0], [-0.15, 0.2], [0.15, 0.2]])


@pytest.mark.parametrize(
    ("box", "turn", "rating", "expected"),
    [
        pytest.param((110.0, 160.0, 210.0, 270.0), -1, 0.6, {1: [0]}, id="mouth, chin and neck upside down"),
        pytest.param((110.0, 160.0, 210.0, 270.0), 1, 0.6, {}, id="somebody upright before the neck"),
        pytest.param((110.0, 160.0, 210.0, 270.0), -1, 0.75, {}, id="nearly as sure as the face"),
        pytest.param((190.0, 190.0, 290.0, 310.0), -1, 0.6, {}, id="somebody upside down beside the face"),
    ],
)
def test_what_overlaps_a_face_and_is_turned_otherwise_may_be_made_of_it(box, turn, rating, expected):
    boxes = np.array([FACE, box])
    middles, sides = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    landmarks = middles[:, None] + UPRIGHT * sides[:, None] * np.array([1, turn])[:, None, None]
    ratings = np.array([0.8, rating])
    found = finds_astride(boxes, landmarks, ratings, ratings >= 0.78)
    assert {find: faces.tolist() for find, faces in found.items()} == expected
    assert finds_astride(boxes, landmarks, ratings, np.array([False, False])) == {}, (
        "nobody there is a face for certain"
    )
    assert finds_astride(np.zeros((0, 4)), np.zeros((0, 5, 2)), np.zeros(0), np.zeros(0, bool)) == {}
