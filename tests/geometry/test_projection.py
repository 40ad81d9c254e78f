"""Cropping and pasting undo each other, and what is finer than the photograph does not turn into moire."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reverse_personalization.geometry.alignment import Window, crop_transform, inverted
from reverse_personalization.geometry.compositing import pasted_content
from reverse_personalization.geometry.cropping import take_crops
from reverse_personalization.geometry.face_area import FaceArea, face_area
from reverse_personalization.geometry.projection import project
from reverse_personalization.geometry.resampling import resample
from tests.face_layout import landmarks_at

angles = st.floats(-180, 180)


def textured(height: int, width: int, seed: int = 0) -> np.ndarray:
    """A picture with detail of every size, as sharp as photographs are, that also touches black and white."""
    random = np.random.default_rng(seed)
    picture = np.full((height, width, 3), 0.5, np.float32)
    for sigma, amount in ((0.6, 0.05), (1.5, 0.1), (6.0, 0.3)):
        noise = random.standard_normal((height, width, 3)).astype(np.float32)
        smooth = cv2.GaussianBlur(noise, (0, 0), sigma)
        picture += amount * smooth / smooth.std()
    return np.clip(picture, 0, 1)


def placed(x: float, y: float, frame: float, degrees: float, side: int, height: int, width: int) -> FaceArea:
    landmarks = landmarks_at(x, y, frame, degrees)
    return face_area(landmarks, crop_transform(landmarks, side), side, height, width)


def round_trip(photo: np.ndarray, area: FaceArea, bits: int = 0) -> tuple[float, float]:
    """Part of the Laplacian's variance that is kept in the face's core, and the mean change there in levels."""
    (crop,) = take_crops(photo, [area], True)
    if bits:
        crop = np.round(crop * (2**bits - 1)) / np.float32(2**bits - 1)
    content = np.clip(pasted_content(crop, area, area.window, *photo.shape[:2]), 0, 1)
    core = area.distance(area.window) <= 1
    back = photo.copy()
    back[area.window.slices][core] = content[core]
    before, after = (cv2.Laplacian(one, cv2.CV_32F)[area.window.slices][core].var() for one in (photo, back))
    return after / before, 255 * np.abs(back - photo)[area.window.slices][core].mean()


@settings(max_examples=25, deadline=None)
@given(
    x=st.floats(0, 200), y=st.floats(0, 160), frame=st.floats(40, 330), degrees=angles,
    scale=st.floats(2**0.5, 12), seed=st.integers(0, 9),
)  # fmt: skip
def test_enlarged_crop_gives_back_all_detail(x, y, frame, degrees, scale, seed):
    """Any turn, size and place, also partly outside; from the square root of 2 a turned crop holds all detail."""
    photo = textured(160, 200, seed)
    side = max(8, min(int(np.ceil(frame * scale)), 640))
    if side / frame < 2**0.5:
        frame = side / 2**0.5
    area = placed(x, y, frame, degrees, side, 160, 200)
    if (area.distance(area.window) <= 1).sum() < 50:
        return
    for bits in (0, 8):
        kept, change = round_trip(photo, area, bits)
        assert 0.95 < kept < 1.05
        assert change < 0.5


@settings(max_examples=10, deadline=None)
@given(dx=st.floats(-0.5, 0.5), dy=st.floats(-0.5, 0.5), scale=st.floats(1.1, 1.4), quarter=st.integers(0, 3))
def test_upright_crop_that_is_a_little_enlarged_gives_back_all_detail(dx, dy, scale, quarter):
    """At the same scale, half a pixel away, the finest detail has no place in the crop (docs/sharpness.md)."""
    kept, change = round_trip(
        textured(220, 220), placed(110 + dx, 110 + dy, 200, 90 * quarter, int(200 * scale), 220, 220)
    )
    assert 0.95 < kept < 1.05
    assert change < 0.5


@pytest.mark.parametrize(("shift", "least"), [(0, 0.999), (0.25, 0.98), (0.5, 0.8)])
def test_crop_of_the_very_same_scale_lacks_at_most_what_alternates_between_pixels(shift, least):
    """Half a pixel aside, a crop of scale 1 sees nothing of stripes of two pixels; nobody could give them back."""
    kept, change = round_trip(textured(220, 220), placed(110 + shift, 110 + shift, 200, 0, 200, 220, 220))
    assert least < kept < 1.01
    assert change < 2


@pytest.mark.parametrize("side", [64, 128, 192])
def test_shrunk_crop_is_as_sharp_as_its_pixels_allow(side):
    """What comes back from a smaller crop keeps nearly all that such pixels can hold: the disc of their frequencies."""
    photo, scale = textured(256, 256), side / 256
    (crop,) = take_crops(photo, [placed(128, 128, 256, 0, side, 256, 256)], True)
    back = resample(
        crop, np.array([[1 / scale, 0, (1 / scale - 1) / 2], [0, 1 / scale, (1 / scale - 1) / 2]]), 256, 256
    )
    y, x = np.meshgrid(np.fft.fftfreq(256), np.fft.fftfreq(256), indexing="ij")
    held = np.hypot(x, y) < 0.4 * scale
    middle = np.hanning(256)[:, None, None] * np.hanning(256)[None, :, None]
    before, after = (np.abs(np.fft.fft2(middle * one, axes=(0, 1)))[held] ** 2 for one in (photo, back))
    assert after.sum() == pytest.approx(before.sum(), rel=0.01)
    averaged = resample(photo, np.array([[scale, 0, (scale - 1) / 2], [0, scale, (scale - 1) / 2]]), side, side)
    assert np.abs(np.diff(crop, axis=1)).mean() > 1.05 * np.abs(np.diff(averaged, axis=1)).mean()


@pytest.mark.parametrize("degrees", [0, 20, 45])
@pytest.mark.parametrize("scale", [2.3, 3.3, 8.0])
def test_generated_detail_does_not_turn_into_moire(scale, degrees):
    """Stripes of 0.9 to 2 a pixel of the photograph: fainter than a plain average leaves them, or nearly invisible."""
    size, turn = 60, np.exp(1j * np.radians(degrees)) / scale
    side = int(1.4 * size * scale)
    offset = (size - 1) / 2 - turn * (1 + 1j) * (side - 1) / 2
    transform = np.array([[turn.real, -turn.imag, offset.real], [turn.imag, turn.real, offset.imag]])
    for rate in (0.9, 1.0, 1.2, 1.5, 2.0):
        if rate / scale > 0.48:
            continue  # the crop cannot show them
        stripes = 0.5 + 0.5 * np.sin(2 * np.pi * rate / scale * np.arange(side), dtype=np.float32)
        source = np.broadcast_to(stripes[None, :, None], (side, side, 1)).astype(np.float32)
        inner = np.s_[15:-15, 15:-15]
        left = project(source, transform, size, size)[inner].std()
        # What an average over one pixel of the photograph leaves.
        box = abs(np.sinc(rate * np.cos(np.radians(degrees))) * np.sinc(rate * np.sin(np.radians(degrees)))) / 8**0.5
        assert left < max(0.8 * box, 0.03)


@pytest.mark.parametrize("scale", [2.5, 6.0])
def test_zone_plate_is_no_less_clean_than_an_average(scale):
    """Rings of every fineness. Beyond the photograph's own fineness there is nothing, below it all of them."""
    size = 120
    side = int(size * scale)
    y, x = (np.mgrid[:side, :side] - (side - 1) / 2) / scale
    radius = np.hypot(x, y)
    rings = (0.5 + 0.5 * np.cos(np.pi * 2.4 / size * radius**2)).astype(np.float32)[..., None]
    transform = np.array([[1 / scale, 0, (1 / scale - 1) / 2], [0, 1 / scale, (1 / scale - 1) / 2]])
    sharp = project(rings, transform, size, size)[..., 0] - 0.5
    box = cv2.resize(rings, (size, size), interpolation=cv2.INTER_AREA) - 0.5
    far = np.hypot(*(np.mgrid[:size, :size] - (size - 1) / 2))
    # The rings' rate is far / 50 a pixel of the photograph.
    fine = (far > 46) & (far < 58)
    assert sharp[fine].std() < 0.8 * box[fine].std()
    true = 0.5 * np.cos(np.pi * 2.4 / size * far**2)
    assert np.abs(sharp - true)[far < 18].mean() < 0.3 * np.abs(box - true)[far < 18].mean()


