"""A portrait shows what is known of it."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from lab.render.appearance import BEARDS, GLASSES, HAIR_STYLES
from lab.render.identity import draw_identity
from lab.render.nuisance import Expression, Framing, Pose, draw_nuisance
from lab.render.person import build_person
from lab.render.portrait import draw_portrait, portrait, portrait_view
from lab.render.seeds import identity_seed
from lab.render.truth import FaceTruth, in_pixels
from reverse_personalization.geometry.template import FFHQ_LANDMARKS, ffhq_fractions
from tests.lab.render.people import expressed, eye_distance, plain, posed, width_of_mouth


def test_truth_is_consistent():
    for seed in range(14):
        person = draw_identity(identity_seed("test", seed))
        nuisance = draw_nuisance(seed, person)
        drawn = draw_portrait(person, nuisance, 112)
        truth = drawn.truth
        assert drawn.image.shape == (112, 112, 3)
        assert drawn.image.dtype == np.uint8
        assert truth.mask.shape == (112, 112)
        assert truth.mask.dtype == np.bool_
        x0, y0, x1, y1 = truth.box
        assert 0 <= x0 < x1 <= 112
        assert 0 <= y0 < y1 <= 112
        assert truth.visible == 1.0
        assert truth.identity == person.seed
        for x, y in truth.landmarks.tolist():
            assert x0 <= x <= x1
            assert y0 <= y <= y1
            # Open mouths' corners and the far eye may lie on the mask's border.
            assert truth.mask[int(y) - 3 : int(y) + 4, int(x) - 3 : int(x) + 4].mean() > 0.35
        rows, columns = np.nonzero(truth.mask)
        beside = 1.5 if truth.attributes.glasses == "none" else 4
        assert x0 - beside <= columns.min()
        assert columns.max() + 1 <= x1 + beside
        # A beard may stand out below the chin.
        assert y0 - 1.5 <= rows.min()
        assert rows.max() + 1 <= y1 + (8 if truth.attributes.beard == "full" else 3)
        assert truth.mask.sum() > 0.35 * (x1 - x0) * (y1 - y0)
        left, right, nose, mouth_left, mouth_right = truth.landmarks
        assert left[0] < right[0]
        assert mouth_left[0] < mouth_right[0]
        assert max(left[1], right[1]) < nose[1] < min(mouth_left[1], mouth_right[1])


def test_mask_is_where_the_face_is():
    """Changing what only the face shows changes pixels inside the mask and, but for a border, none outside."""
    identity, nuisance = plain(31)
    one = draw_portrait(identity, nuisance, 96)
    lips = replace(nuisance.appearance, make_up=1.0, lipstick=(0.8, 0.0, 0.1), redness=1.0)
    other = draw_portrait(identity, replace(nuisance, appearance=lips), 96)
    changed = np.abs(one.image.astype(int) - other.image).max(-1) > 8
    assert changed.sum() > 40
    assert (changed & one.truth.mask).sum() > 0.95 * changed.sum()


@pytest.mark.parametrize(("angle", "axis", "sign"), [("yaw", 0, 1), ("pitch", 1, -1)])
def test_pose_moves_the_nose_as_documented(angle, axis, sign):
    nose = {}
    for value in (-20.0, 0.0, 20.0):
        truth = posed(41, **{angle: value})
        assert getattr(truth, angle) == value
        nose[value] = (truth.landmarks[2] - truth.landmarks[[0, 1, 3, 4]].mean(0))[axis] / eye_distance(truth)
    assert sign * (nose[20.0] - nose[0.0]) > 0.1
    assert sign * (nose[0.0] - nose[-20.0]) > 0.1


def test_roll_is_clockwise_and_counts_the_cameras_turn():
    truth = posed(41, roll=12.0)
    (x0, y0), (x1, y1) = truth.landmarks[:2]
    assert np.degrees(np.arctan2(y1 - y0, x1 - x0)) == pytest.approx(12, abs=1.5)
    identity, nuisance = plain(41)
    turned = replace(nuisance, pose=Pose(roll=12.0), framing=Framing(kind="free", turn=-12.0))
    assert draw_portrait(identity, turned, 48).truth.roll == pytest.approx(0, abs=1e-6)


def test_extreme_yaw_is_flagged():
    assert posed(41, yaw=50.0).extreme
    assert not posed(41, yaw=-45.0).extreme


def test_gaze_moves_the_pupils_and_nothing_else():
    ahead, right, up = posed(42), posed(42, gaze_yaw=18.0), posed(42, gaze_pitch=10.0)
    distance = eye_distance(ahead)
    assert (right.pupils - ahead.pupils)[:, 0].min() > 0.04 * distance
    assert (ahead.pupils - up.pupils)[:, 1].min() > 0.02 * distance
    assert np.array_equal(right.landmarks, ahead.landmarks)


def around(grey: np.ndarray, point: np.ndarray) -> float:
    """Mean of the 5 x 5 pixels at a point."""
    x, y = np.round(point).astype(int)
    return float(grey[y - 2 : y + 3, x - 2 : x + 3].mean())


def test_pupils_are_dark_where_the_truth_says():
    identity, nuisance = plain(43, iris=(0.2, 0.12, 0.07))
    for gaze in (-18.0, 18.0):
        view = replace(nuisance, pose=Pose(gaze_yaw=gaze), expression=Expression("surprise", 0.8))
        drawn = draw_portrait(identity, view, 384)
        grey = drawn.image.mean(-1)
        for eye, pupil in zip(drawn.truth.landmarks[:2], drawn.truth.pupils, strict=True):
            mirrored = 2 * eye - pupil

            assert around(grey, pupil) < 0.7 * around(grey, mirrored)


def test_expressions_move_the_face():
    rest = expressed(51, "neutral")
    assert width_of_mouth(expressed(51, "smile")) > 1.08 * width_of_mouth(rest)
    assert width_of_mouth(expressed(51, "pout")) < 0.97 * width_of_mouth(rest)
    corners = (rest.landmarks - expressed(51, "smile").landmarks)[3:, 1] / eye_distance(rest)
    assert corners.min() > 0.02  # Both rise.
    smile, opened = expressed(51, "smile").attributes, expressed(51, "open mouth").attributes
    assert (smile.smile, smile.open_mouth, opened.smile, opened.open_mouth) == (True, False, False, True)
    assert not Expression("smile", 0.2).smile


def test_an_open_mouth_is_dark_inside():
    identity, nuisance = plain(52)
    closed = draw_portrait(identity, nuisance, 128)
    opened = draw_portrait(identity, replace(nuisance, expression=Expression("open mouth", 1.0)), 128)

    def darkest(drawn):
        left, right = drawn.truth.landmarks[3:]
        x0, x1 = int(left[0]) + 4, int(right[0]) - 3
        y = int((left[1] + right[1]) / 2)
        return np.sort(drawn.image[y - 10 : y + 16, x0:x1].mean(-1), axis=None)[:40].mean()

    assert darkest(opened) < 0.6 * darkest(closed)


@pytest.mark.parametrize(("field", "values"), [("glasses", GLASSES), ("beard", BEARDS), ("hair_style", HAIR_STYLES)])
def test_what_is_worn_is_seen_and_known(field, values):
    seed = next(s for s in range(60, 90) if draw_identity(s).sex == "male")
    images = []
    for value in values:
        identity, nuisance = plain(seed, **{field: value})
        drawn = draw_portrait(identity, nuisance, 64)
        assert getattr(drawn.truth.attributes, field) == value
        images.append(drawn.image.astype(int))
    for i, one in enumerate(images):
        for other in images[i + 1 :]:
            assert (np.abs(one - other).max(-1) > 12).sum() > 12


def test_ffhq_framing_is_the_packs_rule():
    identity, nuisance = plain(71)
    person = build_person(identity, nuisance)
    view = portrait_view(person, Framing(), 256)
    landmarks = in_pixels(person, person.landmarks, view)
    assert np.allclose(ffhq_fractions(landmarks, landmarks), landmarks / 256, atol=1e-6)
    assert np.abs(landmarks / 256 - FFHQ_LANDMARKS).max() < 0.06
    jittered = portrait_view(person, Framing(shift_x=0.05, scale=1.1), 256)
    moved = in_pixels(person, person.landmarks, jittered)
    assert np.linalg.norm(moved[1] - moved[0]) == pytest.approx(1.1 * np.linalg.norm(landmarks[1] - landmarks[0]))


def test_size_of_picture_does_not_change_the_truth():
    small, large = portrait(5, 9, 64), portrait(5, 9, 256)
    assert np.allclose(small.truth.landmarks * 4, large.truth.landmarks, atol=1e-3)
    shrunk = large.truth.mask.reshape(64, 4, 64, 4).mean((1, 3)) >= 0.5
    assert (shrunk & small.truth.mask).sum() > 0.93 * (shrunk | small.truth.mask).sum()


def test_truth_goes_into_json_and_names_every_field():
    record = portrait(5, 9, 48).truth.as_json()
    assert set(record) == {f.name for f in fields(FaceTruth)} - {"mask"}
    assert record["attributes"]["sex"] in ("male", "female")
