"""Second-order SDE-DPM-Solver++: the inversion (eq. 4) and the generation (eqs. 6 and 7).

In the paper's symbols, with the mean mu_t and the standard deviation sigma_t of the step from x_t to x_{t-1}:

    eq. 4       z_t     = (x_{t-1} - mu_t(x_t, x_{t+1})) / sigma_t    `invert`
    eqs. 6, 7   x_{t-1} = mu_t(x_t, x_{t+1}) + sigma_t z_t            `replay`

`DPMSolverSDE.step` computes the two in ComfyUI's convention y = x / alpha (see `schedule`), as mu and std, which leaves
z_t the same. A step leads from noise level S_s to S_t:

    y_t = e^-2h y_s + (1 - e^-2h) (m0 + c (m0 - m1)) + S_t sqrt(1 - e^-2h) z
          `------------------ mu ------------------'   `------- std ------'

with h = ln(S_s / S_t), m0 the denoised prediction at S_s, m1 the previous one at S_r, and c = h / (2 ln(S_r / S_s)), or
0 in the first step, which has no predecessor. Lu et al., "DPM-Solver++" (2022), algorithm SDE-DPM-Solver++(2M).

c is large wherever a step is much longer in ln S than the one before it. With evenly spaced timesteps, that is the last
step but one, down to t = 1: at denoise 0.5, its c is 1.1 at 100 steps, but 2.1 at 8, and the step overshoots. An
*extrapolation limit* replaces c by min(c, limit). The inversion must take the same limit as the replay: it then undoes
exactly what the replay does, at any limit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from .schedule import Noise, alpha

Denoiser = Callable[[Tensor, Tensor], Tensor]
"""Denoised prediction m: (y float32 [K, B, C, h, w], S float32 [K] on the CPU) -> float32 [K, B, C, h, w]."""

Progress = Callable[[int, Tensor, Tensor], None]
"""Called after each step with its number from 0, its denoised prediction and the new y, each [B, C, h, w]."""

Hold = Callable[[int, Tensor], Tensor]
"""Adjusts y after a step of a replay: (level i from 1 to N, y [B, C, h, w] at it) -> y, same shape and dtype."""


EVEN_EXTRAPOLATION = 0.5
"""c of levels that are evenly spaced in ln S; as a limit, it lets no step extrapolate further than such levels do."""


class DPMSolverSDE:
    """The solver and its memory, the previous denoised prediction m1.

    The memory starts empty, so the first step is first order and all others are second order. The inversion and the
    replay each make a solver of their own, so nothing carries over from one to the other.

    Args:
        sigmas: S at the N + 1 levels, descending, none zero.
        extrapolation_limit: the largest c, 0 or more; 0 makes every step first order, infinity limits nothing.

    Raises:
        ValueError: the limit is negative or not a number.
    """

    def __init__(self, sigmas: Sequence[float], extrapolation_limit: float = math.inf) -> None:
        if not extrapolation_limit >= 0.0:
            raise ValueError(
                f"the extrapolation limit is {extrapolation_limit}; expected 0 (first order) or more, such as "
                f"{EVEN_EXTRAPOLATION} for few steps, or infinity for no limit"
            )
        self.sigmas = [float(sigma) for sigma in sigmas]
        self.extrapolation_limit = extrapolation_limit
        self._m1: Tensor | None = None

    def step(self, i: int, y: Tensor, m0: Tensor) -> tuple[Tensor, float]:
        """Mean and standard deviation of y after step i.

        Args:
            i: 0 to N - 1, each called once, in order.
            y: y_s, at level i, any shape and float dtype.
            m0: denoised prediction at level i, same shape.

        Returns:
            mu (dtype of y) and std.
        """
        S_s, S_t = self.sigmas[i], self.sigmas[i + 1]  # noqa: N806 - the formula's symbols
        h = math.log(S_s / S_t)
        m0 = m0.to(y.dtype)
        extrapolated = m0
        if self._m1 is not None:
            S_r = self.sigmas[i - 1]  # noqa: N806 - the formula's symbol
            c = min(h / (2.0 * math.log(S_r / S_s)), self.extrapolation_limit)
            extrapolated = m0 + c * (m0 - self._m1)
        self._m1 = m0
        mu = math.exp(-2.0 * h) * y + -math.expm1(-2.0 * h) * extrapolated
        std = S_t * math.sqrt(-math.expm1(-2.0 * h))
        return mu, std


def noisiest_copy(x0: Tensor, noise: Tensor, sigmas: Sequence[float]) -> Tensor:
    """x_T = alpha_T x_0 + sigma_T n, where generation starts.

    Args:
        x0: clean latent in model space, [B, C, h, w], on a device with float64.
        noise: `schedule.timestep_noise`, [N, 1, C, h, w].
        sigmas: S at the N + 1 levels.

    Returns:
        float32 [B, C, h, w].
    """
    sigma = float(sigmas[0])
    return (alpha(sigma) * (x0.double() + sigma * noise[0].to(x0.device).double())).float()


def noisy_copy(clean: Tensor, noise: Noise, sigmas: Sequence[float], i: int) -> Tensor:
    """The noisy copy of x_0 at level i, as y = x / alpha; at the last level, t = 0, the copy is x_0 itself.

    Args:
        clean: x_0 in model space, [B, C, h, w], in the dtype to compute in.
        noise: `schedule.timestep_noise` or `schedule.NoiseDraws`.
        sigmas: S at the N + 1 levels.
        i: 0 to N.

    Returns:
        [B, C, h, w], dtype and device of `clean`.
    """
    if i == len(sigmas) - 1:
        return clean / alpha(sigmas[i])
    return clean + float(sigmas[i]) * noise[i].to(clean.device, clean.dtype)


def invert(
    denoise: Denoiser,
    x0: Tensor,
    x_T: Tensor,  # noqa: N803 - the paper's symbol
    noise: Tensor,
    sigmas: Sequence[float],
    *,
    batch: int = 1,
    extrapolation_limit: float = math.inf,
    progress: Progress | None = None,
) -> Tensor:
    """Record the noise z_t that leads from each noisy copy of x_0 exactly to the next (eq. 4).

    The copies are independent of one another, so the network can evaluate several timesteps in one call. With one
    timestep in each call, its input is bit for bit that of the replay: the copy as the replay recomputes it.

    Args:
        denoise: prediction under the null identity.
        x0: clean latent in model space, float32 [B, C, h, w], on a device with float64.
        x_T: `noisiest_copy` of it, float32 [B, C, h, w].
        noise: `schedule.timestep_noise`, [N, 1, C, h, w].
        sigmas: S at the N + 1 levels, descending.
        batch: timesteps in one call of `denoise`, 1 to N.
        extrapolation_limit: see `DPMSolverSDE`.
        progress: called after each step.

    Returns:
        z, float32 [N, B, C, h, w], in order of generation, on the device of x0.
    """
    steps = len(sigmas) - 1
    clean = x0.double()
    solver = DPMSolverSDE(sigmas, extrapolation_limit)
    z = torch.empty(steps, *x0.shape, dtype=torch.float32, device=x0.device)
    y = x_T.double() / alpha(sigmas[0])
    for first in range(0, steps, batch):
        chunk = range(first, min(first + batch, steps))
        targets = [noisy_copy(clean, noise, sigmas, i + 1) for i in chunk]
        copies = torch.stack([y, *targets[:-1]]).float()
        levels = torch.tensor([float(sigmas[i]) for i in chunk])
        for i, target, denoised in zip(chunk, targets, denoise(copies, levels), strict=True):
            mu, std = solver.step(i, y, denoised)
            z[i] = (target - mu) / std  # eq. 4
            y = mu + std * z[i].double()
            if progress is not None:
                progress(i, denoised, y)
    return z


def replay(
    denoise: Denoiser,
    x_T: Tensor,  # noqa: N803 - the paper's symbol
    z: Tensor,
    sigmas: Sequence[float],
    *,
    extrapolation_limit: float = math.inf,
    progress: Progress | None = None,
    hold: Hold | None = None,
) -> Tensor:
    """Generate from x_T with the recorded noise z_t (eqs. 6 and 7).

    Args:
        denoise: guided prediction (eq. 5), called with one timestep at a time (K = 1).
        x_T: float32 [B, C, h, w], on the device to compute on, which has float64.
        z: [N, B, C, h, w], on any device.
        sigmas: S at the N + 1 levels, descending.
        extrapolation_limit: that of the inversion.
        progress: called after each step.
        hold: adjusts y after each step. The solver's memory needs no adjustment, because it holds predictions only.

    Returns:
        x_0 = alpha_0 y_0, the latent at t = 0 in model space, not rescaled, float64 [B, C, h, w].
    """
    solver = DPMSolverSDE(sigmas, extrapolation_limit)
    y = x_T.double() / alpha(sigmas[0])
    for i in range(len(sigmas) - 1):
        level = torch.tensor([float(sigmas[i])])
        denoised = denoise(y.float()[None], level)[0]
        mu, std = solver.step(i, y, denoised)
        y = mu + std * z[i].to(y.device, y.dtype)  # eqs. 6 and 7
        if hold is not None:
            y = hold(i + 1, y)
        if progress is not None:
            progress(i, denoised, y)
    return alpha(sigmas[-1]) * y
