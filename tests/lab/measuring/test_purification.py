"""Purifying pictures: each way by what it must change and keep, and a made-up trap that it must spring."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
import torch

from lab.measuring.purification import (
    NOISE_LEVELS,
    PURIFICATIONS,
    blurred,
    compressed,
    fixed_noise,
    largest,
    purify,
)
from lab.measuring.scores import similarities

SIDE = 32
CHECKS = np.indices((SIDE, SIDE)).sum(0) % 2 * 2.0 - 1


def face(seed: int) -> np.ndarray:
    """A smooth picture [1, SIDE, SIDE, 3]."""
    rough = np.random.default_rng(seed).normal(size=(SIDE, SIDE, 3))
    smooth = cv2.GaussianBlur(rough, (0, 0), 4)
    return np.clip(128 + 30 * smooth / smooth.std(), 0, 255).astype(np.uint8)[None]


def embedding(pictures: np.ndarray) -> np.ndarray:
    """Of a recogniser that looks at fine patterns as well: every pixel, with unit length, [N, D]."""
    rows = pictures.reshape(len(pictures), -1).astype(np.float64)
    rows = rows - rows.mean(1, keepdims=True)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def after_purification(original: np.ndarray, result: np.ndarray) -> dict[str, float]:
    """Similarity by purification, with a denoiser that takes all fine patterns for noise."""
    purified = purify(result, lambda pictures, sigma: blurred(pictures, 2.0))
    return {name: similarities(embedding(original), embedding(one)).item() for name, one in purified.items()}


def test_a_pattern_over_the_same_face_is_seen_through_and_another_face_stays_another() -> None:
    original, stranger = face(0), face(1)
    fooled = np.clip(original + 60 * CHECKS[..., None], 0, 255).astype(np.uint8)
    assert similarities(embedding(original), embedding(fooled))[0] < 0.6
    after = after_purification(original, fooled)
    assert set(after) == set(PURIFICATIONS)
    assert all(after[name] > 0.9 for name in ("noise_low", "noise_high", "blur"))
    other = after_purification(original, stranger)
    before = similarities(embedding(original), embedding(stranger))[0]
    assert all(value < before + 0.15 for value in other.values())


def test_noise_is_added_at_both_levels() -> None:
    seen = []
    purify(face(0), lambda pictures, sigma: (seen.append(sigma), pictures)[1])
    assert seen == list(NOISE_LEVELS.values()) == [0.3, 0.57]


def test_a_jpeg_loses_the_more_the_lower_its_quality() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (2, SIDE, SIDE, 3), dtype=np.uint8)
    errors = [np.abs(compressed(picture, quality).astype(int) - picture).mean() for quality in (95, 60, 10)]
    assert 0 < errors[0] < errors[1] < errors[2]
    # The channels keep their order.
    red = np.full((1, SIDE, SIDE, 3), (250, 10, 10), np.uint8)
    assert np.abs(compressed(red, 60).astype(int) - red).max() < 8


def test_the_blur_has_the_width_that_is_asked_for() -> None:
    dot = np.zeros((1, SIDE, SIDE, 3), np.uint8)
    dot[0, 16, 16] = 255
    spread = blurred(dot, 2.0)
    assert spread[0, 16, 16, 0] == pytest.approx(255 / (2 * math.pi * 4), abs=1)
    assert spread[0, 16, 18, 0] == pytest.approx(255 / (2 * math.pi * 4) * math.exp(-0.5), abs=1)


def test_a_person_has_one_noise_and_another_person_another() -> None:
    shape = torch.Size([1, 4, 16, 16])
    assert torch.equal(fixed_noise(7, shape), fixed_noise(7, shape))
    other = torch.corrcoef(torch.stack([fixed_noise(7, shape).flatten(), fixed_noise(8, shape).flatten()]))[0, 1]
    assert abs(other) < 0.15
    assert fixed_noise(7, shape).std() == pytest.approx(1, abs=0.1)


def test_the_largest_similarity_is_each_persons_own_and_leaves_out_missing_faces() -> None:
    found = largest({"jpeg": np.array([0.1, 0.7, np.nan, np.nan]), "blur": np.array([0.4, 0.2, 0.3, np.nan])})
    assert found[:3].tolist() == [0.4, 0.7, 0.3]
    assert np.isnan(found[3])
    with pytest.raises(ValueError, match="no purifications"):
        largest({})
