"""What is known of patches that do not simply hold: why, with which figures, and what to do with them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Known:
    """One node, or one way to use it.

    Attributes:
        verdict: what the sweep must find.
        why: for the table: the reason, and what to do.
        message: regular expression that the host's own error must match, where the host stops the run.
        error: largest error of scale 0 that is right for a guidance of its own.
        similarity: largest similarity at the default scale; None for the usual one.
    """

    verdict: Literal["holds", "own guidance", "destroys", "stops", "changes nothing", "cannot be applied"]
    why: str
    message: str = ""
    error: float = 1e-4
    similarity: float | None = None


FILES: Mapping[str, str] = {
    "ModelPatchLoader": "needs a network patch for Qwen-Image, Z-Image, Anima, Flux, Wan or SUPIR, 0.1 to 3 GB",
    "CLIPVisionLoader": "needs a CLIP vision model, 0.6 to 3.7 GB",
    "AudioEncoderLoader": "needs an audio encoder, for video models",
    "StyleModelLoader": "needs a style model for SD1.5 or Flux, whose width is fixed",
}
"""Loaders without a file here, and why there is none; the small files of `files` serve the others."""

KNOWN: Mapping[str, Known] = {}

KINDS: Mapping[str, Known] = {
    "sampler": Known(
        "own guidance",
        "draws noise of its own instead of replaying the record: scale 0 is another picture",
        error=math.inf,
    )
}
"""What is known of all nodes of a kind."""
