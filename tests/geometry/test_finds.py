"""What becomes of what a detector finds: fragments, finds cut off by a tile, outside the picture, or nowhere."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from harness.in_process import part
from reverse_personalization.geometry.finds import (
    fragments,
    landmark_scatter,
    landmarks_agree,
    other_landmarks,
    turned_otherwise,
    visible_fraction,
)
from reverse_personalization.geometry.template import ARCFACE_LANDMARKS
from tests import fake_insight
from tests.face_embedding import bgr


class StubDetector:
    """Answers one view after the other, in the detector's pixels, with what it is told to; then with nothing."""

    def __init__(self, size: int, *answers: list[list[float]]):
        self.static_input_size = (size, size)
        self.file = Path("stub.onnx")
        self.answers = list(answers)

    def opened(self):
        return self

    def detect(self, canvas, input_size, det_thresh):
        boxes = np.array(self.answers.pop(0) if self.answers else [], float).reshape(-1, 5)
        return boxes, np.repeat(boxes[:, None, 2:4], 5, axis=1)

    def nms(self, boxes):
        return range(len(boxes))


class OneOfEach(StubDetector):
    """The same, and of overlapping finds only the surest is kept."""

    def nms(self, boxes):
        return [int(boxes[:, 4].argmax())]


def search(insight, detector: StubDetector, height: int, width: int) -> list:
    pack = insight.FacePack("stub", 0.1, detector, recogniser=None, genderage=None, landmarker=None)
    return pack.search(np.zeros((height, width, 3), np.uint8), 640)


def test_finds_mostly_outside_the_picture_are_dropped(insight):
    boxes = [[-10, -10, 10, 10, 0.9], [-11, 20, 9, 40, 0.8], [-16, 60, 4, 80, 0.7], [120, 0, 160, 9, 0.6]]
    found = search(insight, StubDetector(100, boxes), 100, 100)
    assert [face.box[:2] for face in found] == [(-10, -10), (-11, 20)]


def test_fragments_of_a_face_that_another_view_saw_whole_are_dropped(insight):
    whole, fragment = [5, 5, 95, 95, 0.9], [30, 30, 50, 50, 0.6]
    assert len(search(insight, StubDetector(100, [whole], [fragment]), 100, 100)) == 1
    person = [30, 30, 60, 60, 0.8]
    assert len(search(insight, StubDetector(100, [whole, person]), 100, 100)) == 2


def test_a_face_that_views_do_not_agree_on_is_said_to_be_unclear(insight):
    """The stub's landmarks all stand at the lower right corner of a find's box, and a turn moves them to another."""
    plan = part("reverse_personalization.geometry.face_search").turned_search_plan
    face = [20, 20, 80, 80, 0.9]
    for turned, clear in ((0.95, False), (0.9, True)):
        answers = [[face], NOTHING, NOTHING, [[20, 20, 80, 80, turned]]]
        pack = insight.FacePack("stub", 0.1, OneOfEach(100, *answers), None, None, None)
        (found,) = pack.search(np.zeros((100, 100, 3), np.uint8), 640, plan)
        assert (found.box, found.landmarks_agree) == ((20, 20, 80, 80), clear)


NOTHING: list[list[float]] = []
WIDE = (NOTHING, NOTHING, NOTHING)
"""Answers of a stub of 16 pixels for the views of a whole picture of 64x32, before those of its three tiles."""


def test_what_the_inner_edge_of_a_tile_cuts_off_is_a_fragment_of_what_another_tile_shows(insight):
    cut, whole = [12, 4, 15.5, 12, 0.9], [4, 4, 12, 12, 0.8]
    (face,) = search(insight, StubDetector(16, *WIDE, [cut], [whole]), 32, 64)
    assert face.box == (24, 8, 40, 24)
    # Where nobody else sees it, it is all that there is to be found of somebody.
    (face,) = search(insight, StubDetector(16, *WIDE, [cut]), 32, 64)
    assert face.box == (24, 8, 31, 24)


