"""The fingerprint of a model: equal for equal models, in every process and at every time; another for every patch."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.in_process import ROOT, part, run_node
from tests.patched_models import HOST, PATCHES, Scaled, fingerprints
from tests.small_model import SmallModel


@pytest.fixture(scope="module")
def small() -> SmallModel:
    return SmallModel()


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    return fingerprints()


def fingerprint(model: Any) -> Any:
    return part("host.fingerprint").fingerprint(model)


def sampled_by_the_host(small: SmallModel, model: Any) -> Any:
    """The model after the host's own sampler ran it."""
    import nodes

    with torch.inference_mode():
        nodes.common_ksampler(model, 0, 2, 4.0, "euler", "normal", small.text(), small.text(), small.latent(side=16))
    return model


def test_every_patch_and_every_setting_has_a_fingerprint_of_its_own(found: dict[str, Any]) -> None:
    assert len(found) == 1 + 2 * len(PATCHES)
    for (one, first), (other, second) in itertools.combinations(found.items(), 2):
        assert first != second, f"{one} and {other}"
        assert first.model != second.model


def test_it_is_the_same_in_another_process(found: dict[str, Any]) -> None:
    # Neither the order of sets nor addresses may count.
    environment = {**os.environ, "PYTHONHASHSEED": "4711"}
    command = [sys.executable, "-c", "from tests.patched_models import print_fingerprints; print_fingerprints()"]
    answer = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    there = json.loads(answer.stdout.splitlines()[-1])
    assert there.keys() == found.keys()
    for name, (model, parts) in there.items():
        assert [tuple(entry) for entry in parts] == list(found[name].parts), name
        assert model == found[name].model


@pytest.mark.parametrize("name", PATCHES)
def test_it_says_what_is_only_on_one_side(found: dict[str, Any], name: str) -> None:
    plain, one, other = (found[key] for key in ("none", f"{name} 1.0", f"{name} 0.5"))
    assert plain.differences(plain) == []
    assert plain.differences(one)
    assert one.differences(other)
    assert not any("adapter" in phrase or "set of weights" in phrase for phrase in plain.differences(one))


def test_what_a_patch_writes_while_it_runs_does_not_count(small: SmallModel) -> None:
    for name in HOST:
        model = HOST[name](small.model, 1.0)
        before = fingerprint(model)
        after = fingerprint(sampled_by_the_host(small, model))
        assert before == after, name
        # The host makes a patch anew when its result fell out of the cache.
        assert fingerprint(HOST[name](small.model, 1.0)) == before, name


@pytest.mark.parametrize("name", ["HyperTile", "ToMe", "SAG", "APG", "EasyCache"])
def test_a_patch_that_ran_before_it_was_first_seen_is_the_one_that_did_not(small: SmallModel, name: str) -> None:
    used = sampled_by_the_host(small, HOST[name](small.model, 1.0))
    assert fingerprint(used) == fingerprint(HOST[name](small.model, 1.0))


def test_counters_of_objects_do_not_count(small: SmallModel) -> None:
    def patched(calls: int) -> Any:
        patch = Scaled(1.0)
        patch.calls = calls
        model = small.model.clone()
        model.set_model_unet_function_wrapper(patch)
        model.set_model_output_block_patch(patch.output)
        return model

    assert fingerprint(patched(0)) == fingerprint(patched(7))


def test_what_a_patch_collects_does_not_count(small: SmallModel) -> None:
    seen: list[Tensor] = []

    def patch(h: Tensor, hsp: Tensor, options: dict[str, Any]) -> tuple[Tensor, Tensor]:
        seen.append(h)
        return h, hsp

    model = small.model.clone()
    model.set_model_output_block_patch(patch)
    trajectory = small.invert(small.latent(), steps=2, model=model)
    assert seen
    back = small.sample(trajectory, small.faces(), 0.0, model=model)
    assert (back - small.latent()["samples"]).abs().max() <= 1e-4


def test_the_place_in_the_order_of_patches_counts(small: SmallModel) -> None:
    one, other = HOST["FreeU"], HOST["FreeU_V2"]
    first, second = (fingerprint(b(a(small.model, 1.0), 1.0)) for a, b in ((one, other), (other, one)))
    assert first != second
    assert first.differences(second) == ["the patches are the same but in another order"]


