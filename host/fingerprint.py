"""Fingerprints of a ComfyUI model with its patches, so that a trajectory is replayed by its own network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from comfy.model_patcher import ModelPatcher

from ..reverse_personalization.digest import digest
from ..reverse_personalization.trajectory import ModelFingerprint
from .identity_adapter import attached_adapter


def fingerprint(model: ModelPatcher) -> ModelFingerprint:
    """Digest a model's weights before patching, the patches on them, its noise schedule and its adapter.

    It is the same whether or not the weights are loaded, and the same in another process. Attention and
    guidance patches, being code, are not part of it.

    Args:
        model: with an identity adapter attached.

    Raises:
        ValueError: the model has no identity adapter.
    """
    return ModelFingerprint(model=digest(_parts(model)), adapter=str(attached_adapter(model)))


def _parts(model: ModelPatcher) -> Iterator[tuple[str, Any]]:
    sampling = model.get_model_object("model_sampling")
    yield "prediction", [base.__name__ for base in type(sampling).__mro__]
    yield "sigmas", sampling.sigmas
    for name, (original, *patches) in model.get_key_patches("diffusion_model.").items():
        yield name, original[0]
        for strength, patch, strength_model, offset, _function in patches:
            yield f"{name} patch", [strength, strength_model, offset, getattr(patch, "weights", patch)]
