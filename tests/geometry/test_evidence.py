"""How much a find counts: groups of finds, views that could see it, closer looks, and what follows for the search."""

from __future__ import annotations

from collections.abc import Sequence

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray

from reverse_personalization.geometry import closer_looks, evidence
from reverse_personalization.geometry.face_search import View, second_search_plan
from reverse_personalization.geometry.faces import Detection
from reverse_personalization.geometry.finds import Finds
from reverse_personalization.geometry.things import things
from tests.finds import finds_of

# --- what the views say ---------------------------------------------------------------------------------------

VIEWS = (View(100, 0.0), View(200, 0.0), View(100, 0.0, turns=1), View(100, 0.0, tile=(0, 0, 50, 50)))
"""Of a picture of 100x100."""


def test_a_view_can_see_a_face_that_it_shows_whole_and_neither_too_small_nor_too_large() -> None:
    def seen(*box: float) -> list[bool]:
        return evidence.able(np.array(box), VIEWS, 100, 100).tolist()

    assert seen(10, 10, 30, 30) == [True, True, True, True]
    assert seen(40, 40, 60, 60) == [True, True, True, False], "the tile cuts it off"
    assert seen(10, 10, 16, 16) == [False, True, False, True], "6 pixels are too few, 12 are enough"
    assert seen(0, 0, 70, 70) == [False, False, False, False], "it fills too much of every square"


def test_a_find_counts_by_the_mean_over_the_views_that_could_see_it() -> None:
    finds = finds_of([[10, 10, 30, 30, 0.9], [10, 10, 30, 30, 0.6]], [0, 1])
    mean, surest = evidence.of_views(finds, np.array([0, 1]), VIEWS, 100, 100)
    # The turned view saw nothing, which says nothing about the upright ones; the tile's silence counts.
    assert mean == pytest.approx((0.9 + 0.6 + 0) / 3)
    assert surest == pytest.approx(0.9)


def test_turned_views_count_less() -> None:
    finds = finds_of([[10, 10, 30, 30, 0.9]], [2])
    mean, surest = evidence.of_views(finds, np.array([0]), VIEWS, 100, 100)
    assert mean == surest == pytest.approx(0.9 - evidence.TURNED_DISCOUNT)


def test_what_no_view_could_be_expected_to_see_counts_as_it_was_seen() -> None:
    finds = finds_of([[0, 0, 90, 90, 0.5]], [0])
    assert evidence.of_views(finds, np.array([0]), VIEWS, 100, 100) == pytest.approx((0.5, 0.5))


# --- closer looks ---------------------------------------------------------------------------------------------


@given(
    st.integers(60, 3000),
    st.integers(60, 3000),
    st.floats(0, 1),
    st.floats(0, 1),
    st.floats(10, 400),
    st.integers(0, 3),
)
def test_a_closer_look_shows_the_find_at_its_size_wherever_it_is(
    height: int, width: int, across: float, down: float, side: float, turns: int
) -> None:
    x, y = across * width, down * height
    box = np.array([x - side / 2, y - side / 2, x + side / 2, y + side / 2, 0.5])
    views = closer_looks.closer_views(box, turns, height, width)
    assert len(views) == 2 * len(closer_looks.CLOSER_LOOKS)
    for view, (times, size) in zip(views[::2], closer_looks.CLOSER_LOOKS, strict=True):
        assert (view.size, view.turns, view.mirrored) == (size, turns, False)
        left, top, right, bottom = view.tile or (0, 0, 0, 0)
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height
        # Corners are rounded to whole pixels.
        assert view.scale(height, width) * side == pytest.approx(size / times, rel=0.25)
        assert view.scale(height, width) * side <= size / times * 1.01
        assert left <= max(x - side / 2, 0) + 1
        assert right >= min(x + side / 2, width) - 1
    assert [view.mirrored for view in views] == [False, True] * len(closer_looks.CLOSER_LOOKS)


def test_a_detector_of_a_fixed_size_looks_closer_at_that_size() -> None:
    views = closer_looks.closer_views(np.array([40, 40, 60, 60, 0.5]), 0, 100, 100, fixed_size=320)
    assert {view.size for view in views} == {320}


NOTHING = np.zeros((0, 5))


def test_a_closer_look_counts_only_what_it_sees_at_the_find() -> None:
    box = np.array([40, 40, 60, 60, 0.5])
    here, elsewhere = np.array([[41, 40, 61, 60, 0.8]]), np.array([[70, 70, 90, 90, 0.9]])
    looks = iter([[here, elsewhere], [NOTHING, NOTHING]])
    assert closer_looks.of_closer_looks(box, VIEWS, lambda views: next(looks), NOTHING) == pytest.approx(0.2)
    looks = iter([[here, elsewhere], [NOTHING, NOTHING]])
    surer = np.array([[50, 40, 70, 60, 0.9]])
    assert closer_looks.of_closer_looks(box, VIEWS, lambda views: next(looks), surer) == pytest.approx(0.2)
    looks = iter([[here, elsewhere], [NOTHING, NOTHING]])
    surer = here
    assert closer_looks.of_closer_looks(box, VIEWS, lambda views: next(looks), surer) == 0, (
        "it fits the other find better"
    )


