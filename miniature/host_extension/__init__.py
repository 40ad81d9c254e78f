"""Teaches ComfyUI the size of the miniature, an SDXL that a CPU runs in a moment.

ComfyUI recognises a checkpoint by looking up its widths in a list of model classes. This package, placed in
`custom_nodes`, adds a class to that list; the loader nodes and everything behind them remain the host's own.
`sizes.json` beside this file holds every width, for this package and for the builder of the files.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import comfy.supported_models
import comfy.supported_models_base
import torch
from comfy.sdxl_clip import SDXLClipModel, SDXLTokenizer

SIZES: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("sizes.json").read_text(encoding="utf-8"))

DETECTED = ("model_channels", "transformer_depth", "context_dim", "adm_in_channels")
"""The widths that distinguish the miniature from every other model."""

NODE_CLASS_MAPPINGS: dict[str, type] = {}


class MiniatureClipModel(SDXLClipModel):
    """SDXL's pair of text encoders in the miniature's widths."""

    def __init__(
        self,
        device: torch.device | str = "cpu",
        dtype: torch.dtype | None = None,
        model_options: dict[str, Any] | None = None,
    ) -> None:
        widths = {f"{name}_model_config": SIZES[name] for name in ("clip_l", "clip_g")}
        super().__init__(device=device, dtype=dtype, model_options={**(model_options or {}), **widths})


class MiniatureSDXL(comfy.supported_models.SDXL):
    """SDXL in the miniature's widths, as ComfyUI's model detection describes a model."""

    unet_config = {
        **{name: SIZES["unet"][name] for name in DETECTED},
        "use_linear_in_transformer": True,
        "use_temporal_attention": False,
    }
    # Detection cannot see the head width in the weights.
    unet_extra_config = {"num_heads": -1, "num_head_channels": SIZES["unet"]["num_head_channels"]}

    def clip_target(self, state_dict: dict[str, torch.Tensor] | None = None) -> Any:
        """The host's own tokenizer, and the text encoders of this checkpoint."""
        return comfy.supported_models_base.ClipTarget(SDXLTokenizer, MiniatureClipModel)


def register() -> None:
    """Add `MiniatureSDXL` to the models that ComfyUI detects, once, however often this is called or imported."""
    known = comfy.supported_models.models
    if all(model.__name__ != MiniatureSDXL.__name__ for model in known):
        known.append(MiniatureSDXL)


register()
