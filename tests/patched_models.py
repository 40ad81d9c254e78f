"""Models with one patch each, of every class that the host knows, made anew at each call."""

from __future__ import annotations

import functools
import importlib
import json
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from tests.in_host import part
from tests.small_model import SmallModel

Patched = Callable[[Any, float], Any]
"""From a model and a setting to a copy with a patch of that setting."""


def _scaled(setting: float) -> Callable[..., Any]:
    def patch(*args: Any) -> Any:
        return args[0] * setting if len(args) == 2 else (args[0] * setting, *args[1:-1])

    return patch


def _replacement(setting: float) -> Callable[..., Tensor]:
    def attend(q: Tensor, k: Tensor, v: Tensor, extra_options: dict[str, Any]) -> Tensor:
        return q * setting

    return attend


def _guided(setting: float) -> Callable[[dict[str, Any]], Tensor]:
    def guide(args: dict[str, Any]) -> Tensor:
        return args["input"] - args["denoised"] * setting if "denoised" in args else args["cond"] * setting

    return guide


def _before(setting: float) -> Callable[[dict[str, Any]], list[Tensor]]:
    return lambda args: [cond * setting for cond in args["conds_out"]]


def _around(setting: float) -> Callable[..., Tensor]:
    def around(executor: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
        return executor(*args, **kwargs) * setting

    return around


class Scaled:
    """A patch with settings, and with a counter that it keeps."""

    def __init__(self, setting: float) -> None:
        self.setting = setting
        self.calls = 0

    def __call__(self, function: Callable[..., Tensor], options: dict[str, Any]) -> Tensor:
        self.count()
        return function(options["input"], options["timestep"], **options["c"]) * self.setting

    def count(self) -> None:
        self.calls += 1

    def output(self, h: Tensor, hsp: Tensor, options: dict[str, Any]) -> tuple[Tensor, Tensor]:
        self.calls += 1
        return h * self.setting, hsp


class Layer(nn.Module):
    """A module with a setting, in place of one of the network's."""

    def __init__(self, setting: float) -> None:
        super().__init__()
        self.setting = setting
        self.offset = nn.Parameter(torch.full((4,), setting))

    def forward(self, x: Tensor, *args: Any) -> Tensor:
        return x * self.setting


def _set(name: str, make: Callable[[float], Any], *options: Any) -> Patched:
    """A copy after one of the model patcher's own setters."""

    def patched(model: Any, setting: float) -> Any:
        model = model.clone()
        getattr(model, name)(*((make(setting), *options) if not name.startswith("add") else (*options, make(setting))))
        return model

    return patched


def host_node(module: str, name: str, *arguments: Any) -> Patched:
    """A copy after one of the host's nodes; the argument `...` is the setting."""

    def patched(model: Any, setting: float) -> Any:
        kind = getattr(importlib.import_module(f"comfy_extras.{module}"), name)
        given = [setting if argument is ... else argument for argument in arguments]
        answer = (
            kind.execute(model, *given) if hasattr(kind, "execute") else getattr(kind(), kind.FUNCTION)(model, *given)
        )
        return getattr(answer, "result", answer)[0]

    return patched


def _merge(model: Any, setting: float) -> Any:
    other = host_node("nodes_attention_multiply", "UNetSelfAttentionMultiply", 1.0, 1.0, 1.0, 1.1)(model, 0.0)
    merge = importlib.import_module("comfy_extras.nodes_model_merging").ModelMergeSimple()
    return merge.merge(model, other, 0.3 * setting)[0]


def _lora(model: Any, setting: float) -> Any:
    import comfy.lora

    key = "diffusion_model.input_blocks.4.1.transformer_blocks.0.attn1.to_q.weight"
    width = model.model.diffusion_model.input_blocks[4][1].transformer_blocks[0].attn1.to_q.weight.shape[0]
    generator = torch.Generator().manual_seed(0)
    low = {
        "lora_up": torch.randn(width, 2, generator=generator),
        "lora_down": torch.randn(2, width, generator=generator),
    }
    patches = comfy.lora.load_lora({f"x.{name}.weight": value for name, value in low.items()}, {"x": key})
    model = model.clone()
    assert model.add_patches(patches, 0.1 * setting)
    return model


def _own_model(model: Any, setting: float) -> Any:
    """A patch that holds the model that it is on, as many do."""
    copy = model.clone()

    def patch(h: Tensor, hsp: Tensor, options: dict[str, Any]) -> tuple[Tensor, Tensor]:
        return h * setting * float(copy.get_model_object("model_sampling").sigma_max), hsp

    copy.set_model_output_block_patch(patch)
    return copy


def _local_class(model: Any, setting: float) -> Any:
    class Local:
        def __call__(self, q: Tensor, k: Tensor, v: Tensor, options: dict[str, Any]) -> tuple[Tensor, Tensor, Tensor]:
            return q * setting, k, v

    model = model.clone()
    model.set_model_attn1_patch(Local())
    return model


def _mask(setting: float) -> Callable[..., Any]:
    mask = torch.ones(64, 64)
    mask[31, 17] = setting  # one pixel
    return lambda h, hsp, options: (h * mask.mean(), hsp)


def _sampled_by(model: Any, setting: float) -> Any:
    return host_node(
        "nodes_model_advanced", "ModelSamplingDiscrete", "lcm" if setting == 1.0 else "v_prediction", False
    )(model, setting)


def _attached(model: Any, setting: float) -> Any:
    model = model.clone()
    model.set_attachments("another pack", {"strength": setting})
    return model


def _injected(model: Any, setting: float) -> Any:
    from comfy.patcher_extension import PatcherInjection

    model = model.clone()
    model.set_injections("another pack", [PatcherInjection(_scaled(setting), _scaled(setting))])
    return model


OWN: dict[str, Patched] = {
    "attn1 patch": _set("set_model_attn1_patch", _scaled),
    "attn2 patch": _set("set_model_attn2_patch", _scaled),
    "attn1 output patch": _set("set_model_attn1_output_patch", _scaled),
    "attn2 output patch": _set("set_model_attn2_output_patch", _scaled),
    "attn1 replacement": _set("set_model_attn1_replace", _replacement, "middle", 0, 0),
    "attn2 replacement": _set("set_model_attn2_replace", _replacement, "middle", 0, 0),
    "attn2 replacement elsewhere": _set("set_model_attn2_replace", _replacement, "input", 4),
    "input block patch": _set("set_model_input_block_patch", _scaled),
    "input block patch after skip": _set("set_model_input_block_patch_after_skip", _scaled),
    "output block patch": _set("set_model_output_block_patch", _scaled),
    "middle block patch": _set("set_model_middle_block_after_patch", _scaled),
    "embedding patch": _set("set_model_emb_patch", _scaled),
    "cfg function": _set("set_model_sampler_cfg_function", _guided),
    "cfg function, pre": _set("set_model_sampler_pre_cfg_function", _before),
    "cfg function, post": _set("set_model_sampler_post_cfg_function", _guided),
    "calc_cond_batch function": _set("set_model_sampler_calc_cond_batch_function", _before),
    "model_function_wrapper": _set("set_model_unet_function_wrapper", Scaled),
    "denoise mask function": _set("set_model_denoise_mask_function", _scaled),
    "bound method": _set("set_model_output_block_patch", lambda setting: Scaled(setting).output),
    "partial": _set("set_model_attn1_patch", lambda setting: functools.partial(_replacement, setting)),
    "mask": _set("set_model_output_block_patch", _mask),
    "module": _set("set_model_attn1_patch", Layer),
    "local class": _local_class,
    "own model": _own_model,
    "diffusion wrapper": _set("add_wrapper_with_key", _around, "diffusion_model", "another pack"),
    "apply wrapper": _set("add_wrapper_with_key", _around, "apply_model", "another pack"),
    "callback": _set("add_callback_with_key", _around, "on_pre_run", "another pack"),
    "weight wrapper": _set("add_weight_wrapper", _scaled, "diffusion_model.input_blocks.0.0.weight"),
    "object patch": _set("add_object_patch", Layer, "diffusion_model.input_blocks.0.0"),
    "compute type": _set("set_model_compute_dtype", lambda setting: torch.float64 if setting == 1.0 else torch.float32),
    "attachment": _attached,
    "injection": _injected,
}

HOST: dict[str, Patched] = {
    "FreeU": host_node("nodes_freelunch", "FreeU", ..., 1.4, 0.9, 0.2),
    "FreeU_V2": host_node("nodes_freelunch", "FreeU_V2", ..., 1.4, 0.9, 0.2),
    "HyperTile": lambda model, setting: host_node("nodes_hypertile", "HyperTile", 32, int(2 * setting), 0, False)(
        model, setting
    ),
    "ToMe": host_node("nodes_tomesd", "TomePatchModel", ...),
    "PAG": host_node("nodes_pag", "PerturbedAttentionGuidance", ...),
    "SAG": host_node("nodes_sag", "SelfAttentionGuidance", ..., 2.0),
    "APG": host_node("nodes_apg", "APG", ..., 5.0, 0.5),
    "RescaleCFG": host_node("nodes_model_advanced", "RescaleCFG", ...),
    "Deep Shrink": host_node(
        "nodes_model_downscale", "PatchModelAddDownscale", 3, ..., 0.0, 1.0, True, "bicubic", "bicubic"
    ),
    "EpsilonScaling": host_node("nodes_eps", "EpsilonScaling", ...),
    "EasyCache": host_node("nodes_easycache", "EasyCacheNode", ..., 0.15, 0.95, False),
    "ModelSamplingDiscrete": _sampled_by,
    "ModelMergeSimple": _merge,
    "LoRA": _lora,
}

PATCHES = {**OWN, **HOST}
SETTINGS = (1.0, 0.5)


def fingerprints() -> dict[str, Any]:
    """The fingerprint of the plain model and of each patch with each setting."""
    small, fingerprint = SmallModel(), part("host.fingerprint").fingerprint
    found = {"none": fingerprint(small.model)}
    for name, patched in PATCHES.items():
        for setting in SETTINGS:
            found[f"{name} {setting}"] = fingerprint(patched(small.model, setting))
    return found


def print_fingerprints() -> None:
    """Print them as JSON, for the comparison between processes."""
    print(json.dumps({name: [found.model, found.parts] for name, found in fingerprints().items()}))
