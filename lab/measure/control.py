"""The form without the source: a control, which must look good to a recogniser and bad to the other measures.

In the delta form (`reverse_personalization.method.delta`) a step compares the guided prediction at the edit's state
c + d with the source's at the copy c. Leaving the source out takes the two null predictions to differ as much as their
inputs:

    Delta = m_guided(c + d) - m_null(c)  ~  m_guided(c + d) - m_null(c + d) + d

It saves a third of the evaluations, but the denoiser no longer brings the edit back onto its own pictures. Nothing of
the pack runs this way.
"""

from __future__ import annotations

import importlib
from typing import Any

import torch
from torch import Tensor

from harness.in_process import part

from .ways import Way


def source_free(model: Any, text: Any, samples: Tensor, faces: Any, way: Way, seed: int) -> Tensor:
    """Generate somebody else without the source's predictions.

    Args:
        model: MODEL with an identity adapter.
        text: CONDITIONING.
        samples: as a LATENT holds them, [B, C, h, w].
        faces: FACES, one for each latent.
        way: steps, limit, denoise and scale.
        seed: of the noisy copies.

    Returns:
        as a LATENT holds it, same shape.
    """
    guidance = part("reverse_personalization.method.guidance").IdentityGuidance(way.scale)
    guider = part("host.guider").NegativeIdentityGuider(model, faces.embeddings(), guidance, text)
    levels = part("host.sampling").sampling_sigmas(model, way.steps, way.denoise)
    nothing = torch.zeros_like(samples)
    with torch.inference_mode():
        changed: Tensor = guider.sample(nothing, samples, _sampler(way, seed), levels, disable_pbar=True, seed=seed)
    return changed


def _sampler(way: Way, seed: int) -> Any:
    samplers: Any = importlib.import_module("comfy.samplers")
    edit = part("reverse_personalization.method.delta").edit
    timestep_noise = part("reverse_personalization.method.schedule").timestep_noise

    class SourceFree(samplers.Sampler):
        def sample(
            self,
            guider: Any,
            sigmas: Tensor,
            extra_args: dict[str, Any],
            callback: Any,
            noise: Tensor,
            x0: Tensor,
            *_: Any,
        ) -> Tensor:
            def at(scale: float, y: Tensor, sigma: float) -> Tensor:
                guider.set_cfg(scale)
                predicted: Tensor = guider(y, torch.tensor([sigma]).expand(len(y)), **extra_args)
                return predicted

            def predict(i: int, c: Tensor, y: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
                return at(0.0, y, sigma) - (y - c), at(way.scale, y, sigma)

            copies = timestep_noise(x0.shape[1:], way.steps, seed)
            changed: Tensor = edit(predict, x0, copies, sigmas.tolist(), extrapolation_limit=way.limit)
            return changed.float()

    return SourceFree()
