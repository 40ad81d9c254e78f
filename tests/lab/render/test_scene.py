"""Scenes with several people, and their backgrounds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lab.render.background import KINDS, draw_background
from lab.render.scene import SMALLEST_FACE, Placement, SceneSpec, draw_scene, draw_scene_spec
from lab.render.seeds import split_of
from tests.lab.render.people import plain


@pytest.mark.parametrize("kind", KINDS)
def test_backgrounds_are_muted(kind):
    for seed in range(4):
        image = draw_background(seed, 64, 96, kind=kind)
        assert image.shape == (64, 96, 3)
        assert 0 <= image.min() <= image.max() <= 1
        assert (image.max(-1) - image.min(-1)).mean() < 0.2
        assert np.abs(np.diff(image, axis=1)).mean() < 0.05


def two_people(near_height: float, shift: float) -> SceneSpec:
    identity, nuisance = plain(81)
    other, other_nuisance = plain(82)
    nuisance = replace(nuisance, appearance=replace(nuisance.appearance, hair_style="buzz"))
    people = (
        Placement(other, other_nuisance, 100, 80, 60),
        Placement(identity, nuisance, 100 + shift, 80, near_height),
    )
    return SceneSpec(1, 200, 320, 0.4, 0.01, (1.0, 1.0, 1.0), people)


def test_the_nearer_face_is_in_front():
    alone = draw_scene(two_people(70, 190)).truths
    assert alone[0].visible == pytest.approx(1, abs=0.01)
    far, near = draw_scene(two_people(70, 30)).truths
    assert near.visible == 1
    assert 0.1 < far.visible < 0.9
    assert far.mask.sum() == pytest.approx(far.visible * alone[0].mask.sum(), rel=0.1)
    assert not (far.mask & near.mask).any()
    assert far.box == alone[0].box
    hidden, _ = draw_scene(two_people(90, 0)).truths
    assert hidden.visible < 0.02


def test_scene_sizes_and_truth():
    seen, people = [], []
    for seed in range(12):
        spec = draw_scene_spec(seed, 160, 240, split="test")
        people.append(len(spec.people))
        assert [p.face_height for p in spec.people] == sorted(p.face_height for p in spec.people)
        assert all(split_of(p.identity.seed) == "test" for p in spec.people)
        drawn = draw_scene(spec)
        assert drawn.image.shape == (160, 240, 3)
        assert len(drawn.truths) == len(spec.people)
        for place, truth in zip(spec.people, drawn.truths, strict=True):
            assert abs(truth.yaw) <= 45
            assert 0 <= truth.visible <= 1
            if truth.inside == 1:
                assert truth.box[3] - truth.box[1] == pytest.approx(place.face_height, rel=1e-3)
            if truth.visible > 0.95 and truth.inside == 1:
                assert truth.mask.any()
            seen.append(place.face_height)
    assert min(seen) >= SMALLEST_FACE
    assert max(seen) > 3 * SMALLEST_FACE
    assert max(people) >= 4


def test_a_scene_without_people_is_its_background():
    spec = draw_scene_spec(3, 96, 128, people=0)
    drawn = draw_scene(spec)
    assert drawn.truths == ()
    expected = draw_background(3, 96, 128, blur=spec.blur, horizon=spec.horizon) * np.array(spec.balance)
    assert np.abs(drawn.image / 255 - np.clip(expected, 0, 1)).max() < 0.01
    assert any(not draw_scene_spec(seed, 96, 128).people for seed in range(40))
