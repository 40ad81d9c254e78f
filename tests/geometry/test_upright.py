"""Upright looks: how a face is tilted, the square that shows it upright, and what its landmarks are then."""

from __future__ import annotations

from dataclasses import astuple, replace

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from harness.in_process import part
from reverse_personalization.geometry.alignment import inverted
from reverse_personalization.geometry.faces import Detection
from reverse_personalization.geometry.finds import Finds
from reverse_personalization.geometry.template import ARCFACE_LANDMARKS, ARCFACE_SIDE
from reverse_personalization.geometry.upright import (
    MOST_PIXELS,
    TILTED,
    Upright,
    is_tilted,
    one_each,
    seen_upright,
    tilt,
    upright_square,
)

MIDDLE = np.array([300.0, 200.0])


def turned(degrees: float, side: float = 100.0) -> np.ndarray:
    """Landmarks of the average face around MIDDLE, turned clockwise."""
    points = (ARCFACE_LANDMARKS / ARCFACE_SIDE - 0.5) @ (1, 1j) * side * np.exp(1j * np.deg2rad(degrees))
    return np.stack([points.real, points.imag], axis=1) + MIDDLE


def face(landmarks: np.ndarray, side: float = 100.0) -> Detection:
    box = (*(MIDDLE - side / 2).tolist(), *(MIDDLE + side / 2).tolist())
    return Detection(box, tuple(map(tuple, landmarks.tolist())), 0.8)


@given(degrees=st.floats(-179, 179))
def test_tilt_is_how_far_a_face_is_turned(degrees):
    assert tilt(turned(degrees)) == pytest.approx(degrees, abs=1e-6)


@pytest.mark.parametrize(
    ("degrees", "tilted"), [(0, False), (TILTED - 1, False), (TILTED + 1, True), (-30, True), (92, False), (150, True)]
)
def test_a_face_is_tilted_against_the_nearest_quarter_turn(degrees, tilted):
    assert is_tilted(face(turned(degrees)).landmarks) is tilted


@given(degrees=st.floats(-179, 179), side=st.floats(20, 2000))
def test_the_square_shows_the_face_upright_in_its_middle(degrees, side):
    landmarks = turned(degrees, side)
    square = upright_square(face(landmarks, side).box, landmarks)
    shown = landmarks @ square.to_square[:, :2].T + square.to_square[:, 2]
    assert tilt(shown) == pytest.approx(0, abs=1e-6)
    assert shown.mean(axis=0) == pytest.approx(
        square.side / 2 + (ARCFACE_LANDMARKS / ARCFACE_SIDE - 0.5).mean(axis=0) * (square.box[2] - square.box[0])
    )
    assert square.side <= MOST_PIXELS
    assert square.box[2] - square.box[0] == pytest.approx(square.side / 3, abs=0.5)


def finds_in(square, *seen) -> Finds:
    """Finds of an upright face in a square: (view, score, pixels by which it is moved)."""
    upright = turned(0) - MIDDLE + square.side / 2
    moves = np.array([move for _, _, move in seen], float)
    boxes = np.concatenate([square.box + moves[:, None], np.array([[score] for _, score, _ in seen])], axis=1)
    views = np.array([view for view, _, _ in seen], np.intp)
    return Finds(boxes, upright + moves[:, None, None], views, np.zeros(len(seen), bool), np.ones(len(seen), bool))


def test_landmarks_are_the_mean_of_what_each_look_sees_there():
    square = upright_square(face(turned(40)).box, turned(40))
    # The second look also sees it less clearly, and two people beside it more so.
    finds = finds_in(square, (0, 0.8, 2.0), (1, 0.4, -1.0), (1, 0.2, 20.0), (1, 0.6, 30.0), (1, 0.9, 200.0))
    seen = square.face_in(finds, 4)
    assert seen is not None
    upright = turned(0) - MIDDLE + square.side / 2 + (0.8 * 2 - 0.4 * 1) / 1.2
    back = inverted(square.to_square)
    np.testing.assert_allclose(seen.landmarks, upright @ back[:, :2].T + back[:, 2])
    assert seen.score == pytest.approx(1.2 / 4)
    assert seen.agree
    assert square.face_in(finds_in(square, (0, 0.8, 200.0)), 4) is None


