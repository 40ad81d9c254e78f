"""Converts a checkpoint in SDXL's original layout, such as the miniature's, to a pipeline of diffusers.

diffusers' own conversion recognises the released models by their widths and fetches their settings; here the sizes are
given, and only its renaming of tensors is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderTiny, DPMSolverMultistepScheduler, StableDiffusionXLPipeline, UNet2DConditionModel
from diffusers.loaders.single_file_utils import (
    convert_ldm_clip_checkpoint,
    convert_ldm_unet_checkpoint,
    convert_open_clip_checkpoint,
)
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from harness.comfyui import comfyui_folder
from miniature.checkpoint import VAE_PREFIX
from miniature.config import ModelSizes, TextEncoderSizes, UNetSizes
from miniature.weights import VAE_SCALE

SIZE_FEATURES = 256
"""Features of each of the six numbers of SDXL's size conditioning."""

CLIP_L_PREFIX = "conditioner.embedders.0.transformer."
CLIP_G_PREFIX = "conditioner.embedders.1.model."

TEXT_LENGTH = 77
"""Tokens of a text, with its end and what fills it up."""

END_OF_TEXT = 49407
"""Token at which a text encoder pools."""


def pipeline_of(checkpoint: Path, sizes: ModelSizes) -> Any:
    """Read a checkpoint as a `StableDiffusionXLPipeline`, float32 on the CPU.

    Args:
        checkpoint: `.safetensors` in SDXL's layout, whose autoencoder has TAESD's form.
        sizes: of its networks.

    Raises:
        SetupError: there is no ComfyUI, whose tokenizer's vocabulary is used.
        ValueError: a tensor is missing or left over.
    """
    state = {name: tensor.float() for name, tensor in load_file(checkpoint).items()}
    vocabulary = str(comfyui_folder() / "comfy" / "sd1_tokenizer")
    return StableDiffusionXLPipeline(
        vae=autoencoder(state),
        text_encoder=clip_l(state, sizes.clip_l),
        text_encoder_2=clip_g(state, sizes.clip_g),
        tokenizer=CLIPTokenizer.from_pretrained(vocabulary, model_max_length=TEXT_LENGTH),
        # As the host does, SDXL's second encoder is given the token 0 after the end of the text.
        tokenizer_2=CLIPTokenizer.from_pretrained(vocabulary, model_max_length=TEXT_LENGTH, pad_token="!"),
        unet=unet(state, sizes.unet),
        scheduler=scheduler(),
        force_zeros_for_empty_prompt=True,
        add_watermarker=False,
    )


def scheduler() -> Any:
    """A `DPMSolverMultistepScheduler`: second-order SDE-DPM-Solver++ on SDXL's noise schedule, with a step to t = 0."""
    return DPMSolverMultistepScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        algorithm_type="sde-dpmsolver++",
        solver_order=2,
        final_sigmas_type="sigma_min",
    )


