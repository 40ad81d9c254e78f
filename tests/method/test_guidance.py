"""Equation 5 alone: no ComfyUI, no network."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reverse_personalization.method.guidance import IdentityGuidance, guided, pushes_nobody

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
    assert "tensor" not in repr(IdentityGuidance(-10.0, TEXT, 1.0, OTHER))
