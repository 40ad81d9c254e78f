"""The pixels that models take."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from evaluate.crops import cropped, prepared
from evaluate.declaration import Input
from reverse_personalization.geometry.faces import Detection
from reverse_personalization.geometry.template import ARCFACE_LANDMARKS, FFHQ_LANDMARKS

WHOLE = Input((4, 6), "whole", 1.0, "RGB", 255.0, (0.0,), (1.0,), "NHWC")


def picture(height: int, width: int) -> np.ndarray:
    """A smooth picture, so that resampling changes little."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 255 / width, y * 255 / height, (x + y) * 255 / (width + height)], -1).astype(np.uint8)


def face_at(landmarks: np.ndarray) -> Detection:
    (x0, y0), (x1, y1) = landmarks.min(0), landmarks.max(0)
    return Detection((x0, y0, x1, y1), tuple((x, y) for x, y in landmarks.tolist()), 0.9)


def test_channels_levels_and_layout() -> None:
    shown = picture(4, 6)
    assert (prepared(WHOLE, shown, None)[0] == shown).all()
    declared = replace(WHOLE, channels="BGR", white=1.0, mean=(0.1, 0.2, 0.3), std=(0.5, 1.0, 2.0), layout="NCHW")
    made = prepared(declared, shown, None)
    assert (made.dtype, made.shape) == (np.float32, (1, 3, 4, 6))
    # The levels of mean and std are in the order of the channels, so the first is blue's.
    assert made[0, 0] == pytest.approx((shown[..., 2] / 255 - 0.1) / 0.5, abs=1e-6)
    assert made[0, 2] == pytest.approx((shown[..., 0] / 255 - 0.3) / 2.0, abs=1e-6)


def test_an_aligned_crop_is_insightface_s() -> None:
    align = pytest.importorskip("insightface.utils.face_align")
    shown = picture(300, 300)
    landmarks = ARCFACE_LANDMARKS * 1.7 + (40, 20)
    declared = replace(WHOLE, crop="aligned", size=(112, 112))
    expected = align.norm_crop(shown, landmarks.astype(np.float32))
    assert (cropped(declared, shown, face_at(landmarks)) == expected).all()


def test_an_ffhq_crop_has_the_face_where_ffhq_has_it() -> None:
    landmarks = FFHQ_LANDMARKS * 200 + (50, 30)
    shown = picture(300, 300)
    made = cropped(replace(WHOLE, crop="ffhq", size=(100, 100)), shown, face_at(landmarks))
    # The crop is the square of 200 pixels at (50, 30), at half the size.
    assert made[10:90, 10:90] == pytest.approx(shown[31:231:2, 51:251:2].astype(np.float32)[10:90, 10:90], abs=2)


def test_a_box_is_enlarged_and_the_edge_repeated() -> None:
    shown = picture(40, 40)
    face = Detection((0, 0, 10, 20), ((0.0, 0.0),) * 5, 0.9)
    made = cropped(replace(WHOLE, crop="box", factor=2.0, size=(40, 40)), shown, face)
    # The middle is (5, 10) and the side 40, so the crop begins at (-15, -10).
    assert (made[10:, 15:] == shown[:30, :25]).all()
    assert (made[:10] == made[10]).all()
    assert (made[:, :15] == made[:, 15:16]).all()


def test_a_crop_of_a_face_needs_one() -> None:
    with pytest.raises(ValueError, match="needs a face"):
        cropped(replace(WHOLE, crop="aligned", size=(112, 112)), picture(9, 9), None)
