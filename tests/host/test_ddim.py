"""DDIM Inversion on a small real UNet, behind the same sockets as the paper's own inversion."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from harness.in_process import load_pack, run_node
from tests.small_model import SmallModel


@pytest.fixture(scope="module")
def small() -> SmallModel:
    return SmallModel()


def invert(small: SmallModel, latent: Any, steps: int = 6, denoise: float = 0.3, **options: Any) -> Any:
    model = options.pop("model", small.model)
    return run_node("ReverseIdentityDDIMInversion", model, latent, small.text(), steps, denoise, **options)


def error_at_zero(small: SmallModel, steps: int) -> float:
    back = small.sample(invert(small, small.latent(), steps), small.faces(), 0.0)
    return float((small.model_space(back) - small.model_space(small.latent()["samples"])).abs().max())


def test_the_picture_nearly_comes_back_and_more_steps_bring_it_nearer(small: SmallModel) -> None:
    few, many = error_at_zero(small, 6), error_at_zero(small, 24)
    assert 1e-4 < many < few / 2 < 0.5


def test_a_run_is_the_same_twice_and_in_a_batch(small: SmallModel) -> None:
    latent, faces = small.latent(2), small.faces(2)
    together = small.sample(invert(small, latent), faces, -5.0)
    assert torch.equal(together, small.sample(invert(small, latent), faces, -5.0))
    alone = small.sample(invert(small, {"samples": latent["samples"][:1]}), small.faces(1), -5.0)
    assert (alone - together[:1]).abs().max() < 1e-4


def test_guidance_leads_away_from_the_person(small: SmallModel) -> None:
    trajectory = invert(small, small.latent())
    unguided = small.sample(trajectory, small.faces(), 0.0)
    assert (small.sample(trajectory, small.faces(), -5.0) - unguided).abs().max() > 1e-2


def test_evaluations_and_memory(small: SmallModel) -> None:
    with small.counted() as evaluations:
        trajectory = invert(small, small.latent(2), 6)
    assert (evaluations.calls, evaluations.rows) == (6, 12)
    assert tuple(trajectory.z.shape) == (6, 2, 4, 8, 8)
    assert trajectory.z.untyped_storage().nbytes() == 4


def test_a_region_cannot_be_held(small: SmallModel) -> None:
    trajectory = invert(small, small.latent())
    with pytest.raises(ValueError, match="use DPM-Solver"):
        run_node("ReverseIdentityKeepRegion", trajectory, torch.ones(1, 64, 64))


@pytest.mark.parametrize("kind", ["ReverseIdentityDDIMInversion", "DPMSolverInversion"])
def test_a_schedule_that_cannot_be_is_refused_when_it_is_queued(kind: str) -> None:
    node = load_pack().node_classes[kind]
    assert "visit a timestep twice" in node.validate_inputs(steps=400, denoise=0.3)
    assert node.validate_inputs(steps=100, denoise=0.3) is True
    assert node.validate_inputs(steps=100, denoise=None) is True


def test_a_model_without_adapter_is_refused(small: SmallModel) -> None:
    with pytest.raises(ValueError, match="no identity adapter"):
        invert(small, small.latent(), model=small.golden.patcher)
