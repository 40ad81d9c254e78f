"""One face before and after its crop is pasted, without the rest of the photograph."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from reverse_personalization.geometry.close_up import close_up
from reverse_personalization.geometry.compositing import DEFAULT_FEATHER, paste_
from reverse_personalization.geometry.face_area import face_area
from reverse_personalization.geometry.placement import Placements, place_crops
from tests.face_layout import face_at, faces_of, photograph, waves

HEIGHT, WIDTH, SIDE = 300, 420, 128


@pytest.mark.parametrize(("x", "y", "frame"), [(200.0, 150.0, 90.0), (60.0, 50.0, 110.0), (380.0, 260.0, 60.0)])
def test_a_close_up_shows_what_pasting_into_the_photograph_gives(x: float, y: float, frame: float) -> None:
    face = face_at(x, y, frame, degrees=12.0)
    [photo] = photograph(waves(9.0), HEIGHT, WIDTH)
    placed, _ = place_crops([face], 0, SIDE, 0.0, HEIGHT, WIDTH)
    placements = Placements(tuple(placed), SIDE, faces_of(HEIGHT, WIDTH, [face]))
    [crop] = photograph(waves(31.0, seed=3), SIDE, SIDE)
    before, after, shown = close_up(photo, placements, placed[0], crop)

    whole, changed = photo.clone(), torch.zeros(HEIGHT, WIDTH)
    area = face_area(np.array(face.landmarks), placed[0].to_crop, SIDE, HEIGHT, WIDTH)
    paste_(
        whole, changed, [area], [crop.numpy()], None,
        feather=DEFAULT_FEATHER, grow=0.0, colour_match=True, match_grain=True,
    )  # fmt: skip
    left, top = (round(a - b) for a, b in zip(face.box[:2], shown.box[:2], strict=True))
    rows, columns = slice(top, top + after.shape[0]), slice(left, left + after.shape[1])
    assert torch.equal(before, photo[rows, columns])
    assert (after - whole[rows, columns]).abs().max() <= 2e-3
    assert not changed[:top].any()
    assert not changed[:, :left].any()
    assert (after - before).abs().max() > 0.1
    np.testing.assert_allclose(np.array(shown.landmarks) + np.array([left, top]), face.landmarks, atol=1e-6)


def test_the_photograph_is_left_alone() -> None:
    face = face_at(200.0, 150.0, 90.0)
    [photo] = photograph(waves(9.0), HEIGHT, WIDTH)
    kept = photo.clone()
    placed, _ = place_crops([face], 0, SIDE, 0.0, HEIGHT, WIDTH)
    close_up(photo, Placements(tuple(placed), SIDE, faces_of(HEIGHT, WIDTH, [face])), placed[0], torch.ones(96, 96, 3))
    assert torch.equal(photo, kept)
