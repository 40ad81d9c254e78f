"""What a guider refuses: an adapter without effect, faces that do not fit, and latents that are not finite."""

from __future__ import annotations

import torch
from comfy.model_patcher import ModelPatcher
from torch import Tensor

from ..reverse_personalization.geometry.faces import Faces
from ..reverse_personalization.method.guidance import IdentityGuidance
from .identity_adapter import attached_adapter


def check_weight(model: ModelPatcher, guidance: IdentityGuidance) -> None:
    """Refuse an adapter whose weight lets no identity through.

    Args:
        model: with an identity adapter.
        guidance: whose scales say whether the weight matters.

    Raises:
        ValueError: the weight is 0, and the scale or that of a target is not.
    """
    if attached_adapter(model).weight == 0.0 and (guidance.scale != 0.0 or guidance.p != 0.0):
        raise ValueError(
            f"the identity adapter has the weight 0 at a scale of {guidance.scale:g}: no identity reaches the "
            "network, so the photograph would come out unchanged. Set the weight in Load Identity Adapter to 1 and run "
            "again"
        )


def check_one_face_each(latents: int, faces: Faces) -> None:
    """Refuse faces of which there is not one for each latent.

    Args:
        latents: number of latents.
        faces: whom to push away from.

    Raises:
        ValueError: there are more or fewer faces than latents.
    """
    if len(faces) != latents:
        per_image = ", ".join(str(len(image)) for image in faces.images)
        raise ValueError(
            f"there are {latents} latents but {len(faces)} faces (by image: {per_image}); guidance needs one face for "
            'each latent, in the same order. In Embed Faces select "largest" for pictures of one person, or give it '
            "the pictures that were encoded"
        )


def check_finite(samples: Tensor) -> None:
    """Refuse latents with values that are not finite.

    Args:
        samples: [B, ...].

    Raises:
        RuntimeError: a value is NaN or infinite.
    """
    broken = [number for number, latent in enumerate(samples, start=1) if not torch.isfinite(latent).all()]
    if broken:
        which = ", ".join(map(str, broken))
        raise RuntimeError(
            f"{len(broken)} of {len(samples)} latents came out with values that are not finite (number {which}); the "
            "network overflowed or a text, LoRA or adapter holds such values. Start ComfyUI with --force-fp32 or "
            "--bf16-unet, choose a scale nearer to 0, or remove LoRAs and patches one by one"
        )
