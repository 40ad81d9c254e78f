"""The network to train: the host's UNet and text encoders, with a FaceID adapter and its LoRA built in.

The host's loaders add adapter and LoRA to the UNet from outside. For training they must be ordinary parameters, so here
every attention is wrapped; `adapter_groups` and `checkpoint_tensors` split the network into the two files again. A
test checks that both give the same prediction.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from miniature import host
from miniature.checkpoint import UNET_PREFIX, build_unet, text_encoder_widths
from miniature.config import IDENTITY_WIDTH, ModelSizes
from miniature.weights import sane
from reverse_personalization.method.adapter import IdentityProjection
from reverse_personalization.method.attention_layout import LORA_TARGETS, transformer_sites

PREDICTING = ("out_layers.3", "proj_out", "out.2", "to_out.0", "ff.net.2")
"""Layers at the end of a branch. They start near zero, and so does every branch."""

BRANCH_START = 0.1
"""Factor for the random weights of `PREDICTING`."""

TOKEN_START = 0.02
"""Initial standard deviation of embeddings; words absent from training stay this small."""

SIZE_FEATURES = 256


class Shared:
    """Identity tokens that all attentions share during an evaluation, or None without adapter."""

    tokens: Tensor | None = None


class AdaptedAttention(nn.Module):
    """One of the host's attentions with LoRA and, if it attends to text, a second attention to the identity."""

    def __init__(self, base: Any, shared: Shared, rank: int, context_width: int | None) -> None:
        super().__init__()
        self.base = base
        self.shared = shared
        self.lora = nn.ModuleDict()
        for name, layer in LORA_TARGETS.items():
            linear = base.get_submodule(layer)
            down = nn.Linear(linear.in_features, rank, bias=False)
            up = nn.Linear(rank, linear.out_features, bias=False)
            nn.init.normal_(down.weight, std=linear.in_features**-0.5)
            nn.init.zeros_(up.weight)
            self.lora[name] = nn.Sequential(down, up)
        if context_width is not None:
            width = base.to_k.out_features
            self.to_k_ip = nn.Linear(context_width, width, bias=False)
            self.to_v_ip = nn.Linear(context_width, width, bias=False)
        self.looks_at_identity = context_width is not None

    def _linear(self, name: str, x: Tensor) -> Tensor:
        layer = self.base.get_submodule(LORA_TARGETS[name])
        weight = layer.weight
        if self.shared.tokens is not None:
            # Adding the weights costs far less than running every token through two thin layers.
            pair = self.lora[name]
            weight = weight + pair.get_parameter("1.weight") @ pair.get_parameter("0.weight")
        return F.linear(x, weight, layer.bias)

    def forward(
        self,
        x: Tensor,
        context: Tensor | None = None,
        value: Tensor | None = None,
        mask: Tensor | None = None,
        transformer_options: Any = None,
    ) -> Tensor:
        """Compute what the host's `CrossAttention` does; `value`, `mask` and the options are ignored."""
        context = x if context is None else context
        q = self._linear("to_q", x)
        heads = self.base.heads
        out = attend(q, self._linear("to_k", context), self._linear("to_v", context), heads)
        tokens = self.shared.tokens
        if tokens is not None and self.looks_at_identity:
            out = out + attend(q, self.to_k_ip(tokens), self.to_v_ip(tokens), heads)
        return self._linear("to_out", out)