@pytest.mark.parametrize("before", ["own model", "LoRA", "object patch", "apply wrapper", "mask", "FreeU_V2"])
def test_a_patch_before_the_adapter_is_seen(small: SmallModel, before: str) -> None:
    def patched(setting: float) -> Any:
        model = PATCHES[before](small.golden.patcher, setting)
        return run_node("ReverseIdentityAdapterLoader", model, small.golden.adapter_files[0], 1.0)

    assert fingerprint(patched(1.0)) == fingerprint(patched(1.0))
    assert fingerprint(patched(1.0)) != fingerprint(patched(0.5))
    assert fingerprint(patched(1.0)) != fingerprint(small.model)


def test_a_patch_that_cannot_be_compared_is_named(small: SmallModel) -> None:
    numbers = itertools.count()

    def drawing_patch(h: Tensor, hsp: Tensor, options: dict[str, Any]) -> tuple[Tensor, Tensor]:
        return h * next(numbers), hsp

    model = small.model.clone()
    model.set_model_output_block_patch(drawing_patch)
    with pytest.raises(ValueError, match=r"drawing_patch of .*test_fingerprint.*itertools\.count.*remove the"):
        small.invert(small.latent(), model=model)


def test_the_sampler_says_which_patch_differs(small: SmallModel) -> None:
    trajectory = small.invert(small.latent(), steps=2)
    with pytest.raises(ValueError, match=r"FreeU_V2.*was not there at the inversion"):
        small.sample(trajectory, small.faces(), 0.0, model=HOST["FreeU_V2"](small.model, 1.0))
    trajectory = small.invert(small.latent(), steps=2, model=HOST["FreeU_V2"](small.model, 1.0))
    with pytest.raises(ValueError, match=r"FreeU_V2.*is missing here"):
        small.sample(trajectory, small.faces(), 0.0)
    with pytest.raises(ValueError, match="the identity adapter is different"):
        small.sample(trajectory, small.faces(), 0.0, model=small.golden.with_adapter(0.5))


def test_fingerprint_survives_loading_and_reloading(small: SmallModel) -> None:
    fresh = SmallModel()
    before = fingerprint(fresh.model)
    fresh.invert(fresh.latent(), steps=2)
    assert fingerprint(fresh.model) == before == fingerprint(small.model)


@pytest.mark.parametrize("name", ["LoRA", "ModelMergeSimple", "object patch", "weight wrapper", "own model"])
def test_loading_unloading_and_another_clone_in_memory_change_nothing(small: SmallModel, name: str) -> None:
    import comfy.model_management as management

    plain, model = fingerprint(small.model), PATCHES[name](small.model, 1.0)
    fresh = fingerprint(model)
    management.load_models_gpu([model], force_full_load=True)
    assert fingerprint(model) == fresh
    assert fingerprint(small.model) == plain
    # A patch made while the network was loaded with other patches is the same patch.
    assert fingerprint(PATCHES[name](small.model, 1.0)) == fresh
    management.load_models_gpu([small.model], force_full_load=True)
    assert fingerprint(model) == fresh
    management.unload_all_models()
    assert fingerprint(model) == fresh
    assert fingerprint(small.model) == plain


def test_weights_that_stay_offloaded_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    import comfy.model_management as management

    small = SmallModel()
    model = PATCHES["LoRA"](small.model, 1.0)
    fresh = fingerprint(model)
    monkeypatch.setattr(management, "vram_state", management.VRAMState.NO_VRAM)
    monkeypatch.setattr(management, "is_device_cpu", lambda device: False)
    small.invert(small.latent(), steps=2, model=model)
    assert model.model.lowvram_patch_counter > 0
    assert fingerprint(model) == fresh


def test_other_weights_are_another_network(small: SmallModel) -> None:
    other = SmallModel()
    before = fingerprint(other.model)
    with torch.inference_mode():
        other.model.model.diffusion_model.out[2].weight.mul_(1.01)
    assert fingerprint(small.model) == before
    assert before.differences(fingerprint(other.model)) == ["the set of weights is different"]


# --- packed weights --------------------------------------------------------------------------------------


