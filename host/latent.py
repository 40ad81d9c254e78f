"""Checks of ComfyUI's LATENT where it enters the pack."""

from __future__ import annotations

from typing import Any

import torch
from comfy.model_patcher import ModelPatcher
from torch import Tensor


def checked_samples(model: ModelPatcher, latent: dict[str, Any]) -> Tensor:
    """The pictures in a LATENT, if the model can invert them.

    Args:
        model: whose latent format counts.
        latent: ComfyUI's LATENT.

    Returns:
        [B, C, h, w], unchanged.

    Raises:
        ValueError: it has the wrong dimensions or number of channels, no picture, a noise mask, or values that are
            not finite.
    """
    samples = latent["samples"]
    channels = model.get_model_object("latent_format").latent_channels
    if samples.is_nested or samples.ndim != 4:
        raise ValueError(
            f"the latent has {'parts' if samples.is_nested else f'the shape {tuple(samples.shape)}'}; expected "
            f"pictures [batch, {channels}, height, width] as VAE Encode makes them"
        )
    if samples.shape[0] == 0 or samples.shape[1] != channels:
        raise ValueError(
            f"the latent has the shape {tuple(samples.shape)}, but the model needs one or more pictures of "
            f"{channels} channels; encode the picture with the VAE of this model"
        )
    if "noise_mask" in latent:
        raise ValueError(
            "the latent has a noise mask, which an inversion cannot honour; remove the mask from the latent"
        )
    if not torch.isfinite(samples).all():
        raise ValueError(
            "the latent holds values that are not finite; the cause is before this node, usually a VAE in float16: "
            "start ComfyUI with --fp32-vae"
        )
    return samples