def test_who_stands_before_a_face_that_tiles_cut_off_is_found(insight):
    """The view of the whole picture shows only the large face; the tile shows a part of it, and the person."""
    large, rest, person = [2, 0, 14, 8, 0.9], [8, 0, 16, 16, 0.6], [10, 4, 13, 8, 0.8]
    found = search(insight, StubDetector(16, [large], NOTHING, NOTHING, [rest, person]), 32, 64)
    assert [face.box for face in found] == [(8, 0, 56, 32), (20, 8, 26, 16)]


def test_a_find_that_is_nowhere_stops_the_search_of_a_tile_too(insight):
    with pytest.raises(RuntimeError, match=r"stub\.onnx gave values that are not finite"):
        search(insight, StubDetector(16, *WIDE, [[5, 4, np.inf, 12, 0.9]]), 32, 64)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("place", [0, 2, 3])
def test_a_find_that_is_nowhere_stops_the_search(insight, value, place):
    """Beside a good one: it must neither be dropped nor taken for a face at some place."""
    good, bad = [5, 5, 45, 45, 0.9], [55, 55, 95, 95, 0.8]
    bad[place] = value
    with pytest.raises(RuntimeError, match=r"stub\.onnx gave values that are not finite, .* try the provider CPU"):
        search(insight, StubDetector(100, [good, bad]), 100, 100)


def test_rounding_to_whole_pixels_is_undone_in_both_directions(insight):
    """A picture of 100x33 is shown as 64x21: the corner of what is shown is the corner of the picture."""
    (face,) = search(insight, StubDetector(64, [[0, 0, 64, 21, 0.9]]), 33, 100)
    assert face.box == pytest.approx((0, 0, 100, 33))
    assert np.array(face.landmarks) == pytest.approx(np.full((5, 2), [100, 33]))


class Session:
    """Answers one view after the other, as ONNX Runtime's would."""

    def __init__(self, *answers: list[float]):
        self.answers = list(answers)

    def run(self, names: list[str], inputs: dict) -> list[np.ndarray]:
        return [np.array(self.answers.pop(0))]

    def get_providers(self) -> list[str]:
        return ["CPUExecutionProvider"]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_detector_that_miscalculates_in_one_view_alone_stops_the_search(insight, value):
    """Half precision may overflow at one size; the other views find somebody all the same."""
    watched = part("host.sessions").WatchedSession(Session([0.2, 0.9], [0.1, value]), "folder/detector.onnx")
    assert watched.get_providers() == ["CPUExecutionProvider"]
    assert watched.run(None, {})[0].tolist() == [0.2, 0.9]
    with pytest.raises(RuntimeError, match=r"^detector\.onnx gave values that are not finite"):
        watched.run(None, {})


def test_every_detector_is_watched(insight, fake_pack):
    session = insight.load_pack("fake", "CPU", 0.1).detector.opened().session
    assert isinstance(session, part("host.sessions").WatchedSession)


def test_a_detector_of_a_fixed_size_that_is_no_square_sees_all_of_a_picture(insight, packs_folder):
    detector = fake_insight.detector(size=160)
    detector.graph.input[0].type.tensor_type.shape.dim[3].dim_value = 224
    fake_insight.write(packs_folder / "fake", detection=detector, recognition=fake_insight.recogniser())
    pack = insight.load_pack("fake", "CPU", 0.1)
    for picture, place in (((300, 400), (250, 100, 140)), ((400, 300), (20, 240, 150))):
        (face,) = pack.search(bgr(fake_insight.scene(*picture, cyan=place)), 640)
        x, y, side = place
        assert face.box == pytest.approx((x, y, x + side, y + side), abs=4)
    assert pack.search(np.zeros((90, 70, 3), np.uint8), 640) == []


def test_visible_part():
    boxes = np.array([[-10, -10, 10, 10, 1], [-10, 0, 10, 20, 1], [20, 20, 30, 30, 1], [150, 0, 170, 9, 1.0]])
    assert visible_fraction(boxes, 100, 100) == pytest.approx([0.25, 0.5, 1, 0])
    assert visible_fraction(np.zeros((0, 5)), 100, 100).shape == (0,)


WHOLE = [0, 0, 100, 100, 0.9]


def fragments_of(boxes: list[list[float]], views: list[int], cut: list[bool] | None = None) -> list[bool]:
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
    assert fragments_of([WHOLE, box], [0, 1]) == [False, dropped]


