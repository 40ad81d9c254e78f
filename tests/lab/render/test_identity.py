"""Who somebody is, apart from how they look today."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lab.render.head_mesh import HAIRLINE, head_model
from lab.render.identity import ETHNICITIES, draw_identity
from lab.render.nuisance import EXPRESSIONS, draw_nuisance, without_pose
from lab.render.person import build_person
from lab.render.portrait import draw_portrait
from tests.lab.render.people import plain


def test_identity_is_the_shape_whatever_the_nuisance():
    identity = draw_identity(11)
    neutral = identity.vertices()
    looks = [draw_nuisance(seed, identity) for seed in range(12)]
    assert draw_identity(11) == identity
    assert len({(n.appearance.hair_style, n.appearance.hair_colour, n.appearance.glasses) for n in looks}) > 6
    assert len({n.appearance.skin for n in looks}) == 12
    for nuisance in looks:
        # Photos of somebody are a few years apart; beyond that, the neutral head is the same.
        assert np.abs(identity.vertices(nuisance.appearance.age) - neutral).max() < 0.003
        resting = replace(without_pose(nuisance), appearance=replace(nuisance.appearance, age=identity.age))
        outline = build_person(identity, resting).outline
        first = replace(without_pose(looks[0]), appearance=replace(looks[0].appearance, age=identity.age))
        assert np.array_equal(outline, build_person(identity, first).outline)


def test_nuisance_knows_only_sex_ethnicity_and_age():
    one, other = draw_identity(1), draw_identity(2)
    twin = replace(other, sex=one.sex, ethnicity=one.ethnicity, age=one.age)
    assert twin.morphs != one.morphs
    assert draw_nuisance(5, twin) == draw_nuisance(5, one)


def test_identities_differ_in_shape_and_are_no_caricatures():
    people = [draw_identity(seed) for seed in range(40)]
    heads = np.stack([p.vertices(40) for p in people])
    outline = np.flatnonzero(head_model().masks[0] > 0.5)  # The lips: small, central, and moved by all of the face.
    apart = np.linalg.norm(heads[:, None, outline] - heads[None, :, outline], axis=-1).mean(-1)
    assert np.median(apart[np.triu_indices(40, 1)]) > 0.004
    assert np.abs(heads - head_model().mean).max() < 0.08
    assert max(abs(m) for p in people for m in p.morphs) <= 1
    assert {p.sex for p in people} == {"male", "female"}
    assert {p.ethnicity for p in people} == set(ETHNICITIES)
    assert all(ETHNICITIES[int(np.argmax(p.mixture))] == p.ethnicity for p in people)
    assert all(20 <= p.age <= 80 for p in people)


def test_age_changes_the_head_of_the_same_person():
    identity, _ = plain(21)
    young, old = identity.vertices(22), identity.vertices(78)
    assert 0.002 < np.abs(young - old).max() < 0.05
    shown = draw_nuisance(3, identity, age=70.0)
    assert draw_portrait(identity, shown, 48).truth.attributes.age == 70.0


def test_every_expression_is_drawn():
    model = head_model()
    for name, actions in EXPRESSIONS.items():
        assert set(actions) <= set(model.action_names), name


def test_head_model_is_sane():
    model = head_model()
    assert model.nose_tip not in model.corners_of_mouth
    left, right = model.corners_of_mouth
    assert model.mean[left, 0] < -0.015 < 0.015 < model.mean[right, 0]
    assert model.mean[left, 0] == pytest.approx(-model.mean[right, 0], abs=1e-4)
    assert model.mean[:, 2].max() > HAIRLINE
    assert (Path(sys.modules["lab.render.head_mesh"].__file__).with_name("head.npz")).stat().st_size < 2_000_000
