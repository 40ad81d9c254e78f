"""DDIM inversion: the deterministic alternative that the paper ablates (its Table 3).

DDIM (Song, Meng, Ermon, "Denoising Diffusion Implicit Models", 2021) adds no noise. In ComfyUI's convention
y = x / alpha (see `schedule`), a step from noise level S_s to S_t moves y along the line to the denoised prediction m:

    y_t = m + S_t / S_s (y_s - m)

Generation takes m at y_s. Inversion walks the same levels the other way and would need m at the noisier level that it
is about to reach; it takes m where it is. The two therefore differ in every step, by less the smaller the step is, and
the picture does not quite come back. Nothing is recorded on the way: all that the generation knows of the picture is
x_T.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .schedule import alpha
from .solver import Denoiser, Progress


def invert_ddim(denoise: Denoiser, x0: Tensor, sigmas: Sequence[float], *, progress: Progress | None = None) -> Tensor:
    """Find the noisy latent from which DDIM leads back to about x_0.

    Args:
        denoise: prediction under the null identity, called with one level at a time (K = 1).
        x0: clean latent in model space, float32 [B, C, h, w], on a device with float64.
        sigmas: S at the N + 1 levels, descending, none zero.
        progress: called after each step.

    Returns:
        x_T, float32 [B, C, h, w] on the device of x0.
    """
    y = x0.double() / alpha(sigmas[-1])
    for step, i in enumerate(range(len(sigmas) - 2, -1, -1)):
        denoised = _predicted(denoise, y, sigmas[i + 1])
        y = _stepped(y, denoised, sigmas[i + 1], sigmas[i])
        if progress is not None:
            progress(step, denoised, y)
    return (alpha(sigmas[0]) * y).float()


def replay_ddim(
    denoise: Denoiser,
    x_T: Tensor,  # noqa: N803 - the paper's symbol
    sigmas: Sequence[float],
    *,
    progress: Progress | None = None,
) -> Tensor:
    """Generate from x_T without noise.

    Args:
        denoise: guided prediction (eq. 5), called with one level at a time (K = 1).
        x_T: float32 [B, C, h, w], on the device to compute on, which has float64.
        sigmas: S at the N + 1 levels, descending, none zero.
        progress: called after each step.

    Returns:
        x_0 = alpha_0 y_0, the latent at t = 0 in model space, not rescaled, float64 [B, C, h, w].
    """
    y = x_T.double() / alpha(sigmas[0])
    for i in range(len(sigmas) - 1):
        denoised = _predicted(denoise, y, sigmas[i])
        y = _stepped(y, denoised, sigmas[i], sigmas[i + 1])
        if progress is not None:
            progress(i, denoised, y)
    return alpha(sigmas[-1]) * y


def _predicted(denoise: Denoiser, y: Tensor, sigma: float) -> Tensor:
    return denoise(y.float()[None], torch.tensor([float(sigma)]))[0]


def _stepped(y: Tensor, denoised: Tensor, sigma: float, next_sigma: float) -> Tensor:
    m = denoised.to(y.dtype)
    return m + (float(next_sigma) / float(sigma)) * (y - m)
