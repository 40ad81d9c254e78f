"""The delta form: inversion and replay in one pass that stores no noise.

`invert` and `replay` take the same step (see `solver`) with the same z. Let c_i be the noisy copy of x_0 at level i,
where the inversion is, and y_i = c_i + d_i the state of the replay; m_source is the inversion's prediction and m_guided
the replay's (eq. 5). With r = e^-2h, and E m standing for a prediction m extrapolated by the one before it:

    inversion    c_{i+1}           = r c_i         + (1 - r) E m_source(c_i)       + S_{i+1} sqrt(1 - r) z_i
    replay       c_{i+1} + d_{i+1} = r (c_i + d_i) + (1 - r) E m_guided(c_i + d_i) + S_{i+1} sqrt(1 - r) z_i

Both start at c_0, so d_0 = 0. E is linear, so subtracting the first line from the second leaves

    d_{i+1} = r d_i + (1 - r) E Delta_i,    Delta_i = m_guided(c_i + d_i) - m_source(c_i)

The noise has cancelled, and what remains is the mean of the solver's step for the state d and the prediction Delta,
with the solver's own memory and extrapolation limit. Since c_N = x_0 / alpha_N, the replay ends at

    alpha_N (c_N + d_N) = x_0 + alpha_N d_N

It is the same latent within the rounding of the network's float32 input, which the guidance enlarges. Where Delta is
always 0, as at scale 0 without attributes, x_0 comes back.

The copies depend on x_0 and the seed only, so nothing has to be recorded before the edit starts: source and edit are
evaluated at each level in one call, three rows for each latent. In the first step d is 0, so a null identity with the
source text needs no row of its own: 3N - 1 evaluations, or 3N with an attribute text. A target is one more row at each
level.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from enum import Enum

import torch
from torch import Tensor

from .guidance import drawn, guided
from .schedule import Noise, alpha
from .solver import DPMSolverSDE, Hold, Progress, noisy_copy


class Branch(Enum):
    """Identity and text under which a row is evaluated."""

    SOURCE = "null identity, text of the inversion"
    NULL = "null identity, attribute text"
    IDENTITY = "identity, text of the source"
    TARGET = "target, attribute text"


RowDenoiser = Callable[[Sequence[Branch], Tensor, float], Tensor]
"""Denoised predictions m: (K branches, y float32 [K, B, C, h, w], S) -> float32 [K, B, C, h, w].

Row k of y is to be evaluated under branch k. Whether the rows go through the network together or one after the other is
up to the denoiser, which knows the memory."""

PairDenoiser = Callable[[int, Tensor, Tensor, float], tuple[Tensor, Tensor]]
"""Both predictions of a step: (i, c, y, S) -> m_source(c) and m_guided(y), each float32 [B, C, h, w].

i is the level, 0 to N - 1, at which c is the source's noisy copy and y the edit's state, both float32 [B, C, h, w]. At
level 0, y is c."""


class SourcePredictions:
    """Source predictions of one run, for others that differ in scale, attributes or region only.

    They depend on the latents, the seed, the levels, the model and the source's text, but not on the edit and not on
    the extrapolation limit. Unlike the rest of a run, their memory grows with its steps, by a batch of latents each.
    They are as private as the photograph.
    """

    def __init__(self, predictions: Sequence[Tensor] = ()) -> None:
        self._predictions = list(predictions)

    def __len__(self) -> int:
        return len(self._predictions)

    def at(self, i: int) -> Tensor | None:
        """The prediction at level i, [B, C, h, w]; None if no run has been there."""
        return self._predictions[i] if i < len(self._predictions) else None

    def add(self, prediction: Tensor) -> None:
        """Remember the prediction at the level after the last one that is known, [B, C, h, w]."""
        self._predictions.append(prediction)

    def select(self, rows: Sequence[int]) -> SourcePredictions:
        """Those of some of the latents.

        Args:
            rows: numbers of latents from 0, in the order wanted.
        """
        return SourcePredictions([prediction[list(rows)] for prediction in self._predictions])


class GuidedPairs:
    """A `PairDenoiser` that applies equation 5 to a denoiser of rows.

    Args:
        denoise: evaluates rows.
        scale: g of equation 5; at 0 the identity's branch is not evaluated.
        null_is_source: whether NULL and SOURCE have the same text, so that one prediction serves both where y is c.
        sources: predictions of an earlier run, which are not evaluated again; missing ones are added.
        p: scale of the target; at 0 its branch is not evaluated.
    """

    def __init__(
        self,
        denoise: RowDenoiser,
        scale: float,
        *,
        null_is_source: bool,
        sources: SourcePredictions | None = None,
        p: float = 0.0,
    ) -> None:
        self.denoise = denoise
        self.scale = scale
        self.p = p
        self.null_is_source = null_is_source
        self.sources = sources

    def __call__(self, i: int, c: Tensor, y: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
        """Both predictions of a step, see `PairDenoiser`, from at most one call of the denoiser."""
        known = None if self.sources is None else self.sources.at(i)
        rows: dict[Branch, Tensor] = {}
        if known is None:
            rows[Branch.SOURCE] = c
        if i > 0 or not self.null_is_source:
            rows[Branch.NULL] = y
        if self.scale != 0.0:
            rows[Branch.IDENTITY] = y
        if self.p != 0.0:
            rows[Branch.TARGET] = y
        found: dict[Branch, Tensor] = {}
        if rows:
            found.update(zip(rows, self.denoise(list(rows), torch.stack(list(rows.values())), sigma), strict=True))
        source = found[Branch.SOURCE] if known is None else known
        if known is None and self.sources is not None:
            # A copy, because the row is a view that would keep the whole call's predictions alive.
            self.sources.add(source.clone())
        null = found.get(Branch.NULL, source)
        away = guided(found.get(Branch.IDENTITY, null), null, self.scale)
        return source, away if self.p == 0.0 else drawn(away, found[Branch.TARGET], null, self.p)


def edit(
    predict: PairDenoiser,
    x0: Tensor,
    noise: Noise,
    sigmas: Sequence[float],
    *,
    extrapolation_limit: float = math.inf,
    progress: Progress | None = None,
    hold: Hold | None = None,
) -> Tensor:
    """What `replay` makes of the record of `invert`, in one pass.

    Args:
        predict: both predictions of a step, such as `GuidedPairs`.
        x0: clean latent in model space, float32 [B, C, h, w], on a device with float64.
        noise: of the noisy copies; with `schedule.NoiseDraws` the memory of a run does not depend on N.
        sigmas: S at the N + 1 levels, descending.
        extrapolation_limit: see `DPMSolverSDE`.
        progress: called after each step with the guided prediction and y.
        hold: adjusts the difference d, not y, after each step: `regions.hold_difference`.

    Returns:
        the latent at t = 0 in model space, not rescaled, float64 [B, C, h, w].

    Raises:
        ValueError: the limit is negative or not a number.
    """
    solver = DPMSolverSDE(sigmas, extrapolation_limit)
    clean = x0.double()
    d = torch.zeros_like(clean)
    c = noisy_copy(clean, noise, sigmas, 0)
    for i in range(len(sigmas) - 1):
        copy = c.float()
        y = copy if i == 0 else (c + d).float()
        source, towards = predict(i, copy, y, float(sigmas[i]))
        d, _ = solver.step(i, d, towards.double() - source.double())
        if hold is not None:
            d = hold(i + 1, d)
        c = noisy_copy(clean, noise, sigmas, i + 1)
        if progress is not None:
            progress(i, towards, c + d)
    return clean + alpha(sigmas[-1]) * d
