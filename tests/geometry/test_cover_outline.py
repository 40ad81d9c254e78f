"""Covers on rendered heads, whose outlines are known: all of the face, and not much more than the head."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from lab.render.identity import draw_identity
from lab.render.nuisance import draw_nuisance
from lab.render.person import build_person
from lab.render.seeds import identity_seed
from lab.render.soup import EARS
from reverse_personalization.geometry.cover_outline import (
    describe_one_head,
    head_of_box,
    head_of_landmarks,
    heads_of_find,
    place_cover,
)
from reverse_personalization.geometry.template import ARCFACE_LANDMARKS

HEADS = 60
SIDE, FACE_HEIGHT = 400, 100.0
"""Of the pictures that the heads are in, and of a face from hairline to chin; pixels."""

LANDMARK_ERROR, BOX_ERROR = 0.10, 0.045
"""Errors of the miniature's detector: of a landmark, as a fraction of the distance between the eyes, and of a box's
side, as a fraction of the box's."""

WIDEST_YAW, WIDEST_TILT = 60.0, 34.0
GROW = 0.15
"""The default of Cover Faces."""


@dataclass(frozen=True)
class Head:
    """A rendered head in the middle of a picture: masks [SIDE, SIDE], box, landmarks [5, 2], pixels between pupils."""

    face: NDArray[np.bool_]
    head: NDArray[np.bool_]
    box: NDArray[np.float64]
    landmarks: NDArray[np.float64]
    eyes: float


def filled(points: NDArray) -> NDArray[np.bool_]:
    hull = cv2.convexHull(points.astype(np.float32))[:, 0]
    mask = np.zeros((SIDE, SIDE), np.uint8)
    return cv2.fillConvexPoly(mask, np.round(hull * 16).astype(np.int32), 1, cv2.LINE_8, 4) > 0


def rendered_head(rng: np.random.Generator) -> Head:
    identity = draw_identity(identity_seed("hostile", int(rng.integers(1 << 30))))
    nuisance = draw_nuisance(int(rng.integers(1 << 40)), identity, widest=WIDEST_YAW)
    angles = {"yaw": rng.uniform(-WIDEST_YAW, WIDEST_YAW), "roll": rng.uniform(-WIDEST_TILT, WIDEST_TILT)}
    person = build_person(identity, replace(nuisance, pose=replace(nuisance.pose, **angles)))
    face, ears = (person.projected(part) for part in (person.outline, person.posed[person.attributes[:, EARS] > 0.5]))
    scale = FACE_HEIGHT / np.ptp(face[:, 1])
    middle = SIDE / 2 - face.mean(0) * scale
    face, ears, landmarks = (points * scale + middle for points in (face, ears, person.projected(person.landmarks)))
    return Head(
        face=filled(face),
        head=filled(np.concatenate([face, ears])),
        box=np.concatenate([face.min(0), face.max(0)]).astype(float),
        landmarks=landmarks.astype(float),
        eyes=float(np.linalg.norm(np.subtract(*person.pupils)) * scale),
    )


@pytest.fixture(scope="module")
def heads() -> list[Head]:
    rng = np.random.default_rng(11)
    return [rendered_head(rng) for _ in range(HEADS)]


def found(head: Head, rng: np.random.Generator, errors: float) -> tuple[tuple[float, ...], list[tuple[float, float]]]:
    """Box and landmarks of a head as a detector reports them, with errors in units of the detector's."""
    angle = rng.uniform(0, 2 * math.pi, 5)
    landmarks = head.landmarks + errors * LANDMARK_ERROR * head.eyes * np.stack([np.cos(angle), np.sin(angle)], 1)
    sides = np.tile(head.box[2:] - head.box[:2], 2)
    box = head.box + errors * BOX_ERROR * np.clip(rng.normal(size=4), -2, 2) * sides
    return tuple(box.tolist()), [tuple(point) for point in landmarks.tolist()]


def cover_of(box, landmarks, grow: float = GROW) -> NDArray[np.bool_]:
    cover, mask = place_cover([box], [landmarks], SIDE, SIDE, grow), np.zeros((SIDE, SIDE), bool)
    mask[cover.rows, cover.columns] = cover.mask
    return mask


