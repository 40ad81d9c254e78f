"""Encodes texts as CONDITIONING, one row for each face."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from .trajectory import Conditioning


def encode_texts(clip: Any, texts: Sequence[str]) -> Conditioning:
    """Encode one text for each latent of a batch.

    Args:
        clip: ComfyUI's CLIP.
        texts: one or more; equal ones are encoded once.

    Returns:
        The same as the host's own text node gives, with a row for each text: embeddings [rows, tokens, width].
        Embeddings are repeated to a common number of tokens, which does not change the result of the attention.

    Raises:
        ValueError: there is no CLIP, or its conditioning is scheduled and the texts differ.
    """
    if clip is None:
        raise ValueError(
            "the clip input is empty: the checkpoint holds no text encoder; load one with a CLIP loader node"
        )
    encoded = {text: clip.encode_from_tokens_scheduled(clip.tokenize(text)) for text in dict.fromkeys(texts)}
    scheduled = any(len(conditioning) > 1 for conditioning in encoded.values())
    if scheduled and len(encoded) > 1:
        raise ValueError(
            "the CLIP has a schedule (hooks) and the faces have different texts; remove the schedule, or give every "
            "face the same text"
        )
    return [_rows(entries) for entries in zip(*(encoded[text] for text in texts), strict=True)]


def _rows(entries: Sequence[list[Any]]) -> list[Any]:
    """Join the entries of several texts into one conditioning entry."""
    embeddings = [embedding for embedding, _ in entries]
    length = math.lcm(*(embedding.shape[1] for embedding in embeddings))
    rows = torch.cat([embedding.repeat(1, length // embedding.shape[1], 1) for embedding in embeddings])
    options = {
        key: torch.cat([options[key] for _, options in entries]) if isinstance(value, Tensor) else value
        for key, value in entries[0][1].items()
    }
    return [rows, options]
