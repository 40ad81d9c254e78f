"""Faces made flat: only they change, and nothing of them stays but their mean colour."""

from __future__ import annotations

import numpy as np
import pytest

from reverse_personalization.geometry.faces import Detection
from reverse_personalization.geometry.flat_faces import without_faces


def face(x: float, y: float, side: float = 40.0) -> Detection:
    points = ((0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8))
    return Detection((x, y, x + side, y + side), tuple((x + u * side, y + v * side) for u, v in points), 0.9)


def test_a_face_becomes_one_colour_and_the_rest_stays() -> None:
    picture = np.random.default_rng(1).integers(0, 256, (120, 200, 3), np.uint8)
    before = picture.copy()
    flat = without_faces(picture, [[face(30, 40)], [face(130, 40), face(134, 40)]])
    assert (picture == before).all(), "the picture itself is not touched"
    for x, y in ((50, 60), (150, 60)):
        patch = flat[y - 12 : y + 13, x - 12 : x + 13].reshape(-1, 3)
        assert len(np.unique(patch, axis=0)) == 1
        assert patch[0].astype(float) == pytest.approx([127.5] * 3, abs=10)
    assert (flat[:30] == before[:30]).all()
    assert (flat[:, 90:110] == before[:, 90:110]).all()
    # Corners of the box belong to the hair, not to the face.
    assert (flat[41, 31] == before[41, 31]).all()


def test_without_faces_nothing_changes() -> None:
    picture = np.random.default_rng(1).integers(0, 256, (12, 20, 3), np.uint8)
    assert (without_faces(picture, []) == picture).all()
