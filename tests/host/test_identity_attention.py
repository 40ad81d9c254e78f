"""The identity in the network beside what others put there: attention, LoRAs, samplings and the host's samplers."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

from harness.in_process import part, run_node
from tests.small_model import SmallModel


@pytest.fixture(scope="module")
def small() -> SmallModel:
    return SmallModel()


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("index", [0, None])
def test_another_packs_attention_replacement_keeps_working(small: SmallModel, when: str, index: int | None) -> None:
    from comfy.ldm.modules.attention import optimized_attention

    calls = []

    def replacement(q: Any, k: Any, v: Any, extra_options: Any) -> Any:
        calls.append(extra_options["block"])
        return 0.5 * optimized_attention(q, k, v, extra_options["n_heads"])

    def with_replacement(model: Any) -> Any:
        model = model.clone()
        model.set_model_attn2_replace(replacement, "middle", 0, index)
        return model

    if when == "before":
        base = with_replacement(small.golden.patcher)
        model = run_node("ReverseIdentityAdapterLoader", base, small.golden.adapter_files[0], 1.0)
    else:
        model = with_replacement(small.model)
    trajectory = small.invert(small.latent(), steps=2, model=model)
    blocks = 1 if index is not None else 2  # without an index it stands for both transformer blocks there
    assert calls == [("middle", 0)] * 2 * blocks
    moved = [small.sample(trajectory, small.faces(), cfg, model=model) for cfg in (0.0, -5.0)]
    assert (moved[0] - moved[1]).abs().max() > 1e-2, "the identity no longer reaches the network"
    plain = small.invert(small.latent(), steps=2)
    assert (plain.z - trajectory.z).abs().max() > 1e-3, "the replacement has no effect"


def test_other_attention_functions_are_honoured(small: SmallModel) -> None:
    calls = []

    def override(function: Any, *args: Any, **kwargs: Any) -> Any:
        calls.append(args[0].shape)
        return function(*args, **kwargs)

    model = small.model.clone()
    model.model_options["transformer_options"]["optimized_attention_override"] = override
    small.invert(small.latent(), steps=2, model=model)
    sites = len(part("reverse_personalization.method.attention_layout").transformer_sites(model.model_state_dict()))
    # Self-attention, text attention and identity attention at every transformer block.
    assert len(calls) == 2 * 3 * sites


def test_lora_on_the_model_changes_the_result_and_the_fingerprint(small: SmallModel) -> None:
    fingerprint = part("host.fingerprint").fingerprint
    key = next(key for key in small.model.model_state_dict() if key.endswith("attn1.to_v.weight"))
    model = small.model.clone()
    model.add_patches({key: ("diff", (torch.full((64, 64), 0.05),))}, 1.0)
    assert fingerprint(model).model != fingerprint(small.model).model
    assert fingerprint(model).adapter == fingerprint(small.model).adapter
    changed, plain = small.invert(small.latent(), model=model), small.invert(small.latent())
    assert (changed.z - plain.z).abs().max() > 1e-3
    back = small.sample(changed, small.faces(), 0.0, model=model)
    assert (small.model_space(back) - small.model_space(small.latent()["samples"])).abs().max() <= 1e-6


@pytest.mark.parametrize("sampling", ["v_prediction", "eps", "lcm"])
def test_model_sampling_discrete(small: SmallModel, sampling: str) -> None:
    from comfy_extras.nodes_model_advanced import ModelSamplingDiscrete

    [model] = ModelSamplingDiscrete().patch(small.model, sampling, zsnr=False)
    steps = 6 if sampling != "lcm" else 4
    trajectory = small.invert(small.latent(), steps, model=model)
    back = small.sample(trajectory, small.faces(), 0.0, model=model)
    assert (small.model_space(back) - small.model_space(small.latent()["samples"])).abs().max() <= 1e-6
    if sampling == "v_prediction":
        with pytest.raises(ValueError, match="recorded with model"):
            small.sample(trajectory, small.faces(), 0.0)


@pytest.mark.parametrize("loss", ["wrapper gone", "input dropped"])
def test_an_identity_that_does_not_reach_the_network_stops_the_run(small: SmallModel, loss: str) -> None:
    """Otherwise the photograph itself would come out."""
    from comfy.patcher_extension import WrappersMP

    adapter = part("host.identity_adapter")
    trajectory = small.invert(small.latent(), steps=2)
    model = small.model.clone()
    if loss == "wrapper gone":
        model.remove_wrappers_with_key(WrappersMP.DIFFUSION_MODEL, adapter.KEY)
    else:

        def drop(executor: Any, *args: Any, **kwargs: Any) -> Any:
            kwargs.pop(adapter.IDENTITY_COND)
            return executor(*args, **kwargs)

        model.add_wrapper_with_key(WrappersMP.APPLY_MODEL, "another pack", drop)
    # Recorded with a wrapper that let the identities pass, that is.
    trajectory = dataclasses.replace(trajectory, fingerprint=part("host.fingerprint").fingerprint(model))
    with pytest.raises(RuntimeError, match="identities did not reach the network"):
        small.sample(trajectory, small.faces(), -10.0, model=model)
    with pytest.raises(RuntimeError, match="identities did not reach the network"):
        small.invert(small.latent(), steps=2, model=model)


def test_plain_samplers_see_the_null_identity(small: SmallModel) -> None:
    import nodes

    text, latent = small.text(), small.latent()
    with torch.inference_mode():
        [plain] = nodes.common_ksampler(small.model, 0, 3, 1.0, "euler", "normal", text, text, latent, denoise=0.5)
        null = part("host.identity_adapter").with_identity(text, torch.zeros(1, 512))
        [named] = nodes.common_ksampler(small.model, 0, 3, 1.0, "euler", "normal", null, null, latent, denoise=0.5)
    assert torch.equal(plain["samples"], named["samples"])


def test_keys_and_values_are_computed_once_a_run(small: SmallModel, monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = part("reverse_personalization.method.adapter").IdentityAdapter
    keys_values, tokens = adapter.keys_values, adapter.tokens
    computed: list[Any] = []
    monkeypatch.setattr(
        adapter, "keys_values", lambda self, site, given: (computed.append(site), keys_values(self, site, given))[1]
    )
    monkeypatch.setattr(adapter, "tokens", lambda self, given: (computed.append("tokens"), tokens(self, given))[1])
    sites = len(
        part("reverse_personalization.method.attention_layout").transformer_sites(small.model.model_state_dict())
    )
    trajectory = small.invert(small.latent(2), steps=5)
    assert sorted(map(str, computed)) == sorted(map(str, ["tokens", *range(sites)]))
    computed.clear()
    small.sample(trajectory, small.faces(2), -5.0)
    assert len(computed) == 1 + sites


def test_every_run_has_its_own_identities(small: SmallModel) -> None:
    """The next run's people are not those that the last one's keys and values were computed from."""
    trajectory = small.invert(small.latent(), steps=3)
    one, other = (small.sample(trajectory, small.faces(seed=seed), -5.0) for seed in (1, 2))
    assert (one - other).abs().max() > 1e-2
    assert torch.equal(one, small.sample(trajectory, small.faces(seed=1), -5.0))