def test_closer_looks_end_when_the_find_cannot_count_any_more() -> None:
    looks = []

    def blind(views: Sequence[View]) -> list[NDArray[np.float64]]:
        looks.append(views)
        return [np.zeros((0, 5))] * len(views)

    box = np.array([40, 40, 60, 60, 0.5])
    most = closer_looks.of_closer_looks(box, VIEWS * 2, blind, NOTHING, lambda mean: mean >= 0.6)
    assert looks == [VIEWS[:2], VIEWS[2:]]
    assert most == 0.5, "four of eight looks saw nothing, the other four could still have been sure"


@pytest.mark.parametrize(
    ("views", "closer", "surest", "expected"),
    [
        (0.7, None, 0.9, 0.7),
        (0.4, 0.2, 0.5, 0.3),
        (0.4, 0.6, 0.5, 0.5),
        (0.1, 0.1, 0.6, 0.6 - evidence.LONE_DISCOUNT),
        (0.05, None, 0.1, 0.05),
    ],
)
def test_views_and_closer_looks_weigh_the_same_and_one_sure_look_counts_by_itself(
    views: float, closer: float | None, surest: float, expected: float
) -> None:
    assert evidence.score(views, closer, surest) == pytest.approx(expected)


# --- how a face is turned -------------------------------------------------------------------------------------

UPRIGHT = np.array([[130, 140], [170, 140], [150, 160], [135, 180], [165, 180]], float)
ASIDE = np.stack([300 - UPRIGHT[:, 1], UPRIGHT[:, 0]], axis=-1)
"""The same face a quarter turn further, in the same box."""


@pytest.mark.parametrize(
    ("aside", "clearly"),
    [([0.5, 0.6], True), ([0.8, 0.1], True), ([0.8, 0.79], False), ([0.9, 0.9], False)],
    ids=["a little", "in one view", "as surely", "more surely"],
)
def test_views_that_see_a_face_turned_otherwise_as_surely_leave_it_unclear(aside: list[float], clearly: bool) -> None:
    views = (View(640, 0.0), View(640, 0.25), View(640, 0.0, turns=1), View(640, 0.25, turns=1))
    boxes = np.array([[100, 100, 200, 200, score] for score in [0.8, 0.8, *aside]])
    landmarks = np.stack([UPRIGHT, UPRIGHT, ASIDE, ASIDE])
    finds = Finds(boxes, landmarks, np.arange(4), np.zeros(4, bool), np.arange(4) < 2)
    [members] = things(finds)
    # A single view could be wrong; that is what the mean is for.
    assert evidence.turned_clearly(finds, np.sort(members), views, 640, 640) is clearly


@pytest.mark.parametrize(("other", "clearly"), [(0.9, True), (0.5, False)])
def test_a_detector_that_sees_every_face_upright_in_every_turn_says_nothing_by_that(
    other: float, clearly: bool
) -> None:
    views = tuple(View(640, 0.0, turns=turns) for turns in range(4))
    boxes = np.array([[100, 100, 200, 200, score] for score in (0.9, 0.9, other, other)])
    upside_down = 300 - UPRIGHT
    landmarks = np.stack([UPRIGHT, ASIDE, upside_down, 300 - ASIDE])
    finds = Finds(boxes, landmarks, np.arange(4), np.zeros(4, bool), np.arange(4) < 1)
    assert evidence.turned_clearly(finds, np.arange(4), views, 640, 640) is clearly


# --- the search -----------------------------------------------------------------------------------------------


