"""Equation 5 alone: no ComfyUI, no network."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reverse_personalization.method.guidance import DEFAULT_TOWARDS, IdentityGuidance, drawn, guided, pushes_nobody
from reverse_personalization.method.target import IdentityTarget, TargetUse
from tests.golden import faces_of

SCALES = st.floats(-30, 30, allow_nan=False)
TEXT, OTHER = [[torch.zeros(1, 2, 3), {}]], [[torch.ones(1, 2, 3), {}]]


def predictions(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    first, second = (torch.randn(2, 4, 3, 3, generator=generator, dtype=torch.float64) for _ in range(2))
    return first, second


@given(SCALES, st.integers(0, 99))
def test_it_is_equation_5(g: float, seed: int) -> None:
    identity, null = predictions(seed)
    assert torch.allclose(guided(identity, null, g), g * identity + (1 - g) * null, rtol=0, atol=1e-12)


@given(SCALES, st.integers(0, 99), st.floats(0.03, 15))
def test_on_denoised_predictions_it_is_the_same_as_on_eps(g: float, seed: int, sigma: float) -> None:
    eps_identity, eps_null = predictions(seed)
    y = torch.randn(2, 4, 3, 3, generator=torch.Generator().manual_seed(100 + seed), dtype=torch.float64)
    denoised = guided(y - sigma * eps_identity, y - sigma * eps_null, g)
    assert torch.allclose(denoised, y - sigma * guided(eps_identity, eps_null, g), rtol=0, atol=1e-9)


@given(SCALES, st.integers(0, 99))
def test_two_equal_predictions_give_that_prediction_to_the_last_bit(g: float, seed: int) -> None:
    same = predictions(seed)[0].float()
    assert torch.equal(guided(same, same.clone(), g), same)


@given(SCALES, st.floats(0, 30), st.integers(0, 99), st.floats(0.03, 15))
def test_with_a_target_the_three_weights_add_up_to_1(g: float, p: float, seed: int, sigma: float) -> None:
    (identity, null), (target, y) = predictions(seed), predictions(100 + seed)
    expected = g * identity + p * target + (1 - g - p) * null
    assert torch.allclose(drawn(guided(identity, null, g), target, null, p), expected, rtol=0, atol=1e-11)
    # So it is the same on eps and on m.
    m_null, m_target = y - sigma * null, y - sigma * target
    of_m = drawn(guided(y - sigma * identity, m_null, g), m_target, m_null, p)
    assert torch.allclose(of_m, y - sigma * expected, rtol=0, atol=1e-8)


@given(SCALES, st.integers(0, 99))
def test_a_target_that_is_nobody_or_at_scale_0_changes_no_bit(g: float, seed: int) -> None:
    identity, null = predictions(seed)
    away = guided(identity, null, g)
    assert torch.equal(drawn(away, null.clone(), null, 7.0), away)
    assert torch.equal(drawn(away, identity, null, 0.0), away)


@given(SCALES, st.floats(0, 30), st.floats(0, 30), st.integers(0, 99))
def test_the_pull_is_linear_in_its_scale(g: float, p: float, q: float, seed: int) -> None:
    (identity, null), (target, _) = predictions(seed), predictions(100 + seed)
    away = guided(identity, null, g)
    both = drawn(drawn(away, target, null, p), target, null, q)
    assert torch.allclose(both, drawn(away, target, null, p + q), rtol=0, atol=1e-11)


def target_for(own: torch.Tensor, embeddings: torch.Tensor) -> IdentityTarget:
    return IdentityTarget("synthetic", "golden", own, embeddings)


def test_every_face_finds_its_own_target_and_nobody_is_drawn_nowhere() -> None:
    own, whom = torch.eye(3, 512), torch.eye(3, 512).flip(1)
    guidance = IdentityGuidance(-10.0, identity_scale=0.5, target=target_for(own, whom), towards=2.0)
    faces = faces_of(torch.stack([own[2], torch.zeros(512), own[0], own[2]]), 64, 64)
    expected = torch.stack([whom[2], torch.zeros(512), whom[0], whom[2]]) * 0.5
    targets = guidance.targets(faces)
    assert targets is not None
    assert torch.equal(targets, expected)
    assert guidance.target is not None
    assert guidance.target.use(guidance.p) == TargetUse("synthetic", 2.0)


def test_without_a_pull_there_are_no_targets() -> None:
    own = torch.eye(1, 512)
    faces = faces_of(own, 64, 64)
    at_zero = IdentityGuidance(-10.0, target=target_for(own, own), towards=0.0)
    assert IdentityGuidance(-10.0).targets(faces) is None
    assert at_zero.targets(faces) is None
    assert target_for(own, own).use(0.0) is None
    assert (IdentityGuidance(-10.0).p, at_zero.p, IdentityGuidance(-10.0).towards) == (0.0, 0.0, DEFAULT_TOWARDS)


def test_a_target_for_others_or_of_another_recogniser_is_refused() -> None:
    own = torch.eye(2, 512)
    target = target_for(own[:1], own[1:])
    with pytest.raises(ValueError, match=r"for 1 faces, but 1 of the 2 faces .* connect the same faces"):
        target.of(faces_of(own, 64, 64))
    with pytest.raises(ValueError, match=r'embeddings of "other", but .* "golden"; use one model pack'):
        IdentityTarget("mix", "other", own, own).of(faces_of(own, 64, 64))


@pytest.mark.parametrize("towards", [-1.0, float("nan")])
def test_a_pull_that_pushes_is_refused(towards: float) -> None:
    with pytest.raises(ValueError, match="expected 0 or more"):
        IdentityGuidance(-10.0, towards=towards)


def test_a_target_without_identity_is_refused() -> None:
    own = torch.eye(1, 512)
    with pytest.raises(ValueError, match="nobody is drawn towards it"):
        IdentityGuidance(0.0, identity_scale=0.0, target=target_for(own, own), towards=1.0)
    assert pushes_nobody(0.0, 0.0, 0.0) is None


@given(SCALES.filter(bool))
def test_a_scale_without_identity_is_refused(g: float) -> None:
    assert "photograph comes out" in (pushes_nobody(g, 0.0) or "")
    with pytest.raises(ValueError, match=r"identity_scale is 0 .* Set identity_scale to 1"):
        IdentityGuidance(g, identity_scale=0.0)
    assert pushes_nobody(g, 0.05) is None


def test_scale_zero_asks_for_no_identity() -> None:
    assert pushes_nobody(0.0, 0.0) is None
    assert IdentityGuidance(0.0, identity_scale=0.0).scale == 0.0


def test_texts_that_are_left_open_are_those_of_the_inversion() -> None:
    assert IdentityGuidance(-10.0).texts(TEXT) == (TEXT, TEXT)
    assert IdentityGuidance(-10.0, attributes=OTHER).texts(TEXT) == (TEXT, OTHER)
    assert IdentityGuidance(-10.0, source=OTHER).texts(TEXT) == (OTHER, OTHER)
    assert IdentityGuidance(-10.0, attributes=TEXT, source=OTHER).texts(TEXT) == (OTHER, TEXT)


def test_an_error_message_of_the_host_shows_no_texts() -> None:
    target = IdentityTarget("synthetic", "golden", torch.eye(1, 512), torch.eye(1, 512))
    assert "tensor" not in repr(IdentityGuidance(-10.0, TEXT, 1.0, OTHER, target))
