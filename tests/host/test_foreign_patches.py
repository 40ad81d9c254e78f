"""Patches of other nodes: the inversion must see the model as the generation will."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from harness.in_process import part, run_node
from tests.foreign_patches import CONDITIONED, OTHER, PATCHES, SIDE
from tests.small_model import SmallModel


@pytest.fixture(scope="module")
def small() -> SmallModel:
    return SmallModel()


def back(small: SmallModel, model: Any, trajectory: Any, latent: Any) -> float:
    """How far scale 0 is from the latent, in model space."""
    samples = small.sample(trajectory, small.faces(), 0.0, model=model)
    return float((small.model_space(samples) - small.model_space(latent["samples"])).abs().max())


@pytest.mark.parametrize("name", list(PATCHES))
def test_scale_zero_gives_the_latent_back(small: SmallModel, name: str) -> None:
    latent, model = small.latent(side=SIDE), PATCHES[name](small.model)
    trajectory = small.invert(latent, model=model, denoise=0.5)
    plain = small.invert(latent, denoise=0.5)
    assert (plain.z - trajectory.z).abs().max() > 1e-4 or name in NO_EFFECT_ALONE, "the patch has no effect"
    assert back(small, model, trajectory, latent) <= 1e-5


NO_EFFECT_ALONE = {"conditioned_slot", "branches_of_another_kind", "guidance_of_its_own"}
"""Patches that leave the null identity alone as it is."""


@pytest.mark.parametrize("name", ["hyper_tile", "drawing_in_the_attention", "drawing_around_the_model"])
def test_the_same_seed_gives_the_same_record_and_nothing_of_the_callers_changes(small: SmallModel, name: str) -> None:
    latent, model = small.latent(side=SIDE), PATCHES[name](small.model)
    records = []
    for callers in (1, 2):
        torch.manual_seed(callers)
        random.seed(callers)
        before = torch.get_rng_state(), random.getstate()
        records.append(small.invert(latent, model=model, steps=4))
        small.sample(records[-1], small.faces(), -3.0, model=model)
        assert torch.equal(torch.get_rng_state(), before[0])
        assert random.getstate() == before[1]
    assert torch.equal(records[0].z, records[1].z)
    other = small.invert(latent, model=model, steps=4, seed=8)
    assert not torch.equal(other.z, records[0].z)


@pytest.mark.parametrize("name", ["drawing_in_the_attention", "drawing_around_the_model"])
def test_every_call_draws_the_same_where_memory_parts_the_branches(
    small: SmallModel, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    latent, model = small.latent(side=SIDE), PATCHES[name](small.model)
    trajectory = small.invert(latent, model=model, steps=4)
    whole = small.sample(trajectory, small.faces(), -3.0, model=model)
    monkeypatch.setattr(type(small.model), "get_free_memory", lambda self, device: 1)
    with small.counted() as evaluations:
        parted = small.sample(trajectory, small.faces(), -3.0, model=model)
    assert evaluations.calls == evaluations.rows == 8
    assert (parted - whole).abs().max() <= 1e-4 * whole.abs().max()


def test_draws_differ_from_level_to_level(small: SmallModel) -> None:
    """One number for all steps would be a patch that does not draw at all."""
    drawn: list[float] = []
    model = small.model.clone()

    def draw(apply: Any, args: Any) -> Tensor:
        drawn.append(float(torch.rand(1)))
        return apply(args["input"], args["timestep"], **args["c"])

    model.set_model_unet_function_wrapper(draw)
    trajectory = small.invert(small.latent(), steps=4, model=model)
    small.sample(trajectory, small.faces(), -3.0, model=model)
    assert len(set(drawn[:4])) == 4
    assert drawn[4:] == drawn[:4]


@pytest.mark.parametrize("name", list(PATCHES))
def test_a_patched_model_sees_one_timestep_at_a_time(small: SmallModel, name: str) -> None:
    model = PATCHES[name](small.model)
    latent = small.latent(side=SIDE)
    alone, together = (small.invert(latent, 4, model=model, batch=batch) for batch in (1, 4))
    assert torch.equal(alone.z, together.z)


def test_composed_nodes_draw_as_the_inversion_did(small: SmallModel) -> None:
    """The host passes the seed of DisableNoise, not the trajectory's."""
    from comfy_extras.nodes_custom_sampler import DisableNoise, SamplerCustomAdvanced

    latent, model = small.latent(side=SIDE), PATCHES["hyper_tile"](small.model)
    trajectory = small.invert(latent, steps=4, model=model, seed=9)
    guider = run_node("ReverseIdentityGuider", model, trajectory, small.faces(), 0.0)
    sampler, sigmas = (
        run_node("ReverseIdentityReplaySampler", trajectory),
        run_node("ReverseIdentityReplaySigmas", trajectory),
    )
    with torch.inference_mode():
        [noise] = DisableNoise.execute().result
        [samples, _] = SamplerCustomAdvanced.execute(noise, guider, sampler, sigmas, latent).result
    assert (small.model_space(samples["samples"]) - small.model_space(latent["samples"])).abs().max() <= 1e-5


def test_the_null_identity_is_in_the_same_slot_in_both(small: SmallModel) -> None:
    with small.counted() as inversion:
        trajectory = small.invert(small.latent(), steps=2)
    with small.counted() as back:
        small.sample(trajectory, small.faces(), 0.0)
    with small.counted() as away:
        small.sample(trajectory, small.faces(), -10.0)
    assert inversion.branches == back.branches == [[OTHER]] * 2
    assert [sorted(slots) for slots in away.branches] == [[CONDITIONED, OTHER]] * 2


@pytest.mark.parametrize(
    ("change", "together"),
    [
        (lambda model: None, True),
        (lambda model: model.add_object_patch("model_sampling", model.get_model_object("model_sampling")), True),
        (lambda model: model.add_object_patch("diffusion_model.out", torch.nn.Identity()), False),
        (lambda model: model.add_callback_with_key("on_prepare_state", "another pack", lambda *args: None), False),
        (lambda model: model.add_wrapper("diffusion_model", lambda executor, *args: executor(*args)), False),
        (lambda model: model.set_injections("another pack", [object()]), False),
        (lambda model: model.model_options.update(disable_cfg1_optimization=True), False),
    ],
)
def test_only_a_model_with_nothing_of_others_on_it_may_share_a_call(
    small: SmallModel, change: Callable[[Any], None], together: bool
) -> None:
    model = small.model.clone()
    change(model)
    assert part("host.patches").may_share_a_call(model, [small.text()]) is together


@pytest.mark.parametrize("key", ["start_percent", "end_percent", "clip_start_percent", "control", "hooks", "gligen"])
def test_a_text_that_the_host_judges_by_the_first_timestep_shares_no_call(small: SmallModel, key: str) -> None:
    [[text, options]] = small.text()
    may = part("host.patches").may_share_a_call
    assert not may(small.model, [small.text(), [[text, {**options, key: 0.0}]]])
