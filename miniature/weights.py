"""Random weights that keep a network's activations near one, each drawn from its own name.

Drawing by name makes a tensor independent of all others: a file is the same whatever the order it is written in, and
a tensor keeps its values when another one is added.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Sequence

import torch
from torch import Tensor

BRANCH_GAIN = 0.5
"""Gain of a residual branch's last layer: tens of branches then add up to a stream of a few units at most."""

PREDICTION_GAIN = 0.2
"""Gain of the UNet's last layer. A random network is no denoiser: the sampling of pure noise amplifies whatever it
predicts, and rounding with it, so its predictions are kept small."""

TOKEN_SPREAD = 0.5
"""Standard deviation of embeddings, comparable to what the text encoders' residual branches add to them."""

VAE_SCALE = 0.13025
"""Latent scale of SDXL, by which the light autoencoder's own latents, near one, differ from the VAE's."""

CONSTANTS = {"logit_scale": math.log(100.0), "vae_scale": VAE_SCALE, "vae_shift": 0.0}

_EMBEDDING = re.compile(r"(token_embedding\.weight|position_embedding\.weight|positional_embedding)$")
_BRANCH_END = re.compile(
    r"(out_layers\.3|to_out\.0|ff\.net\.2|proj_out|attn\.out_proj|fc2|c_proj|conv2"
    r"|taesd_\w+\.\d+\.conv\.4)\.weight$"
)
_PREDICTION = re.compile(r"diffusion_model\.out\.2\.weight$")
_RECTIFIED = re.compile(r"taesd_\w+\.\d+\.conv\.[024]\.weight$")


def generator(seed: int, name: str) -> torch.Generator:
    """A CPU generator that depends on the seed and the tensor's name alone."""
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def normal(name: str, shape: Sequence[int], seed: int, spread: float) -> Tensor:
    """Normal draws of mean 0 and standard deviation `spread`, float32 of `shape`."""
    return torch.randn(tuple(shape), generator=generator(seed, name)) * spread


def fan_in(shape: Sequence[int]) -> int:
    """Inputs that one output of a linear or convolutional weight of this shape sums over."""
    return math.prod(shape[1:])


def sane(name: str, shape: Sequence[int], seed: int, dtype: torch.dtype = torch.float16) -> Tensor:
    """A tensor for the checkpoint key `name`.

    Matrices and kernels are normal with variance gain^2 / fan-in, biases 0, norms 1; constants that the layout
    prescribes keep their meaning (`position_ids` is int64 whatever `dtype` says).

    Returns:
        Tensor of `shape` and `dtype` on the CPU.
    """
    leaf = name.rsplit(".", 1)[-1]
    if leaf == "position_ids":
        return torch.arange(shape[-1]).expand(*shape).contiguous()
    if leaf in CONSTANTS:
        return torch.full(tuple(shape), CONSTANTS[leaf], dtype=dtype)
    if _EMBEDDING.search(name):
        return normal(name, shape, seed, TOKEN_SPREAD).to(dtype)
    if len(shape) < 2:
        return torch.full(tuple(shape), 1.0 if leaf == "weight" else 0.0, dtype=dtype)
    gain = BRANCH_GAIN if _BRANCH_END.search(name) else PREDICTION_GAIN if _PREDICTION.search(name) else 1.0
    if _RECTIFIED.search(name):
        gain *= math.sqrt(2.0)  # A rectifier halves the power that reaches the next layer.
    return normal(name, shape, seed, gain / math.sqrt(fan_in(shape))).to(dtype)
