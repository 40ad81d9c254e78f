"""What other packs and nodes have put on a model, as far as it matters to the method."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import WrappersMP, get_all_wrappers

from ..reverse_personalization.method.trajectory import Conditioning
from .identity_adapter import KEY

_GUIDANCE_HOOKS = (
    "disable_cfg1_optimization",
    "sampler_cfg_function",
    "sampler_pre_cfg_function",
    "sampler_post_cfg_function",
    "sampler_calc_cond_batch_function",
)

_HOSTS_OWN_OPTIONS = {"transformer_options", "to_load_options", "multigpu_clones", "multigpu_thread_pool"}
_HOSTS_OWN_TRANSFORMER_OPTIONS = {"sample_sigmas", "wrappers", "callbacks"}

_DECIDED_BY_THE_FIRST_TIMESTEP = (
    "start_percent",
    "end_percent",
    "clip_start_percent",
    "clip_end_percent",
    "control",
    "hooks",
    "gligen",
)


def has_guidance_hooks(model_options: Mapping[str, Any]) -> bool:
    """Whether anything other than equation 5 needs both branches of the guidance."""
    return any(model_options.get(key) for key in _GUIDANCE_HOOKS) or bool(
        get_all_wrappers(WrappersMP.CALC_COND_BATCH, model_options, is_model_options=True)
    )


def may_share_a_call(patcher: ModelPatcher, texts: Iterable[Conditioning]) -> bool:
    """Whether several timesteps may go through the network in one call.

    The host shows patches and conditionings only the first row's noise level, and a patch that draws random numbers
    would draw once for all rows. So the model may carry nothing but the identity adapter, and no text may be limited
    to timesteps or carry a ControlNet or hooks.

    Args:
        patcher: of the model.
        texts: with which it is evaluated.
    """
    options = patcher.model_options
    transformer_options = options.get("transformer_options", {})
    foreign = (
        any(value for key, value in options.items() if key not in _HOSTS_OWN_OPTIONS),
        any(value for key, value in transformer_options.items() if key not in _HOSTS_OWN_TRANSFORMER_OPTIONS),
        _foreign(patcher.wrappers),
        _foreign(patcher.callbacks),
        _foreign(transformer_options.get("wrappers", {})),
        _foreign(transformer_options.get("callbacks", {})),
        any(name.startswith("diffusion_model") for name in patcher.object_patches),
        any(patcher.injections.values()),
        any(key in given for text in texts for _, given in text for key in _DECIDED_BY_THE_FIRST_TIMESTEP),
    )
    return not any(foreign)


def _foreign(by_kind: Mapping[str, Mapping[str | None, list[Any]]]) -> bool:
    return any(
        functions
        for by_key in by_kind.values()
        for key, functions in by_key.items()
        if key is None or not key.startswith(KEY)
    )