def test_small_face_before_a_large_one_stays_where_one_view_saw_both():
    small = [10, 10, 40, 40, 0.6]
    assert not any(fragments_of([WHOLE, small], [0, 0]))
    # The second view saw the large face a little differently, and less surely.
    assert not any(fragments_of([WHOLE, small, [3, 2, 99, 104, 0.5]], [0, 1, 1]))


def test_a_tile_that_cuts_a_large_face_off_has_seen_it():
    """The fragment at the tile's edge is dropped; a small face in front of the large one is no fragment and stays."""
    small, rest = [10, 10, 40, 40, 0.6], [0, 0, 30, 100, 0.5]
    assert fragments_of([WHOLE, small, rest], [0, 1, 1], [False, False, True]) == [False, False, True]
    assert fragments_of([WHOLE, small], [0, 1]) == [False, True]


def test_what_a_tile_cuts_off_and_nobody_sees_whole_stays():
    rest, other = [0, 0, 30, 100, 0.5], [70, 0, 100, 100, 0.9]
    assert fragments_of([rest, other], [0, 1], [True, True]) == [False, False]
    # Two finds that are both cut off do not make a whole face for each other either.
    assert fragments_of([rest, [0, 0, 90, 100, 0.9]], [0, 1], [True, True]) == [False, False]


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


@pytest.mark.parametrize(
    ("degrees", "expected"), [(0, False), (35, False), (-35, False), (45, True), (-90, True), (180, True)]
)
def test_landmarks_show_a_face_turned_otherwise_wherever_and_however_large_it_is(degrees, expected):
    points = np.array(ARCFACE_LANDMARKS) @ (1, 1j)
    moved = 2.5 * (points - points.mean()) * np.exp(1j * np.radians(degrees)) + (300 + 40j)
    both = np.stack([np.array(ARCFACE_LANDMARKS), np.stack([moved.real, moved.imag], axis=-1)])
    assert turned_otherwise(both, np.array(ARCFACE_LANDMARKS)).tolist() == [False, expected]


def test_landmarks_in_one_point_are_turned_like_all_others():
    assert not turned_otherwise(np.ones((1, 5, 2)), np.array(ARCFACE_LANDMARKS)).any()


def test_scatter_is_the_median_distance_from_the_surest_landmarks_in_sides():
    boxes = np.array([[0, 0, 50, 100, 0.8], [0, 0, 50, 100, 0.6], [0, 0, 50, 100, 0.5], [0, 0, 50, 100, 0.3]])
    points = np.stack([np.full((5, 2), (far, 0.0)) for far in (0, 6, 10, 90)])
    # The last one scores too little to count.
    assert landmark_scatter(boxes, points) == pytest.approx(0.06)
    assert landmark_scatter(boxes[:1], points[:1]) == 0


@pytest.mark.parametrize(
    ("moved", "score", "kept"), [(0.3, 0.7, True), (0.1, 0.7, False), (0.3, 0.4, False), (0.7, 0.7, False)]
)
def test_landmarks_that_a_view_as_sure_sees_elsewhere_are_kept_beside_the_surest(moved, score, kept):
    spread = np.sqrt(((ARCFACE_LANDMARKS - ARCFACE_LANDMARKS.mean(axis=0)) ** 2).sum(axis=1).mean())
    elsewhere = ARCFACE_LANDMARKS + np.array([moved * spread, 0])
    boxes = np.array([[0, 0, 112, 112, 0.8], [0, 0, 112, 112, 0.8], [0, 0, 112, 112, score]])
    found = other_landmarks(boxes, np.stack([ARCFACE_LANDMARKS, ARCFACE_LANDMARKS + 1, elsewhere]))
    np.testing.assert_allclose(found, elsewhere if kept else np.zeros(0))


def test_landmarks_that_a_view_sees_turned_otherwise_are_not_kept():
    middle = ARCFACE_LANDMARKS.mean(axis=0)
    turned = (ARCFACE_LANDMARKS - middle) @ [[0, 1], [-1, 0]] * 0.2 + middle
    boxes = np.array([[0, 0, 112, 112, 0.8]] * 2)
    assert other_landmarks(boxes, np.stack([ARCFACE_LANDMARKS, turned])) == ()
