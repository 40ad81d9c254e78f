"""A UNet's attention modules, in the order in which IP-Adapter files number them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

BlockName = Literal["input", "middle", "output"]

_FILE_ORDER: tuple[BlockName, ...] = ("input", "output", "middle")
_QUERY_KEY = re.compile(
    r"^(?P<prefix>.*?)(?P<block>input|middle|output)_blocks?\.(?P<number>\d+)\.(?P<inner>.*?)"
    r"transformer_blocks\.(?P<index>\d+)\.attn2\.to_q\.weight$"
)


@dataclass(frozen=True)
class TransformerSite:
    """One transformer block: a self-attention (attn1) and a cross-attention (attn2).

    Attributes:
        block: which part of the UNet.
        number: of the block within the part, as in ComfyUI's attention patches (0 in the middle).
        index: of the transformer block within its block.
        module: name of the transformer block's module in the state dict.
    """

    block: BlockName
    number: int
    index: int
    module: str

    @property
    def patch_key(self) -> tuple[BlockName, int, int]:
        """ComfyUI's key for an attention replacement at this place."""
        return self.block, self.number, self.index


def transformer_sites(keys: Iterable[str]) -> list[TransformerSite]:
    """All transformer blocks of a UNet in ComfyUI's (LDM) key layout.

    Args:
        keys: of its state dict, with any prefix.

    Returns:
        In the files' order: input blocks, output blocks, middle block. The self-attention of entry i has the number 2i
        in the file, its cross-attention 2i + 1.
    """
    sites = []
    for key in keys:
        match = _QUERY_KEY.match(key)
        if match is None:
            continue
        block: BlockName = match["block"]  # type: ignore[assignment]
        sites.append(
            TransformerSite(
                block=block,
                number=0 if block == "middle" else int(match["number"]),
                index=int(match["index"]),
                module=key.removesuffix(".attn2.to_q.weight"),
            )
        )
    return sorted(sites, key=lambda site: (_FILE_ORDER.index(site.block), site.number, site.index))


LORA_TARGETS: Mapping[str, str] = {"to_q": "to_q", "to_k": "to_k", "to_v": "to_v", "to_out": "to_out.0"}
"""Linear layers that a FaceID file's LoRA changes: name in the file -> module of the attention."""
