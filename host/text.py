"""Texts as CONDITIONING, one row a face."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..reverse_personalization.trajectory import Conditioning


def encode_texts(clip: Any, texts: Sequence[str]) -> Conditioning:
    """Encode one text for each latent of a batch.

    Args:
        clip: ComfyUI's CLIP.
        texts: one or more; equal ones are encoded once.

    Returns:
        what the host's own text node gives where all texts are equal; otherwise one entry with a row each,
        [rows, tokens, width]. Shorter texts are repeated to the longest's tokens, which does not change what
        attention makes of them.

    Raises:
        ValueError: there is no CLIP, or its conditioning is scheduled and the texts differ.
    """
    if clip is None:
        raise ValueError(
            "the clip input is empty: the checkpoint holds no text encoder; load one with a CLIP loader node"
        )
    encoded = {text: clip.encode_from_tokens_scheduled(clip.tokenize(text)) for text in dict.fromkeys(texts)}
    if len(encoded) == 1:
        return next(iter(encoded.values()))
    entries = []
    for text in texts:
        conditioning = encoded[text]
        if len(conditioning) != 1:
            raise ValueError(
                "the CLIP has a schedule (hooks) and the faces have different texts; remove the schedule, or ask "
                "the same of every face"
            )
        entries.append(conditioning[0])
    embeddings = [entry[0] for entry in entries]
    length = math.lcm(*(embedding.shape[1] for embedding in embeddings))
    rows = torch.cat([embedding.repeat(1, length // embedding.shape[1], 1) for embedding in embeddings])
    options = {
        key: torch.cat([entry[1][key] for entry in entries]) if isinstance(value, Tensor) else value
        for key, value in entries[0][1].items()
    }
    return [[rows, options]]
