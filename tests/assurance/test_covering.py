"""Covers: the head they hide, the pixels they leave, and how much of a face remains under them."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reverse_personalization.assurance.covering import MAX_MOSAIC_BLOCKS, METHODS, SOLID_LEVEL, cover_
from reverse_personalization.geometry.cover_outline import Ellipse, head_of_landmarks, place_cover
from reverse_personalization.geometry.template import ARCFACE_LANDMARKS

BOX = (100.0, 80.0, 200.0, 220.0)

# Places of an average head in the frame of ARCFACE_LANDMARKS: 1 mm is 0.56 of its pixels (pupils 63 mm apart).
MILLIMETRE = 35.24 / 63
EYES = complex(55.9, 51.6)
HEAD = {
    "hairline": EYES - 70j * MILLIMETRE,
    "chin": EYES + 115j * MILLIMETRE,
    "ear": EYES + (-88 + 20j) * MILLIMETRE,
    "other ear": EYES + (88 + 20j) * MILLIMETRE,
    "temple": EYES + (-65 - 40j) * MILLIMETRE,
    "jaw": EYES + (-55 + 75j) * MILLIMETRE,
}


def landmarks_at(scale: float, turn: float, place: complex) -> tuple[tuple[float, float], ...]:
    points = (ARCFACE_LANDMARKS @ (1, 1j) - EYES) * scale * np.exp(1j * turn) + place
    return tuple((float(point.real), float(point.imag)) for point in points)


def noise(height: int, width: int, channels: int = 3) -> torch.Tensor:
    return torch.rand(height, width, channels, generator=torch.Generator().manual_seed(0))


def full_mask(cover, height: int, width: int) -> np.ndarray:
    mask = np.zeros((height, width), bool)
    mask[cover.rows, cover.columns] = cover.mask
    return mask


@given(st.floats(-50, 150), st.floats(-50, 150), st.floats(0, 2 * math.pi), st.floats(0.6, 99), st.floats(0.6, 99))
def test_spans_are_the_ellipse(x, y, turn, a, b):
    """Every pixel whose centre lies inside is covered, and none that lies two pixels outside."""
    ellipse = Ellipse(complex(x, y), complex(np.exp(1j * turn)), (a, b))
    rows, columns = np.arange(100.0), np.arange(80.0)
    first, last = ellipse.row_spans(rows)
    covered = (columns >= first[:, None]) & (columns <= last[:, None])
    offset = (columns + 1j * rows[:, None] - ellipse.centre) * ellipse.axis.conjugate()
    assert covered[(offset.real / a) ** 2 + (offset.imag / b) ** 2 < 0.999].all()
    # The curve two pixels outside an ellipse is an ellipse only where neither is thin.
    if min(a, b) > 20:
        assert not covered[(offset.real / (a + 2)) ** 2 + (offset.imag / (b + 2)) ** 2 > 1.001].any()


@given(st.floats(0.2, 4), st.floats(0, 2 * math.pi))
def test_landmarks_alone_hide_the_whole_head_at_any_turn(scale, turn):
    ellipse = head_of_landmarks(landmarks_at(scale, turn, 300 + 200j), grow=0)
    for place in HEAD.values():
        offset = ((place - EYES) * scale * np.exp(1j * turn) + 300 + 200j - ellipse.centre) * ellipse.axis.conjugate()
        assert (offset.real / ellipse.half_axes[0]) ** 2 + (offset.imag / ellipse.half_axes[1]) ** 2 < 1


def test_box_alone_hides_the_whole_head():
    """A detected box reaches from the middle of the forehead to the chin and from cheek to cheek."""
    scale = 3
    corners = [(EYES + (-70 - 50j) * MILLIMETRE) * scale, (EYES + (70 + 115j) * MILLIMETRE) * scale]
    box = (corners[0].real, corners[0].imag, corners[1].real, corners[1].imag)
    mask = full_mask(place_cover([box], [], 500, 500, grow=0), 500, 500)
    for name, place in HEAD.items():
        x, y = place.real * scale, place.imag * scale
        assert mask[round(y), round(x)], name


def test_growing_covers_more_and_never_less():
    masks = [full_mask(place_cover([BOX], [landmarks_at(1, 0.3, 150 + 140j)], 300, 300, g), 300, 300) for g in (0, 0.5)]
    assert (masks[1] >= masks[0]).all()
    assert masks[1].sum() > 1.5 * masks[0].sum()


@pytest.mark.parametrize(
    "landmarks",
    [
        pytest.param([], id="none"),
        pytest.param([(5.0, 5.0)] * 5, id="one point"),
        pytest.param([(math.nan, 1.0)] * 5, id="not a number"),
        pytest.param([(1.0, 2.0)] * 3, id="three"),
    ],
)
def test_degenerate_landmarks_leave_the_box(landmarks):
    alone = place_cover([BOX], [], 300, 300, grow=0)
    cover = place_cover([BOX], [landmarks], 300, 300, grow=0)
    assert np.array_equal(full_mask(alone, 300, 300), full_mask(cover, 300, 300))


@given(st.lists(st.tuples(st.floats(), st.floats()), min_size=5, max_size=5))
def test_no_landmarks_make_a_cover_smaller(landmarks):
    box = (30.0, 20.0, 60.0, 60.0)
    alone = full_mask(place_cover([box], [], 90, 80, grow=0), 90, 80)
    assert (full_mask(place_cover([box], [landmarks], 90, 80, grow=0), 90, 80) >= alone).all()


def test_mirrored_landmarks_lie_over_the_same_head():
    """A mirrored search may report the eyes swapped; no FFHQ crop can be aligned to such landmarks."""
    points = landmarks_at(2, 0.4, 200 + 200j)
    mirrored = [points[1], points[0], points[2], points[4], points[3]]
    plain, other = head_of_landmarks(points, 0), head_of_landmarks(mirrored, 0)
    assert other.centre == pytest.approx(plain.centre)
    assert other.half_axes == pytest.approx(plain.half_axes)
    assert abs((other.axis / plain.axis).imag) < 1e-6


def test_original_and_result_are_both_covered():
    other = (400.0, 300.0, 460.0, 380.0)
    mask = full_mask(place_cover([BOX, other], [], 500, 600, grow=0), 500, 600)
    assert mask[150, 150]
    assert mask[340, 430]
    assert not mask[450, 100]


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ((10.0, 10.0, math.nan, 30.0), "x0 < x1"),
        ((10.0, 10.0, math.inf, 30.0), "within 1000000"),
        ((30.0, 10.0, 10.0, 30.0), "x0 < x1"),
        ((10.0, 10.0, 10.0, 30.0), "x0 < x1"),
        ((1000.0, 10.0, 1020.0, 30.0), "outside the picture of 300x200"),
    ],
)
def test_faces_that_are_nowhere_are_refused(box, message):
    with pytest.raises(ValueError, match=message):
        place_cover([box], [], 200, 300, grow=0)


def test_a_face_without_a_box_is_refused():
    with pytest.raises(ValueError, match="it has no box"):
        place_cover([], [landmarks_at(1, 0, 50 + 50j)], 200, 300, grow=0)


PLACES = {
    "inside": BOX,
    "cut by the left border": (-60.0, 50.0, 40.0, 190.0),
    "cut by the corner": (250.0, 180.0, 350.0, 320.0),
    "larger than the picture": (-300.0, -300.0, 700.0, 900.0),
    "three pixels": (10.0, 10.0, 13.0, 13.0),
}


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("box", PLACES.values(), ids=PLACES.keys())
def test_only_pixels_under_the_cover_change(channels, method, box):
    before = noise(240, 300, channels)
    image, cover = before.clone(), place_cover([box], [], 240, 300, grow=0.1)
    cover_(image, cover, method)
    mask = torch.from_numpy(full_mask(cover, 240, 300))
    colours = min(channels, 3)
    assert torch.equal(image[~mask], before[~mask])
    assert torch.equal(image[..., colours:], before[..., colours:])
    assert (image[..., :colours][mask] != before[..., :colours][mask]).float().mean() > 0.9
    assert image.min() >= 0
    assert image.max() <= 1
    if method == "solid":
        assert (image[..., :colours][mask] == SOLID_LEVEL).all()


def test_mosaic_has_few_blocks_each_of_one_colour():
    image, cover = noise(500, 500), place_cover([(150.0, 150.0, 350.0, 400.0)], [], 500, 500, grow=0)
    cover_(image, cover, "mosaic")
    under, mask = image[cover.rows, cover.columns], torch.from_numpy(cover.mask)
    row, column = under.shape[0] // 2, under.shape[1] // 2
    for line in (under[row][mask[row]], under[:, column][mask[:, column]]):
        changes = (line[1:] != line[:-1]).any(dim=1).sum().item()
        assert 1 < changes < MAX_MOSAIC_BLOCKS


@pytest.mark.parametrize("method", ["mosaic", "blur"])
@pytest.mark.parametrize("side", [24, 90, 400])
def test_eyes_and_mouth_are_gone_at_every_size(method, side):
    """Stripes as fine as an eye (an eighth of a face) lose nearly all contrast; a fifth would still be visible."""
    size = 3 * side
    wave = torch.sin(torch.arange(size) * 2 * math.pi * 8 / side) / 2 + 0.5
    image = wave.expand(size, size)[..., None].repeat(1, 1, 3)
    cover = place_cover([(float(side), float(side), 2.0 * side, 2.0 * side)], [], size, size, grow=0)
    cover_(image, cover, method)
    inner = image[side + side // 4 : 2 * side - side // 4, side + side // 4 : 2 * side - side // 4]
    assert inner.std() < 0.2 * wave.std()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_other_dtypes_are_covered_too(dtype):
    for method in METHODS:
        image = noise(60, 60).to(dtype)
        before = image.clone()
        cover_(image, place_cover([(20.0, 20.0, 40.0, 40.0)], [], 60, 60, grow=0), method)
        assert image.dtype == dtype
        assert (image != before).any()


@pytest.mark.parametrize("method", METHODS)
def test_a_large_face_in_a_large_picture_takes_well_under_a_second(method):
    image = torch.full((6000, 8000, 3), 0.5)
    box = (3000.0, 2000.0, 3800.0, 3100.0)
    started = time.process_time()
    cover_(image, place_cover([box], [landmarks_at(9, 0.2, 3400 + 2450j)], 6000, 8000, grow=0.15), method)
    assert time.process_time() - started < 0.8


def test_one_pixel():
    image = torch.ones(1, 1, 3)
    cover_(image, place_cover([(0.0, 0.0, 1.0, 1.0)], [], 1, 1, grow=0), "solid")
    assert image.tolist() == [[[SOLID_LEVEL] * 3]]
