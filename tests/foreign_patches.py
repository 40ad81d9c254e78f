"""Models with patches as other nodes make them, which treat branches, draws and timesteps in their own ways."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

SIDE = 16
"""Of latents that all of them can work on."""

PATCHES: dict[str, Callable[[Any], Any]] = {}
"""Patches by name: model -> patched model."""

CONDITIONED, OTHER = 0, 1
"""The host's numbers of the two slots of `cond_or_uncond`."""


def patch(make: Callable[[Any], Any]) -> Callable[[Any], Any]:
    PATCHES[make.__name__] = make
    return make


def of_host(module: str, name: str, model: Any, *options: Any) -> Any:
    """What one of the host's nodes makes of the model."""
    answer = getattr(importlib.import_module(f"comfy_extras.{module}"), name).execute(model, *options)
    return getattr(answer, "result", answer)[0]


def in_one_slot(model: Any, slot: int) -> Any:
    """Changes the cross-attention of one slot only, as image prompts do."""

    def scaled(out: Tensor, options: dict[str, Any]) -> Tensor:
        slots = options["cond_or_uncond"]
        parts = zip(out.chunk(len(slots)), slots, strict=True)
        return torch.cat([part * 1.3 if number == slot else part for part, number in parts])

    model = model.clone()
    model.set_model_attn2_output_patch(scaled)
    return model


@patch
def conditioned_slot(model: Any) -> Any:
    return in_one_slot(model, CONDITIONED)


@patch
def other_slot(model: Any) -> Any:
    return in_one_slot(model, OTHER)


@patch
def self_attention_guidance(model: Any) -> Any:
    return of_host("nodes_sag", "SelfAttentionGuidance", model, 0.5, 2.0)


@patch
def perturbed_attention_guidance(model: Any) -> Any:
    return of_host("nodes_pag", "PerturbedAttentionGuidance", model, 3.0)


@patch
def guidance_of_its_own(model: Any) -> Any:
    """Guidance of another node that uses both branches, whatever the scale."""
    model = model.clone()
    model.set_model_sampler_cfg_function(lambda args: 0.6 * args["cond"] + 0.4 * args["uncond"])
    return model


@patch
def branches_of_another_kind(model: Any) -> Any:
    """A wrapper that reads what is in both branches."""
    from comfy.patcher_extension import WrappersMP

    def reading(executor: Any, model: Any, conds: Any, *args: Any) -> Any:
        assert all(cond[0]["model_conds"] for cond in conds)
        return executor(model, conds, *args)

    model = model.clone()
    model.add_wrapper_with_key(WrappersMP.CALC_COND_BATCH, "another pack", reading)
    return model


@patch
def hyper_tile(model: Any) -> Any:
    return of_host("nodes_hypertile", "HyperTile", model, 32, 4, 1, False)


@patch
def drawing_in_the_attention(model: Any) -> Any:
    """As token merging does, which leaves the small network alone: it has no attention at full size."""
    model = model.clone()
    model.set_model_attn1_output_patch(lambda out, options: out * (1 + 0.1 * torch.rand(1, device=out.device)))
    return model


@patch
def drawing_around_the_model(model: Any) -> Any:
    """A function around the whole model that draws before the network runs."""
    model = model.clone()
    model.set_model_unet_function_wrapper(
        lambda apply, args: apply(args["input"], args["timestep"], **args["c"]) * (1 + 0.1 * torch.rand(1))
    )
    return model


@patch
def deep_shrink(model: Any) -> Any:
    options = (1, 2.0, 0.0, 0.75, True, "bicubic", "bicubic")
    return of_host("nodes_model_downscale", "PatchModelAddDownscale", model, *options)
