"""A light autoencoder with random weights that keeps colours, so that a pixelated picture survives.

With random weights alone, nothing of the original would be left in a decoded picture, and no face could be found in it.
So the first three channels carry red, green and blue unchanged from end to end. Latent channels 0 to 2 are the
means of 8 x 8 pixels; everything else is random and adds a faint texture.
"""

from __future__ import annotations

import torch
from torch import Tensor

COLOURS = 3

LATENT_SPREAD = 2.0
"""Latent units from black to white, within the range that the decoder's soft clamp does not change."""

TEXTURE = 0.02
"""Gain of the random channels in the decoded picture."""

BRANCH_END = ".conv.4.weight"
ENCODER_ENDS = ("taesd_encoder.0", "taesd_encoder.14")
DECODER_ENDS = ("taesd_decoder.1", "taesd_decoder.19")


def keep_colours(name: str, tensor: Tensor) -> Tensor:
    """A copy of a tensor, changed where it must pass the colours on.

    Args:
        name: the tensor's name in the host's `TAESD`, such as `taesd_encoder.2.weight`.
        tensor: its random values; not modified.

    Returns:
        A tensor of the same shape and dtype.
    """
    kept = tensor.clone()
    if name.endswith(BRANCH_END):
        kept[:COLOURS] = 0  # Residual branches read the colours but leave them alone.
        return kept
    layer, _, kind = name.rpartition(".")
    if layer.count(".") != 1:
        return kept
    if kind == "bias":
        # Latents lie around zero, colours within [0, 1].
        if layer == ENCODER_ENDS[1]:
            kept[:COLOURS] = -LATENT_SPREAD / 2
        elif layer == DECODER_ENDS[0]:
            kept[:COLOURS] = 0.5
        return kept
    if layer == DECODER_ENDS[1]:
        kept *= TEXTURE
        kept[:, :COLOURS] = 0
    else:
        kept[:COLOURS] = 0
    kept[range(COLOURS), range(COLOURS)] = _kernel(layer).to(kept.dtype)
    return kept


def _kernel(layer: str) -> Tensor:
    """The kernel [3, 3] of a layer for each colour."""
    kernel = torch.zeros(3, 3)
    if layer.startswith("taesd_encoder") and layer not in ENCODER_ENDS:
        kernel[1:, 1:] = 0.25  # With stride 2 and padding 1, these are the output pixel's two by two pixels.
    elif layer == ENCODER_ENDS[1]:
        kernel[1, 1] = LATENT_SPREAD
    elif layer == DECODER_ENDS[0]:
        kernel[1, 1] = 1 / LATENT_SPREAD
    else:
        kernel[1, 1] = 1.0
    return kernel
