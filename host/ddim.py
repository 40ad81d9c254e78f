"""DDIM inversion in the host: the sampler that walks from a clean latent to a noisy one, and the record of it."""

from __future__ import annotations

from typing import Any

import comfy.samplers
import torch
from torch import Tensor
from tqdm.auto import tqdm

from ..reverse_personalization.fingerprinting.fingerprint import ModelFingerprint
from ..reverse_personalization.method.ddim import invert_ddim
from ..reverse_personalization.method.trajectory import Conditioning, NoiseTrajectory
from .guider import NullIdentityGuider, check_finite
from .sampling import Callback, arithmetic_device, denoiser, reported

_SEED = 0
"""Of the random numbers that patches of the model may draw; the inversion itself draws none."""


class DDIMInversionSampler(comfy.samplers.Sampler):
    """Walks from a clean latent to a noisy one; `x_T` and `x0` hold the result once the host has run it."""

    def __init__(self) -> None:
        self.x_T: Tensor | None = None
        self.x0: Tensor | None = None

    def sample(
        self,
        model_wrap: Any,
        sigmas: Tensor,
        extra_args: dict[str, Any],
        callback: Callback | None,
        noise: Tensor,
        latent_image: Tensor,
        denoise_mask: Tensor | None = None,
        disable_pbar: bool = False,
    ) -> Tensor:
        """Called by the host with the clean latent in model space, [B, C, h, w]."""
        steps = len(sigmas) - 1
        x0 = latent_image.float().to(arithmetic_device(latent_image.device))
        with tqdm(total=steps, disable=disable_pbar, desc="inversion") as bar:
            x_T = invert_ddim(  # noqa: N806 - the paper's symbol
                denoiser(model_wrap, {**extra_args, "seed": _SEED}, latent_image.device),
                x0,
                sigmas.tolist(),
                progress=reported(bar, callback, steps),
            )
        self.x_T, self.x0 = x_T.cpu(), x0.cpu()
        return latent_image


def record_ddim(
    guider: NullIdentityGuider,
    latent: Tensor,
    sigmas: Tensor,
    source: Conditioning,
    *,
    fingerprint: ModelFingerprint,
    callback: Callback | None,
    disable_pbar: bool,
) -> NoiseTrajectory:
    """Invert a latent deterministically.

    Args:
        guider: that predicts under the null identity.
        latent: as ComfyUI's LATENT holds it, [B, C, h, w].
        sigmas: float32 [N + 1], see `sampling.sampling_sigmas`.
        source: the guider's text, for the record.
        fingerprint: of the guider's model.
        callback: of the host, for previews and progress.
        disable_pbar: no progress bar on the console.

    Returns:
        a trajectory without noise: its z are 0 and take no memory.

    Raises:
        RuntimeError: the noisy latent is not finite.
    """
    guider.reserve(latent.shape[0])
    sampler = DDIMInversionSampler()
    nothing = torch.zeros_like(latent)  # the sampler needs no noise
    guider.sample(nothing, latent, sampler, sigmas, callback=callback, disable_pbar=disable_pbar, seed=_SEED)
    assert sampler.x_T is not None
    assert sampler.x0 is not None
    check_finite(sampler.x_T)
    steps = len(sigmas) - 1
    return NoiseTrajectory(
        sigmas=sigmas,
        z=torch.zeros(()).expand(steps, *sampler.x_T.shape),
        x_T=sampler.x_T,
        x0=sampler.x0,
        source=source,
        seed=_SEED,
        fingerprint=fingerprint,
        deterministic=True,
    )
