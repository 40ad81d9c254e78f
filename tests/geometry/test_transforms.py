"""Transforms, resampling, masks and ownership of faces in photographs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reverse_personalization.geometry.alignment import (
    Window,
    crop_transform,
    face_in_crop,
    footprint,
    inverted,
    landmark_fault,
    resized_transform,
    scale_of,
)
from reverse_personalization.geometry.cropping import take_crops
from reverse_personalization.geometry.face_area import FaceArea, drawn_mask, face_area, landmark_mask
from reverse_personalization.geometry.face_area import owners as owners_in
from reverse_personalization.geometry.resampling import resample
from reverse_personalization.geometry.template import FFHQ_LANDMARKS, ffhq_fractions
from tests.face_layout import face_at, landmarks_at, owners, photograph, waves

angles = st.floats(-180, 180)
places = st.floats(-50, 250)
frames = st.floats(8, 600)


def through(transform: np.ndarray, points: np.ndarray) -> np.ndarray:
    return points @ transform[:, :2].T + transform[:, 2]


def area_at(landmarks: np.ndarray, side: int, height: int, width: int, margin: float = 0.0) -> FaceArea:
    return face_area(landmarks, crop_transform(landmarks, side, margin), side, height, width)


@given(x=places, y=places, frame=frames, degrees=angles, side=st.integers(8, 1024), margin=st.floats(0, 1))
def test_landmarks_land_where_the_rule_says(x, y, frame, degrees, side, margin):
    landmarks = landmarks_at(x, y, frame, degrees)
    expected = ((ffhq_fractions(landmarks, landmarks) - 0.5) / (1 + margin) + 0.5) * side
    # Continuous to pixels and back: half a pixel on both sides.
    assert through(crop_transform(landmarks, side, margin), landmarks - 0.5) + 0.5 == pytest.approx(expected, abs=1e-6)


@given(x=places, y=places, frame=frames, degrees=angles, side=st.integers(8, 1024))
def test_transform_is_a_similarity_and_its_inverse_undoes_it(x, y, frame, degrees, side):
    transform = crop_transform(landmarks_at(x, y, frame, degrees), side)
    linear = transform[:, :2]
    assert linear @ linear.T == pytest.approx(np.eye(2) * (side / frame) ** 2, rel=1e-9, abs=1e-9)
    assert np.linalg.det(linear) > 0
    points = np.array([[0.0, 0.0], [17.0, -3.5], [side, side]])
    assert through(transform, through(inverted(transform), points)) == pytest.approx(points, abs=1e-6)
    half = resized_transform(transform, 0.5)
    assert 2 * (through(half, points) + 0.5) == pytest.approx(through(transform, points) + 0.5)


def test_whole_square_is_its_own_crop():
    """A face whose frame is the picture: every pixel of the crop is that of the picture."""
    transform = crop_transform(landmarks_at(32, 32, 64), 64)
    assert transform == pytest.approx(np.array([[1, 0, 0], [0, 1, 0]]), abs=1e-9)
    assert footprint(transform, 64).intersection(Window(0, 0, 64, 64)) == (0, 0, 64, 64)


@pytest.mark.parametrize(
    ("landmarks", "fault"),
    [
        (np.full((5, 2), np.nan), "not finite"),
        (np.full((5, 2), 30.0), "eyes are in one place"),
        (np.array([[30, 30], [30, 30], [30, 40], [25, 50], [35, 50]]), "eyes are in one place"),
        (np.array([[20, 30], [40, 30], [30, 30], [25, 30], [35, 30]]), "mouth is between its eyes"),
        (np.array([[20, 30], [24, 30], [30, 30], [40, 30], [44, 30]]), "in one line"),
        (np.array([[40, 30], [20, 30], [30, 40], [40, 50], [20, 50]]), "wrong way round"),
        (landmarks_at(30, 30, 1), "smaller than a pixel"),
        (landmarks_at(30, 30, 1e5), "far larger"),
        (landmarks_at(300, 30, 50), "outside the picture"),
    ],
)
def test_landmarks_that_no_crop_fits(landmarks, fault):
    assert fault in landmark_fault(np.asarray(landmarks, float), 60, 60)


@given(x=st.floats(0, 60), y=st.floats(0, 60), frame=st.floats(4, 500), degrees=angles)
def test_faces_have_no_fault(x, y, frame, degrees):
    assert landmark_fault(landmarks_at(x, y, frame, degrees), 60, 60) == ""


def test_face_in_its_crop_is_where_the_alignment_puts_it():
    face = face_at(100, 80, 90, 90)
    face = replace(face, other_landmarks=face.landmarks)
    shown = face_in_crop(face, crop_transform(np.array(face.landmarks), 360))
    assert np.array(shown.landmarks) == pytest.approx(FFHQ_LANDMARKS * 360)
    assert shown.other_landmarks == shown.landmarks
    # Scale 4, and a quarter turn: what was wide is high.
    assert shown.box == pytest.approx((180 - 120, 180 - 90, 180 + 120, 180 + 90))
    assert (shown.age, shown.sex, shown.pose) == (30, "female", None)
    assert shown.embedding is face.embedding


@settings(max_examples=25)
@given(degrees=angles, dx=st.floats(-1, 1), dy=st.floats(-1, 1), scale=st.floats(0.2, 3))
def test_crop_shows_what_lies_between_the_pixels(degrees, dx, dy, scale):
    period = 16 * max(1, 1 / scale)
    field = waves(period)
    photo = photograph(field, 300, 310)[0].numpy()
    landmarks, side = landmarks_at(155 + dx, 150 + dy, 120, degrees), round(120 * scale)
    area = area_at(landmarks, side, 300, 310)
    (crop,) = take_crops(photo, [area], True)
    y, x = np.mgrid[:side, :side]
    points = through(inverted(area.to_crop), np.stack([x, y], axis=-1).reshape(-1, 2)).reshape(side, side, 2)
    error = np.abs(crop - field(points[..., 0], points[..., 1]))
    assert error.mean() < 1 / 255
    assert error.max() < 6 / 255


@pytest.mark.parametrize("scale", [0.02, 0.11, 0.3, 0.7, 0.99])
def test_shrinking_averages_what_is_too_fine(scale):
    """A checkerboard of single pixels, which without averaging turns into moire, becomes grey."""
    board = (np.indices((600, 600)).sum(axis=0) % 2).astype(np.float32)[..., None]
    side = int(400 * scale)
    turn = scale * np.array([[0.8, -0.6], [0.6, 0.8]])
    transform = np.concatenate([turn, (side / 2 - turn @ [[300.0], [300.0]])], axis=1)
    shrunk = resample(board, transform, side, side)
    assert shrunk.mean() == pytest.approx(0.5, abs=0.02)
    assert scale > 0.5 or shrunk.std() < 0.02


@given(scale=st.floats(0.1, 8), degrees=angles)
@settings(max_examples=20)
def test_nothing_rings_beyond_the_range(scale, degrees):
    step = np.where(np.arange(40) < 20, np.float32(0.1), np.float32(0.9))[None].repeat(40, 0)[..., None]
    turn = scale * np.exp(1j * np.radians(degrees))
    transform = np.array([[turn.real, -turn.imag, 20], [turn.imag, turn.real, 20]])
    shown = resample(step, transform, 50, 60)
    assert shown.shape == (50, 60, 1)
    assert shown.min() >= np.float32(0.1)
    assert shown.max() <= np.float32(0.9)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 50), (33, 7), (200, 100)])
def test_crop_beyond_the_picture_is_never_black(height, width):
    photo = np.random.default_rng(0).uniform(0.4, 0.6, (height, width, 3)).astype(np.float32)
    (crop,) = take_crops(photo, [area_at(landmarks_at(width / 2, height, 60, 30), 96, height, width)], True)
    assert crop.shape == (96, 96, 3)
    assert 0.4 <= crop.min() < crop.max() + 1e-6 <= 0.6 + 2e-6


def test_crop_is_mirrored_at_the_border_and_blurred_further_out():
    photo = np.random.default_rng(1).uniform(0, 1, (64, 64, 3)).astype(np.float32)
    (crop,) = take_crops(photo, [area_at(landmarks_at(0, 32, 64), 64, 64, 64)], True)
    assert crop[:, 32:] == pytest.approx(photo[:, :32], abs=1e-5)
    assert crop[:, 31] == pytest.approx(photo[:, 0], abs=0.1)
    assert crop[:, :20].std() < 0.5 * photo.std()


@settings(max_examples=40)
@given(
    x=st.floats(0, 80), y=st.floats(0, 80), frame=st.floats(6, 300), degrees=angles, margin=st.floats(0, 1),
    nose=st.floats(-0.4, 0.4), feather=st.floats(0.01, 1), grow=st.floats(0, 1),
)  # fmt: skip
def test_mask_is_full_in_the_core_and_nothing_outside_the_crop(x, y, frame, degrees, margin, nose, feather, grow):
    landmarks = landmarks_at(x, y, frame, degrees)
    landmarks[2] += nose * frame * np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])
    area = area_at(landmarks, 64, 80, 80, margin)
    mask = landmark_mask(area, feather, grow)
    distance = area.distance(area.window)
    assert (mask[distance <= 1] == 1).all()
    assert (mask[np.isinf(distance)] == 0).all()
    assert (mask[distance >= 1.001 + grow + feather] == 0).all()
    # Landmarks, chin and forehead, and the ears are in the core.
    fractions = [*(FFHQ_LANDMARKS[[0, 1, 3, 4]]), (0.5, 0.93), (0.5, 0.17)]
    points = np.array([(np.array(fractions) - 0.5) @ (1, 1j) * frame * np.exp(1j * np.radians(degrees)) + (x + 1j * y)])
    disc = through(area.to_disc, np.stack([points.real, points.imag], axis=-1)[0] - 0.5)
    assert np.hypot(*disc.T).max() < 1


def test_core_of_a_turned_head_moves_to_the_ear_that_is_seen():
    ahead, turned = landmarks_at(50, 50, 80), landmarks_at(50, 50, 80)
    turned[2, 0] += 6  # the nose points to the right
    ear = np.array([[50 - 0.4 * 80, 50.0]])
    for landmarks, inside in ((ahead, False), (turned, True)):
        area = area_at(landmarks, 64, 100, 100)
        assert (np.hypot(*through(area.to_disc, ear - 0.5).T) < 1).all() == inside


def test_mask_falls_smoothly():
    mask = landmark_mask(area_at(landmarks_at(200, 200, 400), 512, 400, 400), 0.12, 0.0)
    steps = np.maximum(np.abs(np.diff(mask, axis=0)).max(), np.abs(np.diff(mask, axis=1)).max())
    assert steps < 0.13  # a fall over 17 pixels, steepest in its middle
    assert mask[0].max() == mask[-1].max() == mask[:, 0].max() == 0


def test_drawn_mask_is_in_place_and_feathered_outwards():
    area = area_at(landmarks_at(100, 100, 128), 64, 200, 200)
    drawn = np.zeros((64, 64), np.float32)
    drawn[20:40, 20:44] = 1
    shown = drawn_mask(area, drawn, 0.2, 0.0)
    assert (shown[44:76, 44:84] > 0.98).all()  # twice the size, less what the interpolation mixes
    assert 0 < shown[36, 60] < 1
    assert (shown[:20] == 0).all()
    assert (drawn_mask(area, np.zeros_like(drawn), 0.2, 0.1) == 0).all()


def test_every_pixel_has_the_nearest_owner_and_a_tie_the_first():
    landmarks = landmarks_at(30, 40, 50)
    one, same = area_at(landmarks, 64, 80, 120), area_at(landmarks, 64, 80, 120)
    far = area_at(landmarks_at(60, 40, 50), 64, 80, 120)
    owner = owners([one, same, far], 80, 120)[0]
    assert set(np.unique(owner)) == {-1, 0, 2}
    assert (owner[40, [30, 44, 46, 60, 110]] == [0, 0, 2, 2, -1]).all()
    assert scale_of(one.to_disc) == pytest.approx(1 / one.radius)


windows = st.tuples(st.integers(0, 99), st.integers(0, 79), st.integers(1, 40), st.integers(1, 40))
crowds = st.lists(
    st.tuples(st.floats(-20, 140), st.floats(-20, 120), st.floats(8, 120), angles), min_size=1, max_size=5
)


@given(crowd=crowds, again=st.booleans(), window=windows, reach=st.sampled_from([0.5, 1.0, 1.12, np.inf]))
def test_owner_is_the_same_in_every_window(crowd, again, window, reach):
    landmarks = [landmarks_at(*place) for place in (crowd + crowd[:1] if again else crowd)]
    areas = [area_at(points, 64, 100, 120) for points in landmarks if not landmark_fault(points, 100, 120)]
    owner, distance = owners(areas, 100, 120)
    x, y, width, height = window
    part = Window(x, y, min(x + width, 120), min(y + height, 100))
    expected = np.where(distance <= reach, owner, -1)
    assert (owners_in(areas, part, reach) == expected[part.slices]).all()


@settings(max_examples=20)
@given(gap=st.floats(5, 60), degrees=angles)
def test_neighbour_is_not_in_the_crop(gap, degrees):
    """Faces as fine red or blue stripes on grey: their own crop shows them, the other's a blur."""
    places = [landmarks_at(90, 90, 80, degrees), landmarks_at(90 + gap, 90, 80)]
    areas = [area_at(landmarks, 160, 180, 220) for landmarks in places]
    owner, distance = owners(areas, 180, 220)
    photo = np.full((180, 220, 3), 0.5, np.float32)
    stripes = (np.arange(220) % 4 < 2).astype(np.float32)[None].repeat(180, 0)
    for number, channel in ((0, 0), (1, 2)):
        core = (owner == number) & (distance <= 1)
        photo[..., channel][core] = stripes[core]
    for number, crop in enumerate(take_crops(photo, areas, True)):
        others = crop[..., 2 - 2 * number]
        own = crop[..., 2 * number]
        assert np.abs(np.diff(others, axis=1)).max() < 0.12
        assert np.abs(np.diff(own, axis=1)).max() > 0.3
    shown = list(take_crops(photo, areas, False))
    assert max(np.abs(np.diff(shown[number][..., 2 - 2 * number], axis=1)).max() for number in (0, 1)) > 0.3
