"""What NOISE_TRAJECTORY carries: everything that generation needs to replay a photograph's noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

Conditioning = list[list[Any]]
"""ComfyUI's CONDITIONING: a list of [text embedding [B, tokens, width], options]."""


@dataclass(frozen=True)
class ModelFingerprint:
    """Which network a trajectory belongs to; equal exactly where the recorded noise can be replayed.

    Attributes:
        model: digest over the network's weights, its patches and its noise schedule.
        adapter: digest over the identity adapter's weights, and its weight in the attention.
    """

    model: str
    adapter: str

    def __str__(self) -> str:
        return f"model {self.model}, adapter {self.adapter}"


@dataclass(frozen=True, eq=False)
class NoiseTrajectory:
    """The wire type NOISE_TRAJECTORY: an inversion's record, never modified.

    It holds the photograph (replayed under the null identity it gives it back), so it is as private as
    the photograph.

    Attributes:
        sigmas: float32 [N + 1], ComfyUI's noise levels, noisiest first; the last is the level of t = 0.
        z: float32 [N, B, C, h, w], the noise of each generation step.
        x_T: float32 [B, C, h, w], where generation starts, in model space, variance preserving.
        source: the text conditioning that the inversion used.
        seed: of the noisy copies.
        fingerprint: of the model and the adapter.
    """

    sigmas: Tensor
    z: Tensor
    x_T: Tensor  # noqa: N815 - the paper's symbol
    source: Conditioning
    seed: int
    fingerprint: ModelFingerprint

    @property
    def steps(self) -> int:
        """N."""
        return self.z.shape[0]

    @property
    def batch(self) -> int:
        """B, the number of latents."""
        return self.x_T.shape[0]
