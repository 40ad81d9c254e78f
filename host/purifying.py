"""Purified copies of changed faces: what is left of a change that only fools recognisers once it is taken away again.

A face that is somebody else's stays somebody else's, whatever is done to the picture. A face that is still the
person's, under a pattern that a recogniser cannot see through, is known again when the pattern is gone. The VAE's
round trip removes part of such patterns; noise and one denoising step remove nearly all of them (docs/speed.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import comfy.samplers
import torch
from comfy.model_patcher import ModelPatcher
from torch import Tensor

from ..reverse_personalization.assurance.verdict import Purification
from ..reverse_personalization.geometry.compositing import DEFAULT_FEATHER, paste_
from ..reverse_personalization.geometry.cropping import take_crops
from ..reverse_personalization.geometry.faces import Face
from ..reverse_personalization.geometry.placement import place_crops, placed_areas
from ..reverse_personalization.method.trajectory import Conditioning
from .guider import NullIdentityGuider

PURIFYING_LEVEL = 0.3
"""S of the noise. Of a change that only fools recognisers it brings back 0.098 of the similarity, of the pack's own
-0.016; S = 0.57 brings back 0.139 and 0.010 (docs/speed.md, 40 people), but leaves less of who a person is, so that
small faces come out like everybody."""


@dataclass(frozen=True, eq=False)
class Purifier:
    """Makes purified copies of aligned crops.

    Attributes:
        vae: ComfyUI's VAE.
        model: with an identity adapter, or None for the VAE's round trip alone.
        source: text for the model, one for all crops or one for each; None only without a model.

    Raises:
        ValueError: there is a model without a text.
    """

    vae: Any
    model: ModelPatcher | None = None
    source: Conditioning | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.model is not None and self.source is None:
            raise ValueError(
                "model is connected without source; a purified copy is denoised under a text: connect an empty CLIP "
                "Text Encode to source as well, or disconnect model for the VAE's round trip alone"
            )

    @property
    def way(self) -> Purification:
        """How copies are purified."""
        return "vae" if self.model is None else "noise"

    def purified(self, crops: Tensor) -> Tensor:
        """Purify crops by the VAE's round trip, with a model by noise and one denoising step in the middle of it.

        Args:
            crops: float [R, H, W, C] in [0, 1], with sides that are multiples of the VAE's compression.

        Returns:
            Float32 [R, H, W, 3] in [0, 1].

        Raises:
            RuntimeError: VAE or model gave values that are not finite, in which nobody can be looked for.
        """
        samples = self.vae.encode(crops[..., :3])
        if self.model is not None and self.source is not None:
            samples = denoised_once(self.model, self.source, samples, _noise(samples), PURIFYING_LEVEL)
        copies: Tensor = self.vae.decode(samples)[..., :3].float().cpu()
        if not torch.isfinite(copies).all():
            raise RuntimeError(
                "the VAE gave a purified copy with values that are not finite, so the person cannot be looked for in "
                "it; start ComfyUI with --fp32-vae, or look at no purified copies (purify off, vae not connected)"
            )
        return copies.clamp(0, 1)


def purified_photograph(purifier: Purifier, photograph: Tensor, faces: Sequence[Face], side: int) -> Tensor | None:
    """A copy of a photograph in which faces are purified.

    Args:
        purifier: for the faces' crops.
        photograph: float [H, W, C] in [0, 1]; C is 1, 3, or 4. It is not modified.
        faces: to purify. One that cannot be cropped stays as it is.
        side: of the crops, pixels; what the model was trained at.

    Returns:
        Float32 [H, W, 3] in [0, 1]; None if no face can be cropped.
    """
    height, width = photograph.shape[:2]
    placements, _ = place_crops(faces, 0, side, 0.0, height, width)
    if not placements:
        return None
    picture = photograph[..., :3].expand(-1, -1, 3).float().cpu().clone()
    areas = placed_areas(faces, placements, side, height, width)
    crops = torch.stack([torch.from_numpy(crop) for crop in take_crops(picture.numpy(), areas, False)])
    paste_(
        picture,
        torch.zeros(height, width),
        areas,
        [copy.numpy() for copy in purifier.purified(crops)],
        None,
        feather=DEFAULT_FEATHER,
        grow=0.0,
        colour_match=False,
        match_grain=False,
    )
    return picture


def denoised_once(model: ModelPatcher, text: Conditioning, samples: Tensor, noise: Tensor, sigma: float) -> Tensor:
    """The denoised prediction m(x_0 + S n, S) under the null identity.

    Args:
        model: with an identity adapter.
        text: one for all latents or one for each.
        samples: x_0 as a LATENT holds it, [B, C, h, w].
        noise: n, standard normal in model space, same shape.
        sigma: S, above 0.

    Returns:
        As a LATENT holds it, same shape.
    """
    guider = NullIdentityGuider(model, text, None, 1.0)
    # Euler's step from S to 0 ends at the prediction itself.
    sampler = comfy.samplers.sampler_object("euler")
    predicted: Tensor = guider.sample(noise, samples, sampler, torch.tensor([sigma, 0.0]), disable_pbar=True, seed=0)
    return predicted


def _noise(samples: Tensor) -> Tensor:
    """The same noise for every latent, so that a face is judged alike alone and in a batch."""
    one = torch.randn(samples.shape[1:], generator=torch.Generator().manual_seed(0), dtype=torch.float32)
    return one.expand(samples.shape).clone()
