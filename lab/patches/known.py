"""Known patches that do not simply hold: why, within which limits, and what to do about them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Known:
    """One node, or one way to use it.

    Attributes:
        verdict: verdict that the sweep must reach.
        why: reason and advice, for the table.
        message: regular expression that the host's error must match if the host stops the run.
        error: largest error allowed at scale 0 if the patch adds guidance of its own.
        similarity: largest similarity allowed at the default scale; None for the usual limit.
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
"""Loaders without a file here, and what they need; `files` provides small files for the others."""

KNOWN: Mapping[str, Known] = {}

KINDS: Mapping[str, Known] = {
    "sampler": Known(
        "own guidance",
        "draws its own noise instead of replaying the trajectory, so scale 0 is another picture",
        error=math.inf,
    )
}
"""Known facts about all nodes of a kind."""
