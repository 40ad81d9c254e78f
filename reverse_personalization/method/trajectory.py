"""What REVERSE_IDENTITY_TRAJECTORY carries: all that a generation needs to replay a photograph's noise z_t."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor

from ..fingerprinting.fingerprint import ModelFingerprint

Conditioning = list[list[Any]]
"""ComfyUI's CONDITIONING: a list of [text embedding [B, tokens, width], options]."""


@dataclass(frozen=True, eq=False)
class KeptRegion:
    """The part of a trajectory's pictures that a replay leaves unchanged (`regions` applies it).

    Attributes:
        mask: float32 [B, 1, h, w] in [0, 1], of the latent's size; 1 is kept, 0 may change.
        first: number, 0 to N - 1, of the first step after which the region is held.
    """

    mask: Tensor = field(repr=False)
    first: int


@dataclass(frozen=True, eq=False)
class NoiseTrajectory:
    """The wire type REVERSE_IDENTITY_TRAJECTORY: an inversion's record, never modified.

    It is as private as the photograph: a replay under the null identity gives the photograph back.

    Attributes:
        sigmas: float32 [N + 1], the noise levels S in ComfyUI's convention, noisiest first; the last is that of t = 0.
        z: float32 [N, B, C, h, w], the noise z_t of each generation step (eq. 4), noisiest step first.
        x_T: float32 [B, C, h, w], the noisiest copy, where generation starts, in model space, variance preserving.
        x0: float32 [B, C, h, w], the latent x_0 that was inverted, in model space.
        source: the text conditioning of the inversion.
        seed: of the noisy copies.
        fingerprint: of the model and the adapter.
        region: the part that a replay must not change; None if it may change everything.
        extrapolation_limit: of the solver (`solver.DPMSolverSDE`), the same for the inversion and every replay.
        deterministic: whether it is one of DDIM (`ddim`), which records no noise: z is 0.
    """

    sigmas: Tensor
    # Hidden from repr: when a node fails, the host writes its inputs into the error that it sends to the client.
    z: Tensor = field(repr=False)
    x_T: Tensor = field(repr=False)  # noqa: N815 - the paper's symbol
    x0: Tensor = field(repr=False)
    source: Conditioning = field(repr=False)
    seed: int
    fingerprint: ModelFingerprint
    region: KeptRegion | None = None
    extrapolation_limit: float = math.inf
    deterministic: bool = False

    @property
    def steps(self) -> int:
        """N."""
        return self.z.shape[0]

    @property
    def batch(self) -> int:
        """B, the number of latents."""
        return self.x_T.shape[0]

    def select(self, rows: Sequence[int], source: Conditioning) -> NoiseTrajectory:
        """The trajectory of some of the latents, each of which replays as it does in the whole batch.

        Args:
            rows: numbers of latents from 0, in the order wanted.
            source: the texts of these latents, which the caller selects: their form is the host's.
        """
        chosen = list(rows)
        region = self.region
        return replace(
            self,
            z=self.z[:, chosen],
            x_T=self.x_T[chosen],
            x0=self.x0[chosen],
            source=source,
            region=None if region is None else replace(region, mask=region.mask[chosen]),
        )
