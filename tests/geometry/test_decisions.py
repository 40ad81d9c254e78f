"""A person's decisions: how they are written, what they strike out, and whom they choose."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from reverse_personalization.geometry.boxes import intersection_over_union
from reverse_personalization.geometry.decisions import (
    boxes_of_images,
    decisions_of_images,
    mask_boxes,
    numbers_chosen,
    struck_out,
)
from reverse_personalization.geometry.faces import Box, Decisions, Detection
from reverse_personalization.geometry.finds import SAME_FACE_IOU


def find(*box: float) -> Detection:
    return Detection(box=(box[0], box[1], box[2], box[3]), landmarks=(), score=0.5)


def overlap(a: Box, b: Box) -> float:
    return float(intersection_over_union(np.array([a]), np.array([b]))[0, 0])


SIDES = st.integers(-50, 2000).map(float) | st.floats(-50, 2000).map(lambda side: round(side, 2))
BOXES = st.tuples(SIDES, SIDES, st.integers(1, 500), st.integers(1, 500)).map(
    lambda box: (box[0], box[1], box[0] + box[2], box[1] + box[3])
)
FACES = st.tuples(*[st.floats(20, 400)] * 2, st.floats(24, 300), st.floats(0.6, 1.1)).map(
    lambda face: (face[0], face[1], face[0] + face[2] * face[3], face[1] + face[2])
)


@given(st.lists(st.lists(BOXES, max_size=3).map(tuple), min_size=1, max_size=4))
def test_boxes_are_read_as_they_are_written(images):
    text = "; ".join("  ".join(",".join(map(str, box)) for box in image) for image in images)
    assert boxes_of_images(text, len(images), "not_faces") == tuple(images)


def test_boxes_of_one_image_hold_for_all_and_an_image_may_have_none():
    first, second = (10.0, 20.0, 60.0, 80.0), (200.0, 40.0, 260.0, 110.0)
    assert boxes_of_images("10,20,60,80 200,40,260,110; 5,5,50,50", 2, "x") == (
        (first, second),
        ((5.0, 5.0, 50.0, 50.0),),
    )
    assert boxes_of_images("10, 20, 60, 80\n200,40 ,260,110", 3, "x") == ((first, second),) * 3
    assert boxes_of_images("; 10,20,60,80", 2, "x") == ((), (first,))
    assert boxes_of_images(" ", 2, "x") == ((), ())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("10,20,60", 'the box "10,20,60"; expected left,top,right,bottom'),
        ("10,20,60,80,90", "expected left,top,right,bottom"),
        ("10,20,60,8O", "expected left,top,right,bottom"),
        ("60,20,10,80", "x0 < x1"),
        ("10,20,60,20", "y0 < y1"),
        ("10,20,nan,80", "finite"),
        ("10,20,60,80; 1,1,2,2; 3,3,4,4", "for 3 images, but there are 2"),
    ],
)
def test_what_is_no_box_is_refused_by_name(text, message):
    with pytest.raises(ValueError, match=message) as refusal:
        boxes_of_images(text, 2, "drawn_faces")
    assert str(refusal.value).startswith("drawn_faces has")


def test_a_box_outside_its_image_is_refused():
    decisions_of_images("600,10,640,50", "", 1, 480, 640)
    with pytest.raises(ValueError, match="outside image 2, which is 640x480"):
        decisions_of_images("; 640,10,700,50", "", 2, 480, 640)


@given(FACES, st.floats(-0.12, 0.12), st.floats(-0.12, 0.12), st.floats(0.9, 1.12))
def test_a_find_that_a_rerun_moves_and_resizes_stays_struck_out(box, right, down, scale):
    """By up to an eighth of its sides each: 3 pixels of the smallest faces."""
    x0, y0, x1, y1 = box
    width, height = x1 - x0, y1 - y0
    x, y = x0 + right * width, y0 + down * height
    moved = find(x, y, x + scale * width, y + scale * height)
    rounded = tuple(round(side) for side in box)
    assert struck_out([moved], [rounded]) == [0]


@given(FACES, st.lists(FACES, max_size=4), st.floats(-0.05, 0.05), st.floats(-0.05, 0.05))
def test_a_neighbour_is_never_struck_out(box, others, right, down):
    """Finds of one search share at most SAME_FACE_IOU; a rerun moves them, and may miss what was struck out."""
    assume(all(overlap(box, other) <= SAME_FACE_IOU for other in others))
    moved = [
        find(x0 + right * (x1 - x0), y0 + down * (y1 - y0), x1 + right * (x1 - x0), y1 + down * (y1 - y0))
        for x0, y0, x1, y1 in others
    ]
    assert struck_out([*moved, find(*box)], [box]) == [None] * len(others) + [0]
    assert struck_out(moved, [box]) == [None] * len(others)


def test_one_box_strikes_out_one_find_and_no_face_inside_it():
    poster, child = find(0, 0, 200, 260), find(60, 60, 160, 190)
    assert struck_out([child, poster], [(0, 0, 200, 260)]) == [None, 0]
    left, right = find(0, 0, 100, 100), find(45, 0, 145, 100)
    assert struck_out([left, right], [(20, 0, 120, 100)]) == [0, None]
    assert struck_out([left, right], [right.box, left.box]) == [1, 0]
    assert struck_out([], [left.box]) == []


def test_a_known_face_that_fits_better_is_not_struck_out():
    """A weak find beside a face was struck out, and the next search finds the face only."""
    weak, face = find(0, 0, 100, 100), find(30, 0, 130, 100)
    assert struck_out([face], [weak.box]) == [0]
    assert struck_out([face], [weak.box], [find(31, 1, 131, 101)]) == [None]
    # But somebody who strikes out a known face says so of that face.
    assert struck_out([face], [face.box], [find(31, 1, 131, 101)]) == [0]


def test_each_region_of_a_mask_is_a_face():
    mask = torch.zeros(1, 100, 120)
    mask[0, 10:30, 20:50] = 1
    mask[0, 60:90, 70:95] = 0.6
    mask[0, 80:82, 5:7] = 1
    mask[0, 0:9, 100:120] = 0.4
    [image] = mask_boxes(mask, 1, 100, 120)
    assert image == ((20, 10, 50, 30), (70, 60, 95, 90))
    assert mask_boxes(mask, 2, 100, 120) == (image, image)


def test_a_mask_fits_the_photograph_or_is_empty():
    """The host's loader gives a mask of 64 pixels for a picture without one."""
    assert mask_boxes(torch.zeros(1, 64, 64), 2, 100, 120) == ((), ())
    for shape in ((1, 64, 64), (3, 100, 120), (100, 120)):
        with pytest.raises(ValueError, match=r"face_mask has shape .*; expected \[2, 100, 120\]"):
            mask_boxes(torch.ones(shape), 2, 100, 120)