def looks(scores: dict[int, float], moved: float = 0.0, agree: bool = True):
    """Looks that see a face that is turned by such angles, each with a score, where it is told to be upright."""

    def look(square):
        back = inverted(square.to_square)
        degrees = round(tilt((turned(0) - MIDDLE) @ back[:, :2].T)) % 360
        score = next((one for at, one in scores.items() if abs((degrees - at + 180) % 360 - 180) < 20), None)
        return None if score is None else Upright(turned(degrees) + moved, score, agree)

    return look


LEAST, SURE = 0.2, 0.5


def test_a_tilted_face_lies_where_upright_looks_see_it():
    found = face(turned(30))
    for moved, score, agree, others in (
        (1.0, 0.3, True, ()),
        (20.0, 0.3, True, found.landmarks),
        (20.0, 0.8, False, found.landmarks),
        (20.0, 0.8, True, ()),
    ):
        placed = seen_upright(found, looks({30: score}, moved, agree), LEAST, SURE)
        np.testing.assert_allclose(placed.landmarks, turned(30) + moved)
        assert (placed.other_landmarks, placed.landmarks_agree) == (others, True)
    assert seen_upright(face(turned(4)), looks({}), LEAST, SURE).landmarks_agree, "nearly upright: nobody looks"


def test_a_face_that_views_see_in_two_places_lies_where_upright_looks_see_it():
    found = replace(face(turned(2)), other_landmarks=tuple(map(tuple, (turned(2) + 20).tolist())))
    placed = seen_upright(found, looks({2: 0.8}, 19.0), LEAST, SURE)
    np.testing.assert_allclose(placed.landmarks, turned(2) + 19)
    assert (placed.other_landmarks, placed.landmarks_agree) == ((), True)


@pytest.mark.parametrize("degrees", [26, 4])
@pytest.mark.parametrize(
    ("scores", "placed"),
    [
        pytest.param({0: 0.6, 270: 0.75}, 270, id="all views were wrong"),
        pytest.param({0: 0.6, 270: 0.65}, None, id="nobody can say"),
        pytest.param({0: 0.6, 270: 0.62}, 0, id="hardly better"),
        pytest.param({0: 0.76, 270: 0.9}, 0, id="sure enough"),
    ],
)
def test_a_face_that_all_views_see_turned_alike_may_still_be_turned_otherwise(degrees, scores, placed):
    found = replace(face(turned(degrees)), score=0.5)
    asked = looks({at + degrees: score for at, score in scores.items()})
    seen = seen_upright(found, asked, LEAST, SURE)
    assert seen.landmarks_agree is (placed is not None)
    if placed is not None:
        assert tilt(np.array(seen.landmarks)) % 360 == pytest.approx(placed + degrees)


@pytest.mark.parametrize(
    ("scores", "agree", "placed"),
    [
        pytest.param({210: 0.8}, True, 210, id="it was upside down"),
        pytest.param({210: 0.8, 120: 0.6}, True, 210, id="clearly so"),
        pytest.param({210: 0.8, 120: 0.75}, True, None, id="nobody can say"),
        pytest.param({210: 0.4}, True, None, id="hardly seen"),
        pytest.param({210: 0.8}, False, None, id="seen in different places"),
        pytest.param({}, True, None, id="not seen"),
    ],
)
@pytest.mark.parametrize("known", [True, False])
def test_which_way_up_a_face_is(scores, agree, placed, known):
    found = replace(face(turned(30)), landmarks_agree=known)
    seen = seen_upright(found, looks(scores, agree=agree), LEAST, SURE)
    assert seen.landmarks_agree is (placed is not None)
    if placed is not None:
        assert tilt(np.array(seen.landmarks)) % 360 == pytest.approx(placed)