@pytest.mark.parametrize("errors", [0.0, 1.0])
def test_all_of_a_face_and_little_else_is_hidden(heads, errors):
    """The union of what box and landmarks describe would take 2.7 times the area of the heads."""
    rng = np.random.default_rng(5)
    area = 0.0
    for head in heads:
        box, landmarks = found(head, rng, errors)
        mask = cover_of(box, landmarks)
        assert mask[head.face].mean() == 1
        assert mask[head.head].mean() > 0.999
        area += mask.sum() / head.head.sum() / HEADS
    assert area < 2.55


def test_box_and_landmarks_of_every_rendered_head_describe_one_head(heads):
    rng = np.random.default_rng(6)
    for head in heads:
        for _ in range(5):
            box, landmarks = found(head, rng, 1)
            assert describe_one_head(head_of_box(box, 0), head_of_landmarks(landmarks, 0))


def template_at(place: complex, scale: float, turn: float = 0.0) -> list[tuple[float, float]]:
    points = ((ARCFACE_LANDMARKS - 56) @ (1, 1j)) * scale * np.exp(1j * turn) + place
    return [(float(point.real), float(point.imag)) for point in points]


def test_a_cover_is_turned_like_its_head():
    """A tilted head's box is upright; the cover follows the head."""
    [cover] = heads_of_find((60.0, 60.0, 140.0, 140.0), template_at(100 + 100j, 1.0, turn=0.6), 0)
    assert cover.axis == pytest.approx(1j * np.exp(0.6j), abs=0.01)
    assert cover.half_axes[0] > cover.half_axes[1]


def area_of(box, landmarks, grow: float = 0.0) -> float:
    return sum(math.pi * math.prod(head.half_axes) for head in heads_of_find(box, landmarks, grow))


BOX = (100.0, 100.0, 160.0, 180.0)

finds = st.tuples(st.floats(-400, 800), st.floats(-400, 800), st.floats(0.05, 40), st.floats(0, 2 * math.pi))


@given(finds)
def test_a_cover_is_never_larger_than_two_heads_around_its_find(place):
    """Landmarks that are anywhere and of any size cannot make it larger: the box of a find bounds both."""
    x, y, scale, turn = place
    alone = area_of(BOX, ())
    assert area_of(BOX, template_at(complex(x, y), scale, turn)) <= (1 + 2.1) * alone


@given(finds)
def test_where_they_describe_one_head_the_cover_is_no_larger_than_the_larger(place):
    x, y, scale, turn = place
    landmarks = template_at(complex(x, y), scale, turn)
    box, other = head_of_box(BOX, 0), head_of_landmarks(landmarks, 0)
    if other is None or not describe_one_head(box, other):
        return
    [cover] = heads_of_find(BOX, landmarks, 0)
    along = box.along(other.axis)
    for half, one, another in zip(cover.half_axes, along, other.half_axes, strict=True):
        assert min(one, another) - 1e-9 <= half <= max(one, another) + 1e-9


@given(finds)
def test_landmarks_that_contradict_the_box_do_not_make_the_cover_smaller(place):
    x, y, scale, turn = place
    landmarks = template_at(complex(x, y), scale, turn)
    other = head_of_landmarks(landmarks, 0)
    if other is not None and describe_one_head(head_of_box(BOX, 0), other):
        return
    assert (cover_of(BOX, landmarks) >= cover_of(BOX, ())).all()


def test_landmarks_elsewhere_are_covered_as_well():
    far = template_at(300 + 300j, 0.7)
    mask = cover_of(BOX, far)
    assert mask[140, 130]
    assert all(mask[round(y), round(x)] for x, y in far)


def test_a_neighbours_landmarks_of_any_size_take_no_picture():
    """Landmarks of somebody four times as large: the cover stays as small as the find's box."""
    giant = template_at(200 + 200j, 6.0)
    assert head_of_landmarks(giant, 0).half_axes[0] > SIDE / 2
    assert cover_of(BOX, giant).mean() < 0.25
