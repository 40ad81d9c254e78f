"""Writes the checkpoint: UNet, two text encoders and a VAE in one file, under the keys of SDXL's own files."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor, nn

from . import host
from .autoencoder import keep_colours
from .config import ModelSizes, UNetSizes
from .files import TensorSpec, stream_safetensors, whole_file
from .weights import sane

UNET_PREFIX = "model.diffusion_model."
VAE_PREFIX = "first_stage_model."

KL_AUTOENCODER = {
    "double_z": True,
    "z_channels": 4,
    "resolution": 256,
    "in_channels": 3,
    "out_ch": 3,
    "ch": 128,
    "ch_mult": [1, 2, 4, 4],
    "num_res_blocks": 2,
    "attn_resolutions": [],
    "dropout": 0.0,
}
"""SDXL's autoencoder, in the words of the host's `AutoencoderKL`."""


def build_unet(sizes: UNetSizes, dtype: torch.dtype = torch.float16, device: str = "meta") -> nn.Module:
    """The host's own UNet in these sizes, with uninitialised weights. On the meta device it only has shapes.

    Raises:
        harness.environment.SetupError: there is no ComfyUI, see `harness.comfyui.comfyui_folder`.
    """
    network = host.module("comfy.ldm.modules.diffusionmodules.openaimodel").UNetModel
    config = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(sizes).items()}
    unet: nn.Module = network(
        **config,
        image_size=32,
        num_classes="sequential",
        num_heads=-1,
        use_spatial_transformer=True,
        use_linear_in_transformer=True,
        legacy=False,
        dtype=dtype,
        device=device,
        operations=host.module("comfy.ops").disable_weight_init,
    )
    return unet


def text_encoder_widths(sizes: ModelSizes) -> dict[str, dict[str, int]]:
    """Widths of the two text encoders, as the host's classes expect them."""
    return {f"{name}_model_config": asdict(getattr(sizes, name)) for name in ("clip_l", "clip_g")}


def _text_encoders(sizes: ModelSizes) -> dict[str, Tensor]:
    widths = text_encoder_widths(sizes)
    pair = host.module("comfy.sdxl_clip").SDXLClipModel(device="meta", dtype=torch.float16, model_options=widths)
    # The host's own conversion from its names to those of the file: CLIP's for one encoder, OpenCLIP's for the other.
    sdxl = host.module("comfy.supported_models").SDXL
    stored: dict[str, Tensor] = sdxl.process_clip_state_dict_for_saving(sdxl, pair.state_dict())
    return stored


def _vae(sizes: ModelSizes) -> dict[str, Tensor]:
    with torch.device("meta"):
        if sizes.vae == "taesd":
            vae = host.module("comfy.taesd.taesd").TAESD(latent_channels=sizes.unet.in_channels)
        else:
            autoencoder = host.module("comfy.ldm.models.autoencoder").AutoencoderKL
            vae = autoencoder(ddconfig=KL_AUTOENCODER, embed_dim=KL_AUTOENCODER["z_channels"])
    tensors: dict[str, Tensor] = vae.state_dict()
    return {VAE_PREFIX + name: tensor for name, tensor in tensors.items()}


def unet_shapes(sizes: UNetSizes) -> dict[str, tuple[int, ...]]:
    """Shape of every tensor of the UNet, by its name within the UNet.

    Raises:
        harness.environment.SetupError: there is no ComfyUI, see `harness.comfyui.comfyui_folder`.
    """
    return {name: tuple(tensor.shape) for name, tensor in build_unet(sizes).state_dict().items()}


def checkpoint_specs(sizes: ModelSizes) -> dict[str, TensorSpec]:
    """Every tensor of the checkpoint file: float16, except `position_ids`, which are int64.

    Raises:
        harness.environment.SetupError: there is no ComfyUI, see `harness.comfyui.comfyui_folder`.
    """
    shapes = {UNET_PREFIX + name: shape for name, shape in unet_shapes(sizes.unet).items()}
    shapes |= {name: tuple(tensor.shape) for name, tensor in {**_text_encoders(sizes), **_vae(sizes)}.items()}
    return {
        name: TensorSpec(shape, torch.int64 if name.endswith("position_ids") else torch.float16)
        for name, shape in shapes.items()
    }


def write_checkpoint(path: Path, sizes: ModelSizes, seed: int) -> None:
    """Write a checkpoint with random weights, one tensor in memory at a time.

    Raises:
        harness.environment.SetupError: there is no ComfyUI, see `harness.comfyui.comfyui_folder`.
        OSError: the file cannot be written.
    """

    def make(name: str, spec: TensorSpec) -> Tensor:
        tensor = sane(name, spec.shape, seed, spec.dtype)
        if sizes.vae == "taesd" and name.startswith(VAE_PREFIX):
            return keep_colours(name.removeprefix(VAE_PREFIX), tensor)
        return tensor

    specs = checkpoint_specs(sizes)
    with whole_file(path) as stream:
        stream_safetensors(stream, specs, make)