def unet_settings(sizes: UNetSizes) -> dict[str, Any]:
    """The arguments of `UNet2DConditionModel` for these sizes."""
    widths = [sizes.model_channels * factor for factor in sizes.channel_mult]
    per_level = sizes.num_res_blocks[0]
    depths = list(sizes.transformer_depth[::per_level])
    attends = ["CrossAttn" if depth else "" for depth in depths]
    return {
        "in_channels": sizes.in_channels,
        "out_channels": sizes.out_channels,
        "block_out_channels": widths,
        "layers_per_block": per_level,
        "down_block_types": [f"{kind}DownBlock2D" for kind in attends],
        "up_block_types": [f"{kind}UpBlock2D" for kind in reversed(attends)],
        "transformer_layers_per_block": [max(depth, 1) for depth in depths],
        # The library's name for the number of heads, by level.
        "attention_head_dim": [width // sizes.num_head_channels for width in widths],
        "cross_attention_dim": sizes.context_dim,
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": SIZE_FEATURES,
        "projection_class_embeddings_input_dim": sizes.adm_in_channels,
    }


def unet(state: Mapping[str, Tensor], sizes: UNetSizes) -> Any:
    """The denoiser, a `UNet2DConditionModel`.

    Args:
        state: with SDXL's names, `model.diffusion_model.*`.
        sizes: of the network.

    Raises:
        ValueError: a tensor is missing or left over.
    """
    settings = unet_settings(sizes)
    network = UNet2DConditionModel(**settings)
    return _filled(network, convert_ldm_unet_checkpoint(dict(state), settings))


def autoencoder(state: Mapping[str, Tensor]) -> Any:
    """The autoencoder, an `AutoencoderTiny`, from the names of the host's TAESD.

    Args:
        state: with `first_stage_model.taesd_*`.

    Raises:
        ValueError: a tensor is missing or left over.
    """
    renamed = {}
    for name, tensor in state.items():
        part, _, rest = name.removeprefix(VAE_PREFIX).partition(".")
        if part == "taesd_encoder":
            renamed[f"encoder.layers.{rest}"] = tensor
        elif part == "taesd_decoder":
            # The host counts the decoder's clamp as a layer; diffusers does not.
            number, _, inner = rest.partition(".")
            renamed[f"decoder.layers.{int(number) - 1}.{inner}"] = tensor
    # Model space is the host's latent times SDXL's scale, and that latent is the encoder's output over `vae_scale`.
    scale = VAE_SCALE / float(state[f"{VAE_PREFIX}vae_scale"])
    return _filled(AutoencoderTiny(scaling_factor=scale), renamed)


def clip_l(state: Mapping[str, Tensor], sizes: TextEncoderSizes) -> CLIPTextModel:
    """SDXL's first text encoder, whose layout is CLIP's own.

    Raises:
        ValueError: a tensor is missing or left over.
    """
    own = {name: tensor for name, tensor in state.items() if name.startswith(CLIP_L_PREFIX)}
    model = CLIPTextModel(_text_config(sizes, "quick_gelu"))
    return _filled(model, _named_for(model, convert_ldm_clip_checkpoint(own, remove_prefix=CLIP_L_PREFIX)))


def clip_g(state: Mapping[str, Tensor], sizes: TextEncoderSizes) -> CLIPTextModelWithProjection:
    """SDXL's second text encoder, whose layout is OpenCLIP's.

    Raises:
        ValueError: a tensor is missing or left over.
    """
    model = CLIPTextModelWithProjection(_text_config(sizes, "gelu"))
    return _filled(model, _named_for(model, convert_open_clip_checkpoint(model, dict(state), prefix=CLIP_G_PREFIX)))


def _text_config(sizes: TextEncoderSizes, activation: str) -> CLIPTextConfig:
    return CLIPTextConfig(
        hidden_size=sizes.hidden_size,
        intermediate_size=sizes.intermediate_size,
        num_attention_heads=sizes.num_attention_heads,
        num_hidden_layers=sizes.num_hidden_layers,
        projection_dim=sizes.projection_dim,
        hidden_act=activation,
        eos_token_id=END_OF_TEXT,
    )


def _named_for(model: nn.Module, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    # transformers 5.6 and later has no `text_model` in the names of the encoder without a projection.
    wrapped = hasattr(model, "text_model")
    return {name if wrapped else name.removeprefix("text_model."): tensor for name, tensor in state.items()}


def _filled(network: Any, state: Mapping[str, Tensor]) -> Any:
    """The network with these weights, for inference.

    Raises:
        ValueError: a tensor is missing or left over.
    """
    found = network.load_state_dict(dict(state), strict=False)
    # A buffer, which the network makes by itself.
    extra = [name for name in found.unexpected_keys if not name.endswith("position_ids")]
    missing = [name for name in found.missing_keys if not name.endswith("position_ids")]
    if missing or extra:
        raise ValueError(
            f"{type(network).__name__} lacks {len(missing)} tensors ({', '.join(missing[:3])}) and does not know "
            f"{len(extra)} ({', '.join(extra[:3])}): the sizes are not those of the checkpoint"
        )
    return network.eval().requires_grad_(False).to(torch.float32)