def test_drawn_boxes_and_painted_regions_are_both_faces():
    mask = torch.zeros(1, 100, 120)
    mask[0, 10:30, 20:50] = 1
    painted = mask_boxes(mask, 1, 100, 120)
    assert decisions_of_images("1,1,9,9", "5,5,50,50", 1, 100, 120, painted) == (
        Decisions(((1, 1, 9, 9),), ((5, 5, 50, 50), (20, 10, 50, 30))),
    )


CROWD = [find(0, 0, 10, 10), find(20, 0, 50, 30), find(60, 0, 80, 20), find(90, 0, 95, 5)]


@pytest.mark.parametrize(
    ("which", "struck", "drawn", "chosen"),
    [
        ("all", [1], [], (0, 2, 3)),
        ("largest", [1], [], (2,)),
        ("largest", [1], [3], (2, 3)),
        ("largest", [0, 1, 2, 3], [], ()),
        ("none", [], [3], ()),
        ("1,2", [1], [3], (0, 3)),
        ("4", [], [3], (3,)),
        ("2", [1], [], ()),
    ],
)
def test_what_is_struck_out_keeps_its_number_and_the_drawn_are_chosen(which, struck, drawn, chosen):
    assert numbers_chosen(CROWD, which, struck, drawn) == chosen


def test_a_number_that_is_not_there_is_refused_as_before():
    with pytest.raises(ValueError, match="face 5 was asked for, but the image has 4 faces"):
        numbers_chosen(CROWD, "5", [], [])
    assert numbers_chosen([], "5", [], []) == ()