def scored(landmarks: np.ndarray, score: float, doubtful: bool = False) -> Detection:
    return replace(face(landmarks), score=score, doubtful=doubtful)


@pytest.mark.parametrize(
    ("sure", "score", "before", "after", "stays"),
    [
        pytest.param(0.8, 0.6, 2, 2, None, id="one face, found twice"),
        pytest.param(0.8, 0.6, 2, 200, True, id="until they were looked at upright"),
        pytest.param(0.8, 0.6, 200, 200, True, id="somebody else"),
        pytest.param(0.8, 0.4, 200, 2, None, id="doubtful, and only the certain face was seen"),
        pytest.param(0.8, 0.6, 200, 2, False, id="somebody whom nobody saw upright"),
        pytest.param(0.6, 0.4, 200, 2, False, id="doubtful beside an uncertain face"),
    ],
)
def test_two_finds_with_one_face_s_landmarks_are_one_face(sure, score, before, after, stays):
    first = scored(turned(0), sure)
    found, seen = (scored(turned(0) + at, score, score < 0.5) for at in (before, after))
    kept = one_each([first, found], [first, seen])
    expected = {None: [], True: [seen], False: [replace(found, landmarks_agree=False)]}
    assert [astuple(one) for one in kept] == [astuple(one) for one in (first, *expected[stays])]


def test_landmarks_at_one_point_make_nobody_the_same():
    points = np.full((5, 2), 300.0)
    faces = [scored(points, 0.8), scored(points, 0.7)]
    assert one_each(faces, faces) == faces


class TiltedDetector:
    """Sees the one face of a picture well if it is upright there, and with its landmarks moved if it is not."""

    static_input_size = None

    def __init__(self, upright_too: bool) -> None:
        self.upright_too, self.asked = upright_too, 0

    def opened(self):
        return self

    def detect(self, canvas, input_size, det_thresh):
        self.asked += 1
        white = np.argwhere(canvas[..., 0] > 200)
        nothing = np.zeros((0, 5)), np.zeros((0, 5, 2))
        if len(white) < 20:
            return nothing
        (y0, x0), (y1, x1) = white.min(axis=0), white.max(axis=0)
        # A bar across: level if the picture shows it upright.
        level = (y1 - y0) < 0.4 * (x1 - x0)
        if level and not self.upright_too:
            return nothing
        side, middle = float(max(x1 - x0, y1 - y0)), np.array([x0 + x1, y0 + y1]) / 2
        degrees = 0.0 if level else 30.0
        landmarks = (turned(degrees, side) - MIDDLE) + middle + (0 if level else 0.15 * side)
        return np.array([[*(middle - side / 2), *(middle + side / 2), 0.8]]), landmarks[None]

    def nms(self, boxes):
        return [0]


@pytest.mark.parametrize("upright_too", [True, False])
def test_a_tilted_face_is_placed_by_upright_looks_or_is_unclear(upright_too):
    import cv2

    picture = np.zeros((400, 600, 3), np.uint8)
    along = np.exp(1j * np.deg2rad(30)) * 50
    ends = [(round(300 + sign * along.real), round(200 + sign * along.imag)) for sign in (-1, 1)]
    cv2.line(picture, *ends, (255, 255, 255), 16)
    detector = TiltedDetector(upright_too)
    pack = part("host.insight").FacePack("stub", 0.3, detector, None, None, None)
    [found] = pack.search(picture, 640)
    assert found.landmarks_agree is upright_too
    if upright_too:
        assert tilt(np.array(found.landmarks)) == pytest.approx(30, abs=3)
        middle = np.mean(found.landmarks, axis=0)
        wanted = turned(30, 116).mean(axis=0)
        assert np.linalg.norm(middle - wanted) < 8, "the search had them 17 pixels away"
        assert not found.other_landmarks, "upright looks leave no doubt"
