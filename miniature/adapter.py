"""Writes an IP-Adapter FaceID file for a UNet: identity projection, key/value layers and LoRA."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from .checkpoint import unet_shapes
from .config import IDENTITY_WIDTH, ModelSizes
from .files import TensorSpec, whole_file
from .weights import fan_in, normal

LORA_CHANGE = 0.25
"""Size of the LoRA's change to a weight, relative to the weight."""

PROJECTION_SPREAD = 0.5
"""Standard deviation of the projection's first weights and of its biases.

A unit vector adds as much to the hidden layer as the biases do: people differ, and the null identity (the zero
vector) still has tokens of its own, as with a trained projection.
"""

LORA_TARGETS = {"q": "to_q", "k": "to_k", "v": "to_v", "out": "to_out.0"}
"""LoRA name in the adapter file -> layer name in the UNet."""

_BLOCK_ORDER = ("input_blocks", "output_blocks", "middle_block")
_ATTENTION = re.compile(
    rf"({'|'.join(_BLOCK_ORDER)})\.(\d+)(?:\.(\d+))?\.transformer_blocks\.(\d+)\.attn([12])\.to_q\.weight"
)


def attention_names(unet_keys: Iterable[str]) -> list[str]:
    """The UNet's attentions, in the order in which the adapter's file numbers them.

    These are the input blocks, the output blocks, then the middle block. Within a transformer block self-attention
    comes first, so that it has the even numbers and cross-attention the odd ones.

    Args:
        unet_keys: the UNet's tensor names, without a prefix.

    Returns:
        Module names such as `input_blocks.4.1.transformer_blocks.0.attn1`; the index is the number.
    """
    numbered = []
    for key in unet_keys:
        match = _ATTENTION.fullmatch(key)
        if match:
            side, block, inner, depth, attention = match.groups()
            place = (_BLOCK_ORDER.index(side), int(block), int(inner or 0), int(depth), int(attention))
            numbered.append((place, key.removesuffix(".to_q.weight")))
    return [name for _, name in sorted(numbered)]


def adapter_specs(sizes: ModelSizes) -> dict[str, dict[str, TensorSpec]]:
    """Every tensor of the adapter file, float16, by the file's two groups.

    Raises:
        harness.environment.SetupError: there is no ComfyUI, see `harness.comfyui.comfyui_folder`.
    """
    hidden, rank, context = sizes.adapter.projection_hidden, sizes.adapter.lora_rank, sizes.unet.context_dim
    projection: dict[str, tuple[int, ...]] = {
        "proj.0.weight": (hidden, IDENTITY_WIDTH),
        "proj.0.bias": (hidden,),
        "proj.2.weight": (sizes.adapter.tokens * context, hidden),
        "proj.2.bias": (sizes.adapter.tokens * context,),
        "norm.weight": (context,),
        "norm.bias": (context,),
    }
    unet = unet_shapes(sizes.unet)
    layers: dict[str, tuple[int, ...]] = {}
    for number, attention in enumerate(attention_names(unet)):
        for target, layer in LORA_TARGETS.items():
            rows, columns = unet[f"{attention}.{layer}.weight"]
            layers[f"{number}.to_{target}_lora.down.weight"] = (rank, columns)
            layers[f"{number}.to_{target}_lora.up.weight"] = (rows, rank)
        if attention.endswith("attn2"):
            width = unet[f"{attention}.to_k.weight"][0]
            layers[f"{number}.to_k_ip.weight"] = (width, context)
            layers[f"{number}.to_v_ip.weight"] = (width, context)
    return {"image_proj": _specs(projection), "ip_adapter": _specs(layers)}


def _specs(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, TensorSpec]:
    return {name: TensorSpec(shape) for name, shape in shapes.items()}


def _random(name: str, spec: TensorSpec, seed: int) -> Tensor:
    if name == "norm.weight":
        return torch.ones(spec.shape, dtype=spec.dtype)
    if name == "norm.bias":
        return torch.zeros(spec.shape, dtype=spec.dtype)
    if name == "proj.0.weight" or name.endswith(".bias"):
        spread = PROJECTION_SPREAD
    elif name.endswith("lora.up.weight"):
        spread = LORA_CHANGE / math.sqrt(fan_in(spec.shape))
    else:
        spread = 1 / math.sqrt(fan_in(spec.shape))
    return normal(f"adapter.{name}", spec.shape, seed, spread).to(spec.dtype)


def write_adapter(path: Path, sizes: ModelSizes, seed: int) -> None:
    """Write an adapter with random weights, as `torch.save` of two nested dictionaries of float16 tensors.

    Raises:
        harness.environment.SetupError: there is no ComfyUI, see `harness.comfyui.comfyui_folder`.
        OSError: the file cannot be written.
    """
    groups = {
        group: {name: _random(name, spec, seed) for name, spec in specs.items()}
        for group, specs in adapter_specs(sizes).items()
    }
    with whole_file(path) as stream:
        torch.save(groups, stream)
