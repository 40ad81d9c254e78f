"""Searching a picture mirrored and turned: what the detector is shown, and where its finds end up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reverse_personalization.geometry.face_search import (
    MAX_DETECTOR_SIZE,
    SIZE_STEP,
    View,
    crop_search_size,
    search_plan,
    second_search_plan,
    turned_search_plan,
    upright_turns,
)
from tests import fake_insight
from tests.face_embedding import bgr, images, run

views = st.builds(
    View, size=st.just(32), border=st.just(0.0), mirrored=st.booleans(), turns=st.integers(min_value=0, max_value=3)
)
EIGHT_WAYS = {(mirrored, turns) for mirrored in (False, True) for turns in range(4)}
sizes = st.integers(1, 9000)
detector_sizes = st.integers(2, 64).map(lambda steps: steps * SIZE_STEP)


@given(view=views, row=st.integers(0, 31), column=st.integers(0, 31))
def test_a_pixel_that_is_found_in_a_view_was_there_in_the_picture(view, row, column):
    canvas = np.zeros((32, 32, 3), np.uint8)
    canvas[row, column] = 255
    shown_row, shown_column = np.argwhere(view.show(canvas)[..., 0])[0]
    x, y = view.upright_points(np.array([shown_column + 0.5, shown_row + 0.5]))
    assert (x, y) == (column + 0.5, row + 0.5)
    box = np.array([[shown_column, shown_row, shown_column + 1, shown_row + 1, 0.7]])
    assert view.upright_boxes(box).tolist() == [[column, row, column + 1, row + 1, 0.7]]


@pytest.mark.parametrize(("mirrored", "turns"), sorted(EIGHT_WAYS))
def test_a_face_keeps_its_right_and_left(mirrored, turns):
    """From the first eye to the second and on to the mouth is clockwise, however a person is turned."""
    shown_upright = fake_insight.LANDMARKS * 40 + [10, 20]
    eye, other_eye, _, corner, other_corner = View(100, 0.0, mirrored, turns).upright_landmarks(shown_upright[None])[0]
    for end in (corner, other_corner):
        (x0, y0), (x1, y1) = other_eye - eye, end - eye
        assert x0 * y1 - y0 * x1 > 0


@given(height=sizes, width=sizes, det_size=detector_sizes)
def test_later_plans_hold_the_earlier_ones(height, width, det_size):
    first = search_plan(height, width, det_size)
    turned = turned_search_plan(height, width, det_size)
    second = second_search_plan(height, width, det_size)
    assert set(first) <= set(turned) <= set(second)
    assert len(set(second)) == len(second)
    assert {view.turns for view in turned} == {0, 1, 2, 3}
    assert any(view.mirrored for view in second)
    assert {view.size for view in second} > {view.size for view in turned} or det_size == 2 * SIZE_STEP
    assert all(view.size % SIZE_STEP == 0 and 0 < view.size <= MAX_DETECTOR_SIZE for view in second)


def test_a_detector_of_fixed_size_keeps_it():
    assert {view.size for view in second_search_plan(300, 400, 640, 160)} == {160}
    assert {view.turns for view in second_search_plan(300, 400, 640, 160)} == {0, 1, 2, 3}


@pytest.mark.parametrize(("side", "size"), [(8, 32), (128, 256), (136, 288), (512, 640), (1024, 640)])
def test_a_small_crop_is_not_enlarged_beyond_twice_its_side(side, size):
    assert crop_search_size(side, 640) == size


def turned_scene(turns: int, mirrored: bool = False) -> np.ndarray:
    picture = fake_insight.scene(200, 260, cyan=(90, 50, 96))
    square = picture[50:146, 90:186]
    picture[50:146, 90:186] = fake_insight.with_mark(square, turns, mirrored)
    return picture


@pytest.fixture
def one_way_pack(packs_folder):
    """A pack whose detector sees upright faces alone."""
    return fake_insight.write(
        packs_folder / "fake", detection=fake_insight.detector(upright=True), recognition=fake_insight.recogniser()
    )


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_people_who_lie_are_found_and_their_eyes_too(node, one_way_pack, turns):
    """A person turned by quarter turns, whose head is where the mark is."""
    picture = images(turned_scene(turns))
    (face,) = run(node, picture, det_size=160)
    assert face.box == pytest.approx((90, 50, 186, 146), abs=3)
    centre = np.array([90 + 48, 50 + 48])
    expected = fake_insight.LANDMARKS * 96 - 48
    for _ in range(turns):
        expected = np.stack([expected[:, 1], -expected[:, 0]], axis=1)
    assert np.array(face.landmarks) == pytest.approx(expected + centre, abs=3)
    found_upright = len(run(node, picture, det_size=160, search_turned=False, no_face="empty list"))
    assert found_upright == (turns == 0)


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_a_face_is_found_again_however_it_is_turned(insight, one_way_pack, turns):
    """From close up, and only if something like a face is still at its place."""
    pack = insight.load_pack("fake", "CPU", 0.1)
    rgb = (torch.from_numpy(turned_scene(turns)) * 255).round().numpy()
    picture = np.ascontiguousarray(rgb[..., ::-1].astype(np.uint8))
    (before,) = pack.search(picture, 160, turned_search_plan)
    assert upright_turns(before.landmarks) == -turns % 4
    again = pack.find_again(picture, before)
    assert again.box == pytest.approx(before.box, abs=4)
    assert np.array(again.landmarks) == pytest.approx(np.array(before.landmarks), abs=4)
    assert again.landmarks_agree
    assert pack.find_again(np.full_like(picture, 40), before) is None
    beside = replace(before, box=tuple(side + 90 for side in before.box))
    assert pack.find_again(picture, beside) is None


@pytest.mark.parametrize("turns", [0, 2])
def test_only_the_second_search_sees_what_a_mirror_shows(insight, one_way_pack, turns):
    """A face both mirrored and upside down is missed: no view is mirrored and turned at once."""
    pack = insight.load_pack("fake", "CPU", 0.1)
    rgb = (torch.from_numpy(turned_scene(turns, mirrored=True)) * 255).round().numpy()
    picture = np.ascontiguousarray(rgb[..., ::-1].astype(np.uint8))
    assert not pack.search(picture, 160, turned_search_plan)
    found = pack.search(picture, 160, second_search_plan)
    assert len(found) == (turns == 0)
    if found:
        eye, other_eye = found[0].landmarks[:2]
        assert eye[0] < other_eye[0]


def test_of_views_that_saw_a_face_alike_the_upright_one_is_believed(node, fake_pack):
    """The detector sees squares upright in every view; the landmarks are those of the view that is believed."""
    (face,) = run(node, images(fake_insight.scene(160, 160, cyan=(40, 40, 80))), det_size=160)
    assert np.array(face.landmarks) == pytest.approx(fake_insight.LANDMARKS * 80 + 40, abs=1)


@pytest.mark.parametrize("place", [(700, 200), (306, 10), (318, 150), (0, 100), (970, 260)])
def test_a_small_face_in_a_large_picture_is_found_once_and_in_its_place(insight, packs_folder, place):
    """With 160 pixels for the whole picture it has 5, and the detector sees squares from 12 on."""
    detector, recogniser = fake_insight.detector(size=160), fake_insight.recogniser()
    fake_insight.write(packs_folder / "fake", detection=detector, recognition=recogniser)
    pack = insight.load_pack("fake", "CPU", 0.1)
    picture = bgr(fake_insight.scene(290, 1000, cyan=(*place, 30)))
    (face,) = pack.search(picture, 640, search_plan)
    assert face.box == pytest.approx((*place, place[0] + 30, place[1] + 30), abs=2)
    assert np.array(face.landmarks) == pytest.approx(fake_insight.LANDMARKS * 30 + place, abs=2)


def test_a_search_can_be_cancelled_between_its_looks(insight, fake_pack, monkeypatch):
    pack = insight.load_pack("fake", "CPU", 0.1)
    seen = []

    def interrupt() -> None:
        seen.append(1)
        if len(seen) == 3:
            raise insight.comfy.model_management.InterruptProcessingException

    monkeypatch.setattr(insight.comfy.model_management, "throw_exception_if_processing_interrupted", interrupt)
    with pytest.raises(insight.comfy.model_management.InterruptProcessingException):
        pack.search(np.zeros((64, 64, 3), np.uint8), 160, turned_search_plan)