@given(level=st.floats(0, 1, width=32), scale=st.floats(1, 30), degrees=angles)
@settings(max_examples=20, deadline=None)
def test_even_picture_stays_exactly_even(level, scale, degrees):
    turn = scale * np.exp(1j * np.radians(degrees))
    to_source = np.array([[turn.real, -turn.imag, 40], [turn.imag, turn.real, 35]])
    shrunk = project(np.full((70, 80, 3), level, np.float32), inverted(to_source), 20, 30)
    assert (shrunk == np.float32(level)).all()


def test_what_is_not_shown_has_no_part_in_the_result():
    random = np.random.default_rng(3)
    source = random.random((80, 80, 3), np.float32)
    shown = (np.arange(80)[None, :] > 30).astype(np.float32).repeat(80, 0)
    other = np.where(shown[..., None] > 0, source, random.random((80, 80, 3), np.float32))
    transform = np.array([[0.5, 0, 0], [0, 0.5, 0]])
    first, second = (project(one, transform, 40, 40, shown) for one in (source, other))
    assert (first[:, 17:] == second[:, 17:]).all()
    whole = project(other, transform, 40, 40)
    assert not (first == whole).all()


def test_hidden_neighbour_does_not_ring_into_the_core():
    """A neighbour is blurred in the crop: up to where its face begins, the photograph comes back."""
    photo = textured(180, 220)
    areas = [placed(x, 90, 80, 0, 200, 180, 220) for x in (70, 118)]
    for area, crop in zip(areas, take_crops(photo, areas, True), strict=True):
        window = area.window.intersection(Window(0, 0, 220, 180))
        content = pasted_content(crop, area, window, 180, 220)
        other = areas[0] if area is areas[1] else areas[1]
        own = (area.distance(window) <= 1) & (other.distance(window) > 1.3)
        assert 255 * np.abs(content - photo[window.slices])[own].max() < 6
        assert 255 * np.abs(content - photo[window.slices])[own].mean() < 0.5
