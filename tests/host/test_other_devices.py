"""The identity adapter on copies of a model: the host's deep clone for another device, clones, and its memory."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from harness.in_process import part, run_node
from tests.golden import GoldenModel
from tests.patched_models import HOST
from tests.small_model import GOLDEN, SmallModel

CPU = torch.device("cpu")


def _read_again(disable_dynamic: bool = False) -> Any:
    """What the host's loaders give it to read a checkpoint again."""
    return GoldenModel(GOLDEN).patcher


def model_from_a_loader(small: SmallModel, folder: Path = GOLDEN, *, before: str = "") -> Any:
    import folder_paths

    folder_paths.add_model_folder_path("ipadapter", str(folder), is_default=True)
    patcher = small.golden.patcher.clone()
    patcher.cached_patcher_init = (_read_again, ())
    if before:
        patcher = HOST[before](patcher, 1.0)
    return run_node("ReverseIdentityAdapterLoader", patcher, "ip-adapter-faceid_tiny.bin", 1.0)


def adapter_of(model: Any) -> Any:
    [patcher] = model.get_additional_models_with_key(part("host.identity_adapter").KEY)
    return patcher


def deep_clone(model: Any) -> Any:
    with torch.inference_mode():
        return model.deepclone_multigpu(new_load_device=CPU)


def silence(model: Any) -> None:
    with torch.inference_mode():
        for weight in adapter_of(model).model.parameters():
            weight.zero_()


@pytest.fixture
def small() -> SmallModel:
    return SmallModel()


@pytest.mark.parametrize("before", ["", "LoRA"])
def test_a_deep_clone_computes_with_weights_of_its_own(small: SmallModel, before: str) -> None:
    model = model_from_a_loader(small, before=before)
    copy = deep_clone(model)
    assert copy.model is not model.model
    assert adapter_of(copy).model is not adapter_of(model).model
    fingerprint = part("host.fingerprint").fingerprint
    assert fingerprint(copy) == fingerprint(model)
    trajectory = small.invert(small.latent(), steps=2, model=model)
    here, there = (small.sample(trajectory, small.faces(), -5.0, model=one) for one in (model, copy))
    assert torch.equal(here, there)
    silence(model)
    assert torch.equal(small.sample(trajectory, small.faces(), -5.0, model=copy), there)
    assert not torch.equal(small.sample(trajectory, small.faces(), -5.0, model=model), there)


def test_a_clone_of_a_deep_clone_keeps_its_weights(small: SmallModel) -> None:
    model = model_from_a_loader(small)
    copy = HOST["FreeU_V2"](deep_clone(model), 1.0)
    trajectory = small.invert(small.latent(), steps=2, model=copy)
    silence(model)
    away, back = (small.sample(trajectory, small.faces(), cfg, model=copy) for cfg in (-5.0, 0.0))
    assert (back - small.latent()["samples"]).abs().max() <= 1e-4
    assert (away - back).abs().max() > 1e-2


@pytest.mark.parametrize("adapter_first", [True, False])
def test_the_hosts_clones_for_several_devices_each_have_their_adapter(small: SmallModel, adapter_first: bool) -> None:
    """What MultiGPU Work Units makes of a model; both of its devices are this processor."""
    plain = small.golden.patcher.clone()
    plain.cached_patcher_init = (_read_again, ())
    model = model_from_a_loader(small) if adapter_first else plain
    copy = deep_clone(model)
    copy.is_multigpu_base_clone = True
    model.set_additional_models("multigpu", [copy])
    if not adapter_first:
        model = run_node("ReverseIdentityAdapterLoader", model, "ip-adapter-faceid_tiny.bin", 1.0)
    with torch.inference_mode():
        model.match_multigpu_clones()
    [matched] = model.get_additional_models_with_key("multigpu")
    assert adapter_of(matched).model is not adapter_of(model).model
    assert part("host.fingerprint").fingerprint(matched) == part("host.fingerprint").fingerprint(model)
    trajectory = small.invert(small.latent(), steps=2)
    expected = small.sample(trajectory, small.faces(), -5.0)
    silence(model)
    assert torch.equal(small.sample(trajectory, small.faces(), -5.0, model=matched), expected)


