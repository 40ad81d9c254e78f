"""Load Identity Adapter: files and models that it takes or refuses, and the adapter's weights in memory."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

import pytest
import torch

from harness.in_process import part, run_node
from tests.small_model import GOLDEN, SmallModel


@pytest.fixture(scope="module")
def small() -> SmallModel:
    return SmallModel()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float8_e4m3fn])
def test_adapter_files_of_any_precision(small: SmallModel, tmp_path: Path, dtype: torch.dtype) -> None:
    import folder_paths
    from safetensors.torch import load_file, save_file

    weights = load_file(GOLDEN / "ip-adapter-faceid_tiny.safetensors")
    name = f"{str(dtype).removeprefix('torch.')}.safetensors"
    save_file({key: value.to(dtype) for key, value in weights.items()}, tmp_path / name)
    folder_paths.add_model_folder_path("ipadapter", str(tmp_path))
    model = run_node("ReverseIdentityAdapterLoader", small.golden.patcher, name, 1.0)
    trajectory = small.invert(small.latent(), model=model)
    back, away = (small.sample(trajectory, small.faces(), cfg, model=model) for cfg in (0.0, -5.0))
    assert (small.model_space(back) - small.model_space(small.latent()["samples"])).abs().max() <= 1e-6
    assert (away - back).abs().max() > 1e-2


def test_flat_and_nested_file_are_the_same_adapter(small: SmallModel) -> None:
    fingerprint = part("host.fingerprint").fingerprint
    one, other = (fingerprint(small.golden.with_adapter(file=file)) for file in small.golden.adapter_files)
    assert one == other


@pytest.mark.parametrize("name", ["truncated.bin", "truncated.safetensors", "text.bin", "empty.safetensors"])
def test_broken_adapter_files_are_named(small: SmallModel, tmp_path: Path, name: str) -> None:
    import folder_paths

    whole = (GOLDEN / f"ip-adapter-faceid_tiny{Path(name).suffix}").read_bytes()
    content = {"truncated": whole[: len(whole) // 2], "text": b"<html>not found</html>", "empty": b""}
    (tmp_path / name).write_bytes(content[Path(name).stem])
    folder_paths.add_model_folder_path("ipadapter", str(tmp_path))
    with pytest.raises(ValueError, match=rf'(?s)"{name}" cannot be read: .*truncated or not a model file'):
        run_node("ReverseIdentityAdapterLoader", small.golden.patcher, name, 1.0)


def test_two_adapters_are_refused(small: SmallModel) -> None:
    with pytest.raises(ValueError, match=r'already has the identity adapter "ip-adapter-faceid_tiny\.bin"'):
        run_node("ReverseIdentityAdapterLoader", small.model, small.golden.adapter_files[0], 1.0)


def test_models_without_a_unet_are_refused(small: SmallModel) -> None:
    import comfy.model_patcher

    cpu = torch.device("cpu")
    other = comfy.model_patcher.CoreModelPatcher(torch.nn.Linear(2, 2), load_device=cpu, offload_device=cpu)
    with pytest.raises(ValueError, match="the model is Linear, which has no cross-attention"):
        run_node("ReverseIdentityAdapterLoader", other, small.golden.adapter_files[0], 1.0)


def test_adapter_is_loaded_with_the_model_and_let_go(small: SmallModel) -> None:
    import comfy.model_management

    model = small.golden.with_adapter()
    [adapter] = model.get_additional_models_with_key(part("host.identity_adapter").KEY)
    trajectory = small.invert(small.latent(), steps=2, model=model)
    loaded = [entry.model.model for entry in comfy.model_management.current_loaded_models]
    assert adapter.model in loaded
    weights = weakref.ref(adapter.model)
    del model, adapter, loaded, trajectory
    comfy.model_management.unload_all_models()
    comfy.model_management.cleanup_models_gc()
    gc.collect()
    assert weights() is None


def test_weights_may_stay_offloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """What --novram does: no weight is kept on the device, each is cast and patched as it is used."""
    import comfy.model_management as management

    whole, piecewise = SmallModel(), SmallModel()
    expected = whole.sample(whole.invert(whole.latent()), whole.faces(), -5.0)
    monkeypatch.setattr(management, "vram_state", management.VRAMState.NO_VRAM)
    # The host never offloads from the CPU to itself, so it must not notice that this is one.
    monkeypatch.setattr(management, "is_device_cpu", lambda device: False)
    got = piecewise.sample(piecewise.invert(piecewise.latent()), piecewise.faces(), -5.0)
    assert piecewise.model.model.lowvram_patch_counter > 0, "the weights were loaded after all"
    assert whole.model.model.lowvram_patch_counter == 0
    assert (got - expected).abs().max() <= 1e-4 * expected.abs().max()


def test_a_clone_shares_the_adapters_weights(small: SmallModel) -> None:
    key = part("host.identity_adapter").KEY
    [one] = small.model.get_additional_models_with_key(key)
    [other] = small.model.clone().get_additional_models_with_key(key)
    assert one.model is other.model