class Denoiser(nn.Module):
    """UNet, text encoders and adapter in one module, float32."""

    def __init__(self, sizes: ModelSizes, seed: int) -> None:
        super().__init__()
        operations = host.module("comfy.ops").disable_weight_init
        self.unet: Any = build_unet(sizes.unet, torch.float32, "cpu")
        widths = text_encoder_widths(sizes)
        self.text = host.module("comfy.sdxl_clip").SDXLClipModel(
            device="cpu", dtype=torch.float32, model_options={**widths, "custom_operations": operations}
        )
        self.shared = Shared()
        with torch.no_grad():
            for name, tensor in (*self.unet.named_parameters(), *self.text.named_parameters()):
                start = sane(name, tensor.shape, seed, torch.float32)
                if "embedding" in name and tensor.ndim == 2:
                    start = start * (TOKEN_START / start.std())
                if name.endswith(".weight") and name.removesuffix(".weight").endswith(PREDICTING):
                    start = start * BRANCH_START
                tensor.copy_(start)
                tensor.requires_grad_("logit_scale" not in name)
        torch.manual_seed(seed)
        self.image_proj = IdentityProjection(
            IDENTITY_WIDTH, sizes.adapter.projection_hidden, sizes.adapter.tokens, sizes.unet.context_dim, operations=nn
        )
        # The 512 numbers of a unit vector are small: the first layer scales them to variance 1.
        nn.init.normal_(self.image_proj.get_parameter("proj.0.weight"))
        for module in list(self.unet.modules()):
            for kind in ("attn1", "attn2"):
                if hasattr(module, kind):
                    width = sizes.unet.context_dim if kind == "attn2" else None
                    setattr(
                        module,
                        kind,
                        AdaptedAttention(getattr(module, kind), self.shared, sizes.adapter.lora_rank, width),
                    )
        self.unet.to(memory_format=torch.channels_last)

    def encode_texts(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Encode texts as tokens [N, 77, context] and pooled [N, width]; equal texts are encoded once."""
        unique = sorted(set(texts))
        pairs = [token_numbers(text) for text in unique]
        small, _ = encoded(self.text.clip_l, torch.tensor([pair[0] for pair in pairs]))
        large, pooled = encoded(self.text.clip_g, torch.tensor([pair[1] for pair in pairs]))
        rows = torch.tensor([unique.index(text) for text in texts])
        return torch.cat([small, large], -1)[rows], pooled[rows]

    def forward(
        self, noisy: Tensor, timestep: Tensor, texts: Sequence[str], sizes: Tensor, identity: Tensor | None
    ) -> Tensor:
        """Predict the noise.

        Args:
            noisy: [N, 4, h, w], sqrt(abar) * latent + sqrt(1 - abar) * noise.
            timestep: [N] in [0, 1000).
            texts: N captions.
            sizes: [N, 6] height, width, top, left, target height and width, as SDXL expects them.
            identity: [N, 512] of unit length, or zero for the null identity; None: without adapter and LoRA.
        """
        context, pooled = self.encode_texts(texts)
        features = frequencies(sizes.flatten()).reshape(len(noisy), -1)
        self.shared.tokens = None if identity is None else self.image_proj(identity)
        predicted: Tensor = self.unet(noisy, timestep, context=context, y=torch.cat([pooled, features], 1))
        return predicted


def attend(q: Tensor, k: Tensor, v: Tensor, heads: int, mask: Tensor | None = None) -> Tensor:
    """Compute multi-head attention of [N, tokens, width]; `mask` is added to the scores."""
    q, k, v = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v, mask).transpose(1, 2).flatten(2)


def encoded(encoder: Any, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Return hidden states [N, 77, width] of the last layer but one, and the projected state [N, width] at the end.

    The same as the host's `SDClipModel`, whose layers add in place and so cannot be differentiated.
    """
    model = encoder.transformer.text_model
    hidden = model.embeddings(tokens)
    mask = torch.full((tokens.shape[1],) * 2, -torch.inf).triu_(1)
    layers = list(model.encoder.layers)
    states = []
    for layer in layers:
        hidden = hidden + layer.self_attn(layer.layer_norm1(hidden), mask, attend)
        hidden = hidden + layer.mlp(layer.layer_norm2(hidden))
        states.append(hidden)
    ends = (tokens == encoder.special_tokens["end"]).int().argmax(1)
    last = model.final_layer_norm(hidden)[torch.arange(len(tokens)), ends]
    return states[encoder.layer_idx], encoder.transformer.text_projection(last)


def frequencies(values: Tensor) -> Tensor:
    """Embed numbers [N] as features [N, 256] with the host's own function."""
    network = host.module("comfy.ldm.modules.diffusionmodules.util")
    features: Tensor = network.timestep_embedding(values, SIZE_FEATURES)
    return features


@cache
def _tokenizer() -> Any:
    return host.module("comfy.sdxl_clip").SDXLTokenizer()


@cache
def token_numbers(text: str) -> tuple[list[int], list[int]]:
    """Tokenize a text with the host's tokenizer, 77 tokens for each of the two encoders."""
    batches = _tokenizer().tokenize_with_weights(text)
    first, second = ([token for token, _ in batches[name][0]] for name in ("l", "g"))
    return first, second


def checkpoint_tensors(model: Denoiser) -> dict[str, Tensor]:
    """Return UNet and text encoders under the checkpoint's keys, float16."""
    sdxl = host.module("comfy.supported_models").SDXL
    unet = {
        UNET_PREFIX + name.replace(".base.", "."): tensor
        for name, tensor in model.unet.state_dict().items()
        if ".lora." not in name and "_ip." not in name
    }
    text = sdxl.process_clip_state_dict_for_saving(sdxl, model.text.state_dict())
    return {
        name: (tensor.half() if tensor.is_floating_point() else tensor).contiguous()
        for name, tensor in {**unet, **text}.items()
    }


def adapter_groups(model: Denoiser) -> dict[str, dict[str, Tensor]]:
    """Return the two groups of a FaceID file, float16."""
    layers: dict[str, Tensor] = {}
    sites = transformer_sites(name.replace(".base.", ".") for name in model.unet.state_dict())
    for i, site in enumerate(sites):
        for number, kind in ((2 * i, "attn1"), (2 * i + 1, "attn2")):
            attention = model.unet.get_submodule(f"{site.module}.{kind}")
            for name, pair in attention.lora.items():
                layers[f"{number}.{name}_lora.down.weight"] = pair[0].weight
                layers[f"{number}.{name}_lora.up.weight"] = pair[1].weight
            if attention.looks_at_identity:
                layers[f"{number}.to_k_ip.weight"] = attention.to_k_ip.weight
                layers[f"{number}.to_v_ip.weight"] = attention.to_v_ip.weight

    def stored(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: tensor.detach().half().contiguous() for name, tensor in tensors.items()}

    return {"image_proj": stored(model.image_proj.state_dict()), "ip_adapter": stored(layers)}