class Seeing:
    """A detector that sees one face, and how well depends on the number of the look."""

    static_input_size = None

    def __init__(self, *scores: float, closer: float) -> None:
        self.scores, self.closer, self.looks = list(scores), closer, 0

    def opened(self) -> Seeing:
        return self

    def detect(
        self, canvas: NDArray[np.uint8], input_size: tuple[int, int], det_thresh: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        score = self.scores[self.looks] if self.looks < len(self.scores) else self.closer
        self.looks += 1
        rows, columns = np.nonzero(canvas[..., 0])
        if not rows.size or score < det_thresh:
            return np.zeros((0, 5)), np.zeros((0, 5, 2))
        box = np.array([[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1, score]], float)
        return box, np.repeat((box[:, None, :2] + box[:, None, 2:4]) / 2, 5, axis=1)


def search(insight, detector: Seeing, threshold: float = 0.3, **where) -> list:
    picture = np.zeros((640, 640, 3), np.uint8)
    picture[300:360, 200:260] = 255
    pack = insight.FacePack("stub", threshold, detector, recogniser=None, genderage=None, landmarker=None)
    return pack.search(picture, 640, second_search_plan, **where)


LOOKS = len(second_search_plan(640, 640, 640))


def test_a_face_that_every_look_sees_is_sure_without_a_closer_look(insight) -> None:
    detector = Seeing(*[0.8] * LOOKS, closer=0.0)
    (face,) = search(insight, detector)
    assert (face.score, face.doubtful, detector.looks) == (pytest.approx(0.8), False, LOOKS)


def test_what_one_look_takes_for_a_face_is_none(insight) -> None:
    assert search(insight, Seeing(0.5, *[0.0] * (LOOKS - 1), closer=0.0)) == []


def test_a_face_that_views_see_poorly_is_found_if_closer_looks_see_it(insight) -> None:
    (face,) = search(insight, Seeing(*[0.25] * LOOKS, closer=0.75))
    assert (face.score, face.doubtful) == (pytest.approx(0.5), False)
    assert search(insight, Seeing(*[0.25] * LOOKS, closer=0.0)) == []


def test_where_a_face_was_before_less_is_enough(insight) -> None:
    def detector() -> Seeing:
        return Seeing(*[0.2] * LOOKS, closer=0.2)

    def face(x: float) -> Detection:
        return Detection((x, 300, x + 60, 360), ((x, 300),) * 5, 0.9)

    assert search(insight, detector()) == []
    (again,) = search(insight, detector(), before=[face(220)])
    assert again.score == pytest.approx(0.2)
    assert search(insight, detector(), before=[face(320)]) == []


class Framing(Seeing):
    """Sees one face well, and around it something that is there only as long as the face is not flat."""

    def detect(
        self, canvas: NDArray[np.uint8], input_size: tuple[int, int], det_thresh: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        boxes, _ = super().detect(canvas, input_size, det_thresh)
        eyes = (canvas[..., 1] > 200) & (canvas[..., 0] > 200)
        if len(boxes) and (self.closer or eyes.any()):
            x0, y0, x1, y1, score = boxes[0]
            side = 0.4 * (x1 - x0)
            wide = [x0 - side, y0 - side, x1 + side, y1 + side, 0.45 * score]
            boxes = np.array([boxes[0], wide])
        return boxes, np.repeat((boxes[:, None, :2] + boxes[:, None, 2:4]) / 2, 5, axis=1)


@pytest.mark.parametrize("stays", [True, False])
def test_what_is_gone_when_the_face_inside_it_is_flat_was_made_of_the_face(insight, stays: bool) -> None:
    picture = np.zeros((640, 640, 3), np.uint8)
    picture[300:360, 200:260, 0] = 255
    picture[315:320, 215:245] = 255
    detector = Framing(*[0.9] * 1000, closer=float(stays))
    pack = insight.FacePack("stub", 0.3, detector, recogniser=None, genderage=None, landmarker=None)
    found = pack.search(picture, 640, second_search_plan)
    assert len(found) == 1 + stays


class FramingTurned(Framing):
    """Sees what is around the face less well, and maybe upside down."""

    def __init__(self, upside_down: bool) -> None:
        super().__init__(*[0.9] * 1000, closer=1.0)
        self.upside_down = upside_down

    def detect(
        self, canvas: NDArray[np.uint8], input_size: tuple[int, int], det_thresh: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        boxes, middles = super().detect(canvas, input_size, det_thresh)
        arms = np.array([[-0.2, -0.2], [0.2, -0.2], [0, 0], [-0.15, 0.2], [0.15, 0.2]])
        landmarks = middles + arms * np.ptp(boxes[:, [0, 2]], axis=1)[:, None, None]
        if len(boxes) > 1:
            boxes[1, 4] *= 0.38 / 0.405
            if self.upside_down:
                landmarks[1] = 2 * middles[1] - landmarks[1]
        return boxes, landmarks


@pytest.mark.parametrize("upside_down", [False, True])
def test_what_is_around_a_face_and_turned_otherwise_must_leave_no_doubt(insight, upside_down: bool) -> None:
    picture = np.zeros((640, 640, 3), np.uint8)
    picture[300:360, 200:260, 0] = 255
    picture[315:320, 215:245] = 255
    pack = insight.FacePack("stub", 0.3, FramingTurned(upside_down), recogniser=None, genderage=None, landmarker=None)
    found = pack.search(picture, 640)
    assert len(found) == 2 - upside_down


def test_what_is_barely_a_face_is_doubtful(insight) -> None:
    (face,) = search(insight, Seeing(*[0.35] * LOOKS, closer=0.35))
    assert (face.score, face.doubtful) == (pytest.approx(0.35), True)


def test_one_very_sure_look_is_enough(insight) -> None:
    (face,) = search(insight, Seeing(0.9, *[0.0] * (LOOKS - 1), closer=0.0))
    assert face.score == pytest.approx(0.9 - evidence.LONE_DISCOUNT)


@pytest.mark.parametrize(("people", "wide", "expected"), [(0.85, 0.6, 2), (0.85, 0.7, 3), (0.7, 0.6, 3)])
def test_a_group_is_nobody_although_it_is_not_doubtful(people: float, wide: float, expected: int) -> None:
    """Unless it is a face for certain, or about as sure as the people in it."""
    boxes = np.array([[100, 100, 160, 170, people], [180, 105, 240, 180, people], [60, 60, 290, 300, wide]])
    finds = finds_of(boxes.tolist(), [0, 0, 0])

    def look(views: Sequence[View]) -> list[NDArray[np.float64]]:
        return [boxes] * len(views)

    faces = evidence.faces_among(
        finds, (View(640, 0.0),), look, lambda people, views: look(views), 640, 640, threshold=0.3
    )
    assert len(faces) == expected


@pytest.mark.parametrize(
    ("rating", "without", "size", "askew", "expected"),
    [
        pytest.param(0.6, 0.1, 50, False, 1, id="gone without the face"),
        pytest.param(0.6, 0.6, 50, False, 2, id="still there"),
        pytest.param(0.7, 0.1, 50, False, 2, id="certain by itself"),
        pytest.param(0.4, 0.38, 50, False, 1, id="small and doubtful"),
        pytest.param(0.4, 0.42, 50, False, 2, id="small, but surely there"),
        pytest.param(0.4, 0.38, 90, False, 2, id="doubtful, but nearly as large as the face"),
        pytest.param(0.35, 0.27, 90, False, 2, id="below the threshold, but hardly less than with the face"),
        pytest.param(0.35, 0.25, 90, False, 1, id="below the threshold, and much less than with the face"),
        pytest.param(0.4, 0.38, 90, True, 1, id="doubtful, and turned otherwise than the face"),
        pytest.param(0.4, 0.5, 90, True, 2, id="turned otherwise, but surely there"),
    ],
)
def test_a_find_on_the_head_of_a_much_surer_face_has_to_be_there_without_it(
    rating: float, without: float, size: int, askew: bool, expected: int
) -> None:
    box = [145 - size / 2, 85 - size / 2, 145 + size / 2, 85 + size / 2]
    boxes = np.array([[100, 100, 200, 220, 0.95], [*box, rating]])
    small = (UPRIGHT - UPRIGHT.mean(axis=0)) * 0.4 + (145, 85)
    turned = (ASIDE - ASIDE.mean(axis=0)) * 0.4 + (145, 85)
    finds = Finds(
        boxes, np.stack([UPRIGHT, turned if askew else small]), np.zeros(2, int), np.zeros(2, bool), np.ones(2, bool)
    )

    def look(views: Sequence[View]) -> list[NDArray[np.float64]]:
        return [boxes] * len(views)

    def look_without(people: Sequence[Detection], views: Sequence[View]) -> list[NDArray[np.float64]]:
        assert [face.box[0] for face in people] == [100]
        return [np.array([[*box, without]])] * len(views)

    faces = evidence.faces_among(finds, (View(640, 0.0),), look, look_without, 640, 640, threshold=0.3)
    assert len(faces) == expected


@pytest.mark.parametrize(
    ("score", "apart", "clear"),
    [
        pytest.param(0.45, 0.02, True, id="agreed on"),
        pytest.param(0.45, 0.08, False, id="seen in different places, by no sure view"),
        pytest.param(0.6, 0.08, True, id="seen in different places, but surely"),
    ],
)
def test_a_face_whose_landmarks_scatter_is_unclear_unless_it_is_sure(score: float, apart: float, clear: bool) -> None:
    box = [100, 100, 200, 220, score]
    moved = UPRIGHT + np.array([120 * apart, 0])
    finds = Finds(
        np.array([box, box, box]),
        np.stack([UPRIGHT, moved, moved]),
        np.arange(3),
        np.zeros(3, bool),
        np.ones(3, bool),
    )

    def look(views: Sequence[View]) -> list[NDArray[np.float64]]:
        return [np.array([box])] * len(views)

    views = tuple(View(640, border) for border in (0.0, 0.1, 0.2))
    [face] = evidence.faces_among(finds, views, look, lambda people, views: look(views), 640, 640, threshold=0.3)
    assert (face.score, face.landmarks_agree) == (pytest.approx(score), clear)
