"""The pack among the host's other parts: patches, memory, cancelling, previews, and what it refuses."""

from __future__ import annotations

import dataclasses
import gc
import inspect
import weakref
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from harness.in_process import load_pack, part, run_node
from tests.small_model import GOLDEN, SmallModel


@pytest.fixture(scope="module")
def small() -> SmallModel:
    return SmallModel()


# --- schemas ---------------------------------------------------------------------------------------------


def node_classes() -> list[Any]:
    return list(load_pack().node_classes.values())


def test_the_nodes_users_asked_for_are_there(pack: ModuleType) -> None:
    asked = {
        "FaceEmbed",
        "DPMSolverInversion",
        "ReverseIdentityKSampler",
        "AttributePrompt",
        "ReverseIdentityAdapterLoader",
    }
    composing = {"ReverseIdentityGuider", "ReverseIdentityReplaySampler", "ReverseIdentityReplaySigmas"}
    photographs = {
        "ReverseIdentityFaceCrop",
        "ReverseIdentityFacePaste",
        "ReverseIdentityCheck",
        "ReverseIdentityFaceCover",
        "ReverseIdentitySaveImage",
    }
    steering = {"ReverseIdentityKeepRegion", "ReverseIdentityRegionMask", "ReverseIdentityRetrySampler"}
    assert pack.node_classes.keys() == asked | composing | photographs | steering


@pytest.mark.parametrize("index", range(16))
def test_schema_and_execute_agree(index: int) -> None:
    node = node_classes()[index]
    schema = node.GET_SCHEMA()
    parameters = inspect.signature(node.execute).parameters
    assert {entry.id for entry in schema.inputs} == parameters.keys()
    for entry in schema.inputs:
        default = parameters[entry.id].default
        may_be_left_out = entry.optional or getattr(entry, "lazy", False)
        assert (default is not inspect.Parameter.empty) == bool(may_be_left_out), entry.id
        if may_be_left_out:
            assert default == getattr(entry, "default", None), entry.id
        assert entry.tooltip, f"{schema.node_id}.{entry.id} has no tooltip"
    assert all(output.tooltip for output in schema.outputs)
    assert schema.description
    assert {"anonymize", "de-identify", "privacy", "GDPR", "face", "redact"} <= set(schema.search_aliases)
    assert len(set(schema.search_aliases)) == len(schema.search_aliases)
    assert schema.category in ("reverse personalization", "reverse personalization/compose")
    words = {"Adapter", "Face", "Faces", "Identity", "Region", "Attribute", "Inversion", "Trajectory", "Anonymized"}
    assert words & set(schema.display_name.split())


def test_display_names_tell_the_nodes_apart() -> None:
    names = [node.GET_SCHEMA().display_name for node in node_classes()]
    assert len(set(names)) == len(names)


def test_defaults_are_the_papers() -> None:
    defaults = {}
    for node in node_classes():
        schema = node.GET_SCHEMA()
        defaults[schema.node_id] = {entry.id: getattr(entry, "default", None) for entry in schema.inputs}
    assert defaults["ReverseIdentityAdapterLoader"]["weight"] == 1.0
    inversion, sampler = defaults["DPMSolverInversion"], defaults["ReverseIdentityKSampler"]
    assert (inversion["steps"], inversion["denoise"], inversion["cfg"]) == (100, 0.30, 1.0)
    assert (sampler["cfg"], sampler["identity_scale"]) == (-10.0, 1.0)
    embed = defaults["FaceEmbed"]
    assert (embed["model_pack"], embed["threshold"], embed["det_size"]) == ("buffalo_l", 0.1, 640)


# --- patches of others -----------------------------------------------------------------------------------


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


# --- memory and control ----------------------------------------------------------------------------------


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


def test_a_clone_shares_the_adapters_weights(small: SmallModel) -> None:
    key = part("host.identity_adapter").KEY
    [one] = small.model.get_additional_models_with_key(key)
    [other] = small.model.clone().get_additional_models_with_key(key)
    assert one.model is other.model