def test_a_file_that_changed_makes_no_copy(small: SmallModel, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    name = "ip-adapter-faceid_tiny"
    shutil.copy(GOLDEN / f"{name}.bin", tmp_path)
    model = model_from_a_loader(small, tmp_path)
    weights = load_file(GOLDEN / f"{name}.safetensors")
    save_file({key: value * 1.5 for key, value in weights.items()}, tmp_path / f"{name}.safetensors")
    (tmp_path / f"{name}.safetensors").replace(tmp_path / f"{name}.bin")
    with pytest.raises(ValueError, match=r"faceid_tiny\.bin.*(has changed since|cannot be read)"):
        deep_clone(model)


def test_a_model_that_runs_without_an_adapter_of_its_own_is_named(small: SmallModel) -> None:
    trajectory = small.invert(small.latent(), steps=2)
    model = small.model.clone()
    model.remove_additional_models(part("host.identity_adapter").KEY)
    with pytest.raises(RuntimeError, match=r"0 identity adapters instead of one.*move that node before Load Identity"):
        small.sample(trajectory, small.faces(), -5.0, model=model)


def test_a_later_wrapper_that_replaces_the_attention_is_noticed(small: SmallModel) -> None:
    """The network would be evaluated without the identity, and the photograph come back."""
    from comfy.patcher_extension import WrappersMP

    def plain(q: Tensor, k: Tensor, v: Tensor, extra_options: dict[str, Any]) -> Tensor:
        return part("host.identity_adapter")._plain_attention(q, k, v, extra_options)

    def replace(executor: Any, *args: Any, **kwargs: Any) -> Any:
        *before, options = args
        own = dict.fromkeys(options["patches_replace"]["attn2"], plain)
        return executor(*before, {**options, "patches_replace": {"attn2": own}}, **kwargs)

    model = small.model.clone()
    model.add_wrapper_with_key(WrappersMP.DIFFUSION_MODEL, "another pack", replace)
    with pytest.raises(RuntimeError, match="identities did not reach the network"):
        small.invert(small.latent(), steps=2, model=model)


def test_unloading_and_freeing_give_the_same_again(small: SmallModel) -> None:
    import comfy.model_management as management

    trajectory = small.invert(small.latent(), steps=2)
    first = small.sample(trajectory, small.faces(), -5.0)
    management.unload_all_models()
    management.cleanup_models_gc()
    management.soft_empty_cache()
    assert torch.equal(small.sample(trajectory, small.faces(), -5.0), first)


@pytest.mark.parametrize("name", ["ModelMergeSimple", "LoRA"])
def test_merges_and_loras_after_the_adapter(small: SmallModel, name: str) -> None:
    model = HOST[name](small.model, 1.0)
    trajectory = small.invert(small.latent(), steps=2, model=model)
    back, away = (small.sample(trajectory, small.faces(), cfg, model=model) for cfg in (0.0, -5.0))
    assert (back - small.latent()["samples"]).abs().max() <= 1e-4
    assert (away - back).abs().max() > 1e-2


@pytest.mark.parametrize("embeddings", [torch.zeros(1, 256), torch.zeros(512), torch.zeros(1, 1, 512)])
def test_embeddings_of_another_shape_are_refused(small: SmallModel, embeddings: Tensor) -> None:
    with pytest.raises(ValueError, match=r"identity embeddings have the shape .*expected \[faces, 512\]"):
        part("host.identity_adapter").with_identity(small.text(), embeddings)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_embeddings_that_are_not_finite_are_refused(small: SmallModel, value: float) -> None:
    embeddings = torch.zeros(1, 512)
    embeddings[0, 3] = value
    with pytest.raises(ValueError, match=r"identity embeddings hold values that are not finite"):
        part("host.identity_adapter").with_identity(small.text(), embeddings)
