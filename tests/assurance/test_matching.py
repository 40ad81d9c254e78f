"""Which face of a result matches which original face, how it changed, and what a measurement says."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reverse_personalization.assurance.comparison import ALIGNMENT_ERROR, nearby_alignments
from reverse_personalization.assurance.matching import (
    MIN_MEASURABLE,
    Appearance,
    face_change,
    least_before,
    match_faces,
    measurable,
    overlap,
    part_of,
    partly_on,
    status_of,
)
from reverse_personalization.geometry.faces import Detection, HeadPose, landmark_distance
from reverse_personalization.geometry.template import ARCFACE_LANDMARKS, ARCFACE_SIDE


def face(x: float, y: float, side: float) -> Detection:
    landmarks = ARCFACE_LANDMARKS / ARCFACE_SIDE * side + [x, y]
    return Detection(box=(x, y, x + side, y + side), landmarks=tuple(map(tuple, landmarks.tolist())), score=0.9)


@given(
    places=st.lists(st.tuples(st.integers(0, 7), st.integers(0, 5)), unique=True, max_size=8),
    shift=st.tuples(st.floats(-8, 8), st.floats(-8, 8)),
    data=st.data(),
)
def test_faces_that_moved_a_little_are_found_again_in_any_order(places, shift, data):
    originals = [face(100 * x, 100 * y, 60) for x, y in places]
    order = data.draw(st.permutations(range(len(places))))
    found = [face(100 * places[i][0] + shift[0], 100 * places[i][1] + shift[1], 62) for i in order]
    matches = match_faces(originals, found)
    assert [order[match] for match in matches if match is not None] == list(range(len(places)))


@given(
    boxes=st.lists(st.tuples(st.floats(0, 90), st.floats(0, 90), st.floats(5, 60)), max_size=6),
    finds=st.lists(st.tuples(st.floats(0, 90), st.floats(0, 90), st.floats(5, 60)), max_size=6),
)
def test_no_find_is_two_faces(boxes, finds):
    matches = [
        match for match in match_faces([face(*b) for b in boxes], [face(*f) for f in finds]) if match is not None
    ]
    assert len(set(matches)) == len(matches)


def test_best_pair_comes_first():
    """The find lies over both; the one that it fits better gets it, whichever comes first."""
    near, far, find = face(0, 0, 100), face(25, 0, 100), face(3, 0, 100)
    assert match_faces([far, near], [find]) == [None, 0]
    assert match_faces([near, far], [find]) == [0, None]


def test_landmarks_tell_two_faces_in_one_box_apart():
    upright = face(0, 0, 100)
    hanging = Detection(upright.box, tuple((100 - x, 100 - y) for x, y in upright.landmarks), 0.9)
    assert match_faces([hanging, upright], [upright, hanging]) == [1, 0]


def test_a_face_elsewhere_is_another_face():
    assert match_faces([face(0, 0, 50)], [face(60, 0, 50)]) == [None]
    assert match_faces([face(0, 0, 50)], []) == [None]
    assert match_faces([], [face(0, 0, 50)]) == []


def test_landmarks_that_are_not_finite_do_not_stop_matching():
    broken = Detection((0, 0, 50, 50), ((math.nan, 0.0),) * 5, 0.9)
    assert match_faces([face(0, 0, 50)], [broken]) == [0]


def test_overlap_is_known():
    assert overlap(face(0, 0, 10), face(0, 0, 10)) == 1
    assert overlap(face(0, 0, 10), face(5, 0, 10)) == pytest.approx(1 / 3)
    assert overlap(face(0, 0, 10), face(10, 0, 10)) == 0
    assert overlap(face(0, 0, 0), face(0, 0, 0)) == 0


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (face(0, 0, MIN_MEASURABLE), True),
        (face(0, 0, MIN_MEASURABLE - 0.5), False),
        (Detection((0, 0, 100, 19), face(0, 0, 60).landmarks, 0.9), False),
        (Detection((0, 0, 100, 100), ((50.0, 50.0),) * 5, 0.9), False),
        (Detection((0, 0, 100, 100), ((math.nan, 50.0), *face(0, 0, 100).landmarks[1:]), 0.9), False),
        (Detection((0, 0, math.inf, 100), face(0, 0, 100).landmarks, 0.9), False),
        (replace(face(0, 0, 100), landmarks_agree=False), False),
        (Detection((0, 0, 0, 0), ((0.0, 0.0),) * 5, 0.9), False),
    ],
)
def test_what_can_be_measured(one, expected):
    assert measurable(one) is expected


def test_how_a_face_changed_is_known():
    before, after = face(10, 10, 112), face(13, 14, 112)
    eyes = np.linalg.norm(ARCFACE_LANDMARKS[0] - ARCFACE_LANDMARKS[1])
    change = face_change(
        before,
        after,
        Appearance(30, "female", HeadPose(pitch=1, yaw=-20, roll=179)),
        Appearance(34, "male", HeadPose(pitch=4, yaw=5, roll=-178)),
    )
    assert landmark_distance(before, after) == pytest.approx(5)
    assert change.landmark_change == pytest.approx(5 / eyes)
    assert change.box_overlap == pytest.approx(109 * 108 / (2 * 112**2 - 109 * 108))
    assert (change.pitch_change, change.yaw_change, change.roll_change) == pytest.approx((3, 25, 3))
    assert (change.age_change, change.sex_kept) == (0, False)


def test_what_a_pack_cannot_tell_was_neither_kept_nor_lost():
    change = face_change(face(0, 0, 50), face(0, 0, 50), Appearance(age=30), Appearance())
    assert (change.age_change, change.sex_kept, change.yaw_change) == (None, None, None)


@pytest.mark.parametrize(
    ("before", "after", "years"), [(30, 34, 0), (30, 36, 10), (61, 34, -30), (0, 0, 0), (8, 80, 70)]
)
def test_a_change_of_age_does_not_tell_the_age(before, after, years):
    """The result's age can be read off the result: to the year, the difference would give the original's."""
    place = face(0, 0, 50)
    change = face_change(place, place, Appearance(before, "male"), Appearance(after, "male"))
    assert (change.age_change, change.sex_kept) == (years, True)
    assert repr(change) == repr(
        face_change(place, place, Appearance(before + 1, "male"), Appearance(after + 1, "male"))
    )


def test_a_head_pose_that_is_no_number_is_not_known():
    known, unknown = (Appearance(pose=HeadPose(pitch=1, yaw=yaw, roll=0)) for yaw in (20, math.nan))
    change = face_change(face(0, 0, 50), face(0, 0, 50), known, unknown)
    assert (change.yaw_change, change.pitch_change) == (None, 0)
    assert (change.box_overlap, change.landmark_change) == (1, 0)


@pytest.mark.parametrize(
    ("similarity", "found", "status"),
    [
        (0.19, True, "anonymised"),
        (-0.5, True, "anonymised"),
        (0.2, True, "recognisable"),
        (0.9, False, "recognisable"),
        (0.19, False, "unmeasurable"),
        (None, True, "unmeasurable"),
        (math.nan, True, "unmeasurable"),
        (math.nan, False, "unmeasurable"),
        (None, False, "unmeasurable"),
    ],
)
def test_only_a_face_that_was_found_and_measured_is_anonymised(similarity, found, status):
    said, reason = status_of(similarity, found, 0.2)
    assert said == status
    assert bool(reason) == (status != "anonymised")


@given(x=st.floats(-500, 500), y=st.floats(-500, 500), side=st.floats(5, 500))
def test_alignments_nearby_are_as_far_away_as_a_detector_errs(x, y, side):
    original = face(x, y, side)
    itself, *others = nearby_alignments(original)
    assert itself is original
    assert len({other.landmarks for other in others}) == 8
    points = np.array(original.landmarks)
    spread = np.sqrt(points.var(axis=0).sum())
    for other in others:
        assert (other.box, other.score) == (original.box, original.score)
        off = np.sqrt(((np.array(other.landmarks) - points) ** 2).sum(axis=1).mean())
        assert off == pytest.approx(ALIGNMENT_ERROR * spread, rel=0.15)
    # To every side, so that none is preferred.
    middle = np.mean([np.array(other.landmarks).mean(axis=0) for other in others], axis=0)
    np.testing.assert_allclose(middle, points.mean(axis=0), atol=1e-6 * side + 1e-9)


def test_a_chin_is_a_part_of_the_face_around_it_and_a_neighbour_is_not():
    changed = [(face(0, 0, 100),), (face(300, 0, 100), face(305, 5, 100))]
    assert part_of(face(25, 60, 40), changed) == 0
    assert part_of(face(355, 60, 45), changed) == 1, "inside the place in the result"
    assert part_of(face(110, 0, 40), changed) is None
    assert part_of(face(80, 60, 40), changed) is None, "only half of it is inside"
    assert part_of(face(10, 10, 80), changed) is None, "somebody in front of the face"
    assert part_of(face(25, 60, 40), []) is None


def test_what_lies_partly_on_a_face():
    changed = [(face(0, 0, 100),), (face(300, 0, 100), face(305, 5, 100))]
    assert partly_on(face(30, 80, 40), changed) == 0, "a chin with the neck"
    assert partly_on(face(394, 50, 40), changed) == 1, "on the place in the result"
    assert partly_on(face(30, 95, 40), changed) is None, "an eighth of it is on the face"
    assert partly_on(face(50, 0, 110), changed) == 0, "a generated face with what is beside it"
    assert partly_on(face(-30, -30, 160), changed) is None, "much larger than the face"
    assert partly_on(face(30, 80, 40), []) is None


def test_what_is_drawn_around_several_changed_faces():
    changed = [(face(300, 0, 50),), (face(0, 0, 50), face(5, 0, 50)), (face(60, 10, 50),)]
    assert partly_on(face(-50, -60, 250), changed) == 1
    assert partly_on(face(-50, -60, 250), changed[:2]) is None, "around one face"
    assert partly_on(face(-200, -60, 240), changed) is None, "the second one lies half outside"


def test_how_surely_somebody_must_have_been_there_before():
    chin, whole, group = face(10, 25, 20), face(30, 80, 40), face(-50, -60, 250)
    first, second, far = (replace(face(x, 0, 50), score=score) for x, score in ((0, 0.8), (60, 0.7), (400, 0.9)))
    changed = [(first, face(90, 0, 50)), (second,), (far,)]
    assert least_before(chin, changed, 0, 0.3) == pytest.approx(0.75 * 0.8), "on the face: else it was a part of it"
    assert least_before(whole, changed, 0, 0.3) == 0.3, "beside it: somebody else"
    assert least_before(group, changed, 0, 0.3) == pytest.approx(0.75 * 0.7), "around two: else it was a group"
    assert least_before(group, changed[:1], 0, 0.3) == 0.3, "around one"
    assert least_before(group, changed, 0, 0.6) == 0.6