class Packed(Tensor):
    """A tensor as loaders of packed weights make it: bytes that claim to have another shape."""

    claimed: torch.Size

    @property
    def shape(self) -> Any:
        return self.claimed

    def detach(self) -> Any:
        return self

    @classmethod
    def __torch_function__(cls, function: Any, kinds: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function in (Tensor.shape.__get__, Tensor.detach):
            return super().__torch_function__(function, kinds, args, kwargs or {})
        raise NotImplementedError(f"{function} of packed weights")


def packed(values: Tensor) -> Packed:
    made = values.as_subclass(Packed)
    made.claimed = torch.Size((3, 5))
    return made


def test_packed_weights_count_as_their_bytes() -> None:
    digest, weight = (
        getattr(part("reverse_personalization.fingerprinting.digest"), name) for name in ("digest", "Weight")
    )
    values = torch.arange(200, dtype=torch.uint8)
    other = values.clone()
    other[:20] += 1
    one, same, another = (digest([("", weight(packed(v)))]) for v in (values, values.clone(), other))
    assert one == same != another


def test_entries_of_a_state_dict_that_are_no_attributes(small: SmallModel) -> None:
    """What the layers of packed weights add when they are asked for their state."""
    fresh = SmallModel()
    plain = fingerprint(fresh.model)

    def add(module: nn.Module, state: dict[str, Any], prefix: str, metadata: Any) -> None:
        state[f"{prefix}unpacked.weight"] = torch.zeros(3)

    for layer in fresh.model.model.diffusion_model.modules():
        if isinstance(layer, nn.Linear):
            layer.register_state_dict_post_hook(add)
    assert fingerprint(fresh.model) == plain
    trajectory = fresh.invert(fresh.latent(), steps=2)
    back = fresh.sample(trajectory, fresh.faces(), 0.0)
    assert (back - fresh.latent()["samples"]).abs().max() <= 1e-5


def quantised(values: Tensor) -> Any:
    from comfy.quant_ops import QuantizedTensor

    return nn.Parameter(QuantizedTensor.from_float(values, "TensorCoreFP8E4M3Layout"), requires_grad=False)


def test_scaled_float8_is_told_apart_by_its_elements_and_by_its_scale() -> None:
    part("host.fingerprint")
    digest, weight = (
        getattr(part("reverse_personalization.fingerprinting.digest"), name) for name in ("digest", "Weight")
    )
    values = torch.linspace(-1, 1, 32 * 16).view(32, 16).bfloat16()
    one, same, scaled, shifted = (digest([("", weight(quantised(v)))]) for v in (values, values, values * 2, -values))
    assert len({one, scaled, shifted}) == 3
    assert one == same


def test_a_scaled_float8_network_is_inverted_and_replayed(small: SmallModel, monkeypatch: pytest.MonkeyPatch) -> None:
    import comfy.ops
    from comfy.quant_ops import QuantizedTensor

    mark = torch.tensor(list(json.dumps({"format": "float8_e4m3fn"}).encode()), dtype=torch.uint8)
    state = {}
    for name, value in small.golden.patcher.model.diffusion_model.state_dict().items():
        state[name] = value
        if value.ndim == 2 and name.endswith(".weight") and "attn" in name:
            scale = value.abs().max() / 448
            state[name] = (value / scale).to(torch.float8_e4m3fn)
            state[f"{name}_scale"], state[f"{name.removesuffix('weight')}comfy_quant"] = scale, mark
    config = small.golden.patcher.model.model_config
    monkeypatch.setattr(config, "custom_operations", comfy.ops.mixed_precision_ops({}, torch.float32))
    network = type(small.golden.patcher.model)(config, device=torch.device("cpu"))
    assert not network.diffusion_model.load_state_dict(state, strict=False).missing_keys
    assert any(isinstance(weight, QuantizedTensor) for weight in network.parameters())
    patcher = type(small.golden.patcher)(network, torch.device("cpu"), torch.device("cpu"))
    model = run_node("ReverseIdentityAdapterLoader", patcher, small.golden.adapter_files[0], 1.0)
    before = fingerprint(model)
    trajectory = small.invert(small.latent(), steps=2, model=model)
    assert fingerprint(model) == before
    back = small.sample(trajectory, small.faces(), 0.0, model=model)
    assert (back - small.latent()["samples"]).abs().max() <= 1e-5