@pytest.mark.parametrize("evaluation", [1, 4])
@pytest.mark.parametrize("node", ["inversion", "sampler"])
def test_cancelling_takes_effect_within_one_evaluation(small: SmallModel, node: str, evaluation: int) -> None:
    import comfy.model_management

    trajectory = small.invert(small.latent(), steps=8)
    calls = 0

    def cancel(*args: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == evaluation:
            comfy.model_management.interrupt_current_processing()

    handle = small.model.model.diffusion_model.register_forward_hook(cancel)
    try:
        run = {
            "inversion": lambda: small.invert(small.latent(), steps=8),
            "sampler": lambda: small.sample(trajectory, small.faces(), -10.0),
        }[node]
        with pytest.raises(comfy.model_management.InterruptProcessingException):
            run()
    finally:
        handle.remove()
        comfy.model_management.interrupt_current_processing(False)
    assert calls == evaluation
    assert small.sample(trajectory, small.faces(), 0.0).isfinite().all()


def test_previews_and_progress(small: SmallModel, monkeypatch: pytest.MonkeyPatch) -> None:
    import comfy.utils
    import latent_preview
    from comfy.cli_args import LatentPreviewMethod

    seen: list[tuple[int, int, Any]] = []
    monkeypatch.setattr(latent_preview.args, "preview_method", LatentPreviewMethod.Latent2RGB)
    monkeypatch.setattr(
        comfy.utils, "PROGRESS_BAR_HOOK", lambda value, total, preview, **_: seen.append((value, total, preview))
    )
    trajectory = small.invert(small.latent(), steps=5, batch=2)
    small.sample(trajectory, small.faces(), -10.0)
    assert [entry[:2] for entry in seen] == [(step, 5) for step in range(1, 6)] * 2
    assert all(preview is not None and preview[1].size == (8, 8) for _, _, preview in seen)


# --- refusals --------------------------------------------------------------------------------------------


def test_no_adapter_is_refused(small: SmallModel) -> None:
    with pytest.raises(ValueError, match=r"no identity adapter.*Load Identity Adapter"):
        small.invert(small.latent(), model=small.golden.patcher)


def test_two_adapters_are_refused(small: SmallModel) -> None:
    with pytest.raises(ValueError, match=r'already has the identity adapter "ip-adapter-faceid_tiny\.bin"'):
        run_node("ReverseIdentityAdapterLoader", small.model, small.golden.adapter_files[0], 1.0)


def test_another_models_trajectory_is_refused_with_both_fingerprints(small: SmallModel) -> None:
    trajectory = small.invert(small.latent())
    other = small.golden.with_adapter(ip_scale=0.5)
    with pytest.raises(ValueError, match="recorded with model") as raised:
        small.sample(trajectory, small.faces(), -10.0, model=other)
    assert str(trajectory.fingerprint) in str(raised.value)
    assert str(part("host.fingerprint").fingerprint(other)) in str(raised.value)


def test_fingerprint_survives_loading_and_reloading(small: SmallModel) -> None:
    fingerprint = part("host.fingerprint").fingerprint
    fresh = SmallModel()
    before = fingerprint(fresh.model)
    fresh.invert(fresh.latent(), steps=2)
    assert fingerprint(fresh.model) == before == fingerprint(small.model)


def test_flat_and_nested_file_are_the_same_adapter(small: SmallModel) -> None:
    fingerprint = part("host.fingerprint").fingerprint
    one, other = (fingerprint(small.golden.with_adapter(file=file)) for file in small.golden.adapter_files)
    assert one == other


@pytest.mark.parametrize("count", [0, 1, 3])
def test_every_latent_needs_its_face(small: SmallModel, count: int) -> None:
    trajectory = small.invert(small.latent(batch=2), steps=2)
    with pytest.raises(ValueError, match=f"2 latents in the trajectory but {count} faces"):
        small.sample(trajectory, small.faces(count), -10.0)


def test_texts_must_fit_the_latents(small: SmallModel) -> None:
    trajectory = small.invert(small.latent(batch=2), steps=2)
    [[embeds, options]] = small.text()
    three = [[embeds.repeat(3, 1, 1), {"pooled_output": options["pooled_output"].repeat(3, 1)}]]
    with pytest.raises(ValueError, match="attributes conditioning holds 3 texts for 2 latents"):
        small.sample(trajectory, small.faces(2), -10.0, attributes=three)
    with pytest.raises(ValueError, match="source conditioning holds 3 texts for 2 latents"):
        small.invert(small.latent(batch=2), steps=2, source=three)
    with pytest.raises(ValueError, match="negative conditioning holds 3 texts for 2 latents"):
        small.invert(small.latent(batch=2), steps=2, negative=three, cfg=-5.0)


def advanced(small: SmallModel, latent: Any, sigmas: Any = None, faces: int = 1) -> Any:
    from comfy_extras.nodes_custom_sampler import DisableNoise, SamplerCustomAdvanced

    trajectory = small.invert(small.latent(batch=faces), steps=4)
    guider = run_node("ReverseIdentityGuider", small.model, trajectory, small.faces(faces), -10.0)
    own = run_node("ReverseIdentityReplaySigmas", trajectory)
    with torch.inference_mode():
        [noise] = DisableNoise.execute().result
        return SamplerCustomAdvanced.execute(
            noise,
            guider,
            run_node("ReverseIdentityReplaySampler", trajectory),
            own if sigmas is None else sigmas,
            latent,
        )


def test_other_sizes_batches_sigmas_and_masks_are_refused(small: SmallModel) -> None:
    with pytest.raises(ValueError, match=r"shape \(1, 4, 16, 16\).*recorded for \(1, 4, 8, 8\)"):
        advanced(small, small.latent(side=16))
    with pytest.raises(ValueError, match="2 latents but 1 faces"):
        advanced(small, small.latent(batch=2))
    with pytest.raises(ValueError, match=r"sigmas are 3 levels from 1 to 0.*recorded at 5 levels"):
        advanced(small, small.latent(), torch.tensor([1.0, 0.5, 0.0]))
    with pytest.raises(ValueError, match="noise mask"):
        advanced(small, {**small.latent(), "noise_mask": torch.ones(1, 8, 8)})


@pytest.mark.parametrize(
    ("latent", "message"),
    [
        ({"samples": torch.zeros(1, 16, 8, 8)}, r"shape \(1, 16, 8, 8\).*4 channels"),
        ({"samples": torch.zeros(0, 4, 8, 8)}, "one or more pictures"),
        ({"samples": torch.zeros(1, 4, 3, 8, 8)}, r"expected pictures \[batch, 4"),
        ({"samples": torch.full((1, 4, 8, 8), float("nan"))}, "not finite"),
        ({"samples": torch.zeros(1, 4, 8, 8), "noise_mask": torch.ones(1, 8, 8)}, "noise mask"),
    ],
)
def test_latents_that_cannot_be_inverted(small: SmallModel, latent: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small.invert(latent)


def test_flow_models_are_refused(small: SmallModel) -> None:
    import comfy.model_sampling

    class Flow(comfy.model_sampling.ModelSamplingDiscreteFlow, comfy.model_sampling.CONST):
        pass

    model = small.model.clone()
    model.add_object_patch("model_sampling", Flow())
    with pytest.raises(ValueError, match=r"samples with Flow.*discrete noise levels"):
        small.invert(small.latent(), model=model)


def test_models_without_a_unet_are_refused(small: SmallModel) -> None:
    import comfy.model_patcher

    cpu = torch.device("cpu")
    other = comfy.model_patcher.CoreModelPatcher(torch.nn.Linear(2, 2), load_device=cpu, offload_device=cpu)
    with pytest.raises(ValueError, match="the model is Linear, which has no cross-attention"):
        run_node("ReverseIdentityAdapterLoader", other, small.golden.adapter_files[0], 1.0)


@pytest.mark.parametrize("name", ["truncated.bin", "truncated.safetensors", "text.bin", "empty.safetensors"])
def test_broken_adapter_files_are_named(small: SmallModel, tmp_path: Path, name: str) -> None:
    import folder_paths

    whole = (GOLDEN / f"ip-adapter-faceid_tiny{Path(name).suffix}").read_bytes()
    content = {"truncated": whole[: len(whole) // 2], "text": b"<html>not found</html>", "empty": b""}
    (tmp_path / name).write_bytes(content[Path(name).stem])
    folder_paths.add_model_folder_path("ipadapter", str(tmp_path))
    with pytest.raises(ValueError, match=rf'(?s)"{name}" cannot be read: .*truncated or not a model file'):
        run_node("ReverseIdentityAdapterLoader", small.golden.patcher, name, 1.0)
