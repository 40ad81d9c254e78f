"""Widths and depths of SDXL-shaped models: the miniature's and the real ones."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

IDENTITY_WIDTH = 512
"""Length of an InsightFace identity embedding."""

SIZES_FILE = Path(__file__).parent / "host_extension" / "sizes.json"
"""The miniature's widths, shared with the host extension."""


@dataclass(frozen=True)
class UNetSizes:
    """Sizes of SDXL's UNet, under the names of the host's `UNetModel`.

    Attributes:
        model_channels: width of the first level.
        channel_mult: width of each level in units of `model_channels`.
        num_res_blocks: residual blocks of each level on the way down.
        transformer_depth: transformer blocks after each residual block on the way down.
        transformer_depth_output: the same on the way up, listed from the first level to the last.
        transformer_depth_middle: transformer blocks in the middle.
        context_dim: width of the text tokens.
        adm_in_channels: width of the pooled text plus six size numbers of 256 features each.
        num_head_channels: width of an attention head.
        in_channels: latent channels in.
        out_channels: latent channels out.
    """

    model_channels: int
    channel_mult: tuple[int, ...]
    num_res_blocks: tuple[int, ...]
    transformer_depth: tuple[int, ...]
    transformer_depth_output: tuple[int, ...]
    transformer_depth_middle: int
    context_dim: int
    adm_in_channels: int
    num_head_channels: int
    in_channels: int = 4
    out_channels: int = 4


@dataclass(frozen=True)
class TextEncoderSizes:
    """Sizes of a CLIP text encoder. Vocabulary (49408) and length (77) are always CLIP's."""

    hidden_size: int
    intermediate_size: int
    num_attention_heads: int
    num_hidden_layers: int
    projection_dim: int


@dataclass(frozen=True)
class AdapterSizes:
    """Sizes of an IP-Adapter FaceID file.

    Attributes:
        tokens: identity tokens made from one embedding.
        projection_hidden: width of the projection's hidden layer.
        lora_rank: rank of the LoRA on every attention's q, k, v and out.
    """

    tokens: int
    projection_hidden: int
    lora_rank: int


@dataclass(frozen=True)
class ModelSizes:
    """All sizes of a checkpoint and its adapter.

    Attributes:
        unet: the denoiser.
        clip_l: the text encoder stored in CLIP's own layout.
        clip_g: the text encoder stored in OpenCLIP's layout.
        vae: "taesd", the light autoencoder, or "kl", SDXL's own.
        adapter: the FaceID adapter.
    """

    unet: UNetSizes
    clip_l: TextEncoderSizes
    clip_g: TextEncoderSizes
    vae: Literal["taesd", "kl"]
    adapter: AdapterSizes


def _miniature() -> ModelSizes:
    widths: dict[str, dict[str, Any]] = json.loads(SIZES_FILE.read_text(encoding="utf-8"))
    unet: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in widths["unet"].items()
    }
    return ModelSizes(
        unet=UNetSizes(**unet),
        clip_l=TextEncoderSizes(**widths["clip_l"]),
        clip_g=TextEncoderSizes(**widths["clip_g"]),
        vae="taesd",
        adapter=AdapterSizes(tokens=4, projection_hidden=2 * IDENTITY_WIDTH, lora_rank=8),
    )


MINIATURE = _miniature()

SDXL = ModelSizes(
    unet=UNetSizes(
        model_channels=320,
        channel_mult=(1, 2, 4),
        num_res_blocks=(2, 2, 2),
        transformer_depth=(0, 0, 2, 2, 10, 10),
        transformer_depth_output=(0, 0, 0, 2, 2, 2, 10, 10, 10),
        transformer_depth_middle=10,
        context_dim=2048,
        adm_in_channels=2816,
        num_head_channels=64,
    ),
    clip_l=TextEncoderSizes(
        hidden_size=768,
        intermediate_size=3072,
        num_attention_heads=12,
        num_hidden_layers=12,
        projection_dim=768,
    ),
    clip_g=TextEncoderSizes(
        hidden_size=1280,
        intermediate_size=5120,
        num_attention_heads=20,
        num_hidden_layers=32,
        projection_dim=1280,
    ),
    vae="kl",
    adapter=AdapterSizes(tokens=4, projection_hidden=2 * IDENTITY_WIDTH, lora_rank=128),
)
