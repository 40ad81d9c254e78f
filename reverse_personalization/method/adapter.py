"""The identity adapter's layers: from a face's 512-vector to keys and values for cross-attention.

Ye et al., "IP-Adapter" (2023), in its FaceID form:

    tokens = LayerNorm(reshape(W2 GELU(W0 e + b0) + b2))
    out    = Attn(q, K_text, V_text) + weight * Attn(q, to_k_ip(tokens), to_v_ip(tokens))

As in ComfyUI's own models, the layers come from an `operations` namespace: torch.nn for plain use, or the host's, which
casts and offloads weights as they are used.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .adapter_file import FaceIDWeights


class IdentityProjection(nn.Module):
    """Projects an identity embedding to context tokens.

    Args:
        width: of the embedding.
        hidden: width of the middle layer.
        tokens: number of tokens.
        context_width: of one token.
        operations: namespace with Linear and LayerNorm.
        dtype: of the weights.
        device: of the weights.
    """

    def __init__(
        self,
        width: int,
        hidden: int,
        tokens: int,
        context_width: int,
        *,
        operations: Any,
        dtype: torch.dtype | None = None,
        device: torch.device | None = None,
    ) -> None:
        super().__init__()
        self.tokens = tokens
        self.proj = nn.Sequential(
            operations.Linear(width, hidden, dtype=dtype, device=device),
            nn.GELU(),
            operations.Linear(hidden, tokens * context_width, dtype=dtype, device=device),
        )
        self.norm = operations.LayerNorm(context_width, dtype=dtype, device=device)

    def forward(self, embedding: Tensor) -> Tensor:
        """Project embeddings.

        Args:
            embedding: [B, 512]; the zero vector is the null identity, but its tokens are not zero.

        Returns:
            [B, tokens, context_width].
        """
        projected = self.proj(embedding)
        return self.norm(projected.reshape(projected.shape[0], self.tokens, -1))


class IdentityKeyValue(nn.Module):
    """The key and value layers of one cross-attention.

    Args:
        context_width: of one token.
        hidden: width of the attention.
        operations: namespace with Linear.
        dtype: of the weights.
        device: of the weights.
    """

    def __init__(
        self,
        context_width: int,
        hidden: int,
        *,
        operations: Any,
        dtype: torch.dtype | None = None,
        device: torch.device | None = None,
    ) -> None:
        super().__init__()
        self.to_k_ip = operations.Linear(context_width, hidden, bias=False, dtype=dtype, device=device)
        self.to_v_ip = operations.Linear(context_width, hidden, bias=False, dtype=dtype, device=device)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values, each [B, tokens, hidden], from tokens [B, tokens, context_width]."""
        return self.to_k_ip(tokens), self.to_v_ip(tokens)


class IdentityAdapter(nn.Module):
    """All layers of a FaceID file except its LoRA, named as in the file.

    Args:
        weights: only their shapes are used; load the values with `load_state_dict`.
        operations: namespace with Linear and LayerNorm.
        dtype: of the weights.
        device: of the weights.
    """

    def __init__(
        self,
        weights: FaceIDWeights,
        *,
        operations: Any,
        dtype: torch.dtype | None = None,
        device: torch.device | None = None,
    ) -> None:
        super().__init__()
        hidden, width = weights.layers["image_proj.proj.0.weight"].shape
        self.embedding_width = width
        self.image_proj = IdentityProjection(
            width,
            hidden,
            weights.tokens,
            weights.context_width,
            operations=operations,
            dtype=dtype,
            device=device,
        )
        self.ip_adapter = nn.ModuleDict(
            {
                key.split(".")[1]: IdentityKeyValue(
                    weights.context_width, tensor.shape[0], operations=operations, dtype=dtype, device=device
                )
                for key, tensor in weights.layers.items()
                if key.endswith(".to_k_ip.weight")
            }
        )

    def tokens(self, embedding: Tensor) -> Tensor:
        """Context tokens [B, tokens, context_width] of embeddings [B, 512]."""
        return self.image_proj(embedding)

    def keys_values(self, site: int, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values at the `site`-th transformer block (order of `transformer_sites`)."""
        return self.ip_adapter[str(2 * site + 1)](tokens)
