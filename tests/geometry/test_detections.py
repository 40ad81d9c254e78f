"""What other detectors give, in every form that is accepted."""

from __future__ import annotations

import json
from collections import namedtuple
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reverse_personalization.geometry.detections import MESH_POINTS, UNKNOWN_SCORE, detections_of_images

HEIGHT, WIDTH = 240, 320

SEG = namedtuple("SEG", "cropped_image cropped_mask confidence crop_region bbox label control_net_wrapper")
"""A segment with the fields of Impact Pack's."""

HOST = {"x": 10, "y": 20, "width": 50, "height": 60, "label": "face", "score": 0.75}
POINTS = [[20, 40], [50, 40], [35, 55], [25, 70], [45, 70]]


def read(detections: Any, count: int = 1):
    return detections_of_images(detections, count, HEIGHT, WIDTH)


def places(images):
    return [[(face.box, face.score) for face in image] for image in images]


FACE = ((10.0, 20.0, 60.0, 80.0), 0.75)
UNSURE = ((10.0, 20.0, 60.0, 80.0), UNKNOWN_SCORE)


@pytest.mark.parametrize("nothing", [None, "", "  ", "[]", [], [[]], ((HEIGHT, WIDTH), [])])
def test_nothing_is_nothing(nothing):
    assert read(nothing) == ((),)


@pytest.mark.parametrize(
    "detections",
    [HOST, [HOST], [[HOST]], json.dumps(HOST), json.dumps([[HOST]])],
    ids=["dict", "list", "lists", "json", "json lists"],
)
def test_the_hosts_boxes(detections):
    assert places(read(detections)) == [[FACE]]


def test_one_image_holds_for_all_and_lists_are_images():
    assert places(read([HOST], 3)) == [[FACE]] * 3
    assert places(read([[HOST], [], [HOST, HOST]], 3)) == [[FACE], [], [FACE, FACE]]
    assert places(read("[[10, 20, 60, 80]]", 2)) == [[UNSURE]] * 2
    assert places(read("[[[10, 20, 60, 80]], []]", 2)) == [[UNSURE], []]
    with pytest.raises(ValueError, match="boxes for 2 images, but there are 3"):
        read([[HOST], []], 3)


def test_json_boxes_with_landmarks():
    text = json.dumps([{"box": [10, 20, 60, 80], "landmarks": POINTS, "score": 0.5}, {"box": [1, 2, 30, 40]}])
    [[first, second]] = read(text)
    assert first.landmarks == tuple(map(tuple, POINTS))
    assert (first.score, second.score, second.landmarks) == (0.5, UNKNOWN_SCORE, ())


def test_segments_of_impact_pack():
    segment = SEG(None, np.ones((9, 9)), np.float32(0.75), [0, 0, 90, 90], np.array([10, 20, 60, 80]), "face", None)
    assert places(read(((HEIGHT, WIDTH), [segment]))) == [[FACE]]
    # One that a person painted has no detector's confidence.
    assert places(read(((HEIGHT, WIDTH), [segment._replace(confidence=None)]))) == [[UNSURE]]
    with pytest.raises(ValueError, match="made for images of 640x480 pixels, but these have 320x240"):
        read(((480, 640), [segment]))


def test_the_hosts_landmarks():
    """The mesh's points around each of our five have it as their mean."""
    mesh = np.full((478, 2), 1e6, np.float32)
    for numbers, point in zip(MESH_POINTS, POINTS, strict=True):
        for number, step in zip(numbers, np.linspace(-3, 3, len(numbers)) if len(numbers) > 1 else [0], strict=True):
            mesh[number] = np.add(point, [step, 0])
    face = {"bbox_xyxy": np.array([10, 20, 60, 80], np.float32), "landmarks_xy": mesh, "score": 0.75}
    frames = {"frames": [[face], []], "image_size": (HEIGHT, WIDTH), "connection_sets": {}}
    (found,), none = read(frames, 2)
    assert (found.box, found.score) == FACE
    assert np.array(found.landmarks) == pytest.approx(np.array(POINTS))
    assert none == ()


@pytest.mark.parametrize(
    ("detections", "message"),
    [
        ("face at the left", "is a text that is not JSON; expected a list of boxes"),
        (5, "holds 5; expected a list of boxes"),
        ('"10,20,60,80"', "holds '10,20,60,80'; expected a list"),
        ([1, 2, 3], "holds a list; expected"),
        ("[[10, 20, 60]]", "holds 10 instead of a box"),
        ({"frames": [None]}, "holds a list; expected"),
        ({"frames": [], "image_size": [480, 640, 3]}, "made for images of 640x480 pixels, but these have 320x240"),
        ([{"x": 1, "y": 2, "w": 3, "h": 4}], "holds an object with x, y, w, h instead of a box"),
        ([{"box": [10, 20, 60, 80], "landmarks": POINTS[:3]}], "instead of a box"),
        ([{"box": [60, 20, 10, 80]}], "x0 < x1"),
        ([{"box": [10, 20, None, 80]}], "has the box 10,20,nan,80; expected finite sides"),
        ([{"box": [400, 20, 460, 80]}], "outside image 1, which is 320x240"),
    ],
)
def test_what_is_no_box_is_refused(detections, message):
    with pytest.raises(ValueError, match=message):
        read(detections)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 999) | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["x", "y", "width", "height", "box", "landmarks", "score", "frames"]), inner)
    ),
    max_leaves=12,
)


@given(JSON)
def test_anything_else_is_read_or_refused_with_one_kind_of_error(value):
    try:
        images = read(value)
    except ValueError as refusal:
        assert "detections" in str(refusal)  # noqa: PT017
    else:
        for face in images[0]:
            assert np.isfinite(face.box).all()
            assert 0 <= face.score <= 1
