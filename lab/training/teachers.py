"""The denoiser's teachers, which read identity and traits from its guess at a clean latent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .latent_reader import LatentReader, ReaderRecipe, trained_reader
from .loop import Workshop
from .traits import mentioned

UNSPOKEN = 0.3
"""Weight of the traits that a caption leaves out, which must not change, relative to those it mentions."""

KEPT_BY_STEPS = 600
"""Timestep below which the adapter is mostly trained, because anonymisation starts there."""


def dissimilarity(read: Tensor, identities: Tensor) -> Tensor:
    """Return 1 - cosine [N] between embeddings that were read [N, 512] and the identities."""
    return 1 - F.cosine_similarity(read, identities)


def disagreement(read: Tensor, truth: Tensor) -> Tensor:
    """Return the mean cross entropy [N] between traits that were read, as logits [N, traits], and the truth."""
    return F.binary_cross_entropy_with_logits(read, truth, reduction="none").mean(1)


@dataclass(frozen=True, eq=False)
class Teachers:
    """Two networks that read whether guesses at clean latents show what they should.

    Attributes:
        identity: reads embeddings.
        traits: reads `traits.traits`.
        figures: how well both read held-out portraits.
    """

    identity: LatentReader
    traits: LatentReader
    figures: dict[str, float]

    def unlikeness(self, clean: Tensor, identity: Tensor, timestep: Tensor, signal: Tensor) -> Tensor:
        """Return the loss of the identities that the guesses should show, a scalar in [0, 2].

        The noisier the picture, the less a single guess can show. So the loss is weighted by the signal's power and
        zero above KEPT_BY_STEPS.

        Args:
            clean: [N, 4, h, w], guesses at clean latents.
            identity: [N, 512], unit length.
            timestep: [N].
            signal: [N], abar at these timesteps.
        """
        counts = signal * (timestep < KEPT_BY_STEPS)
        return (counts * dissimilarity(self.identity(clean), identity)).mean()

    def untruth(self, clean: Tensor, texts: Sequence[str], told: Tensor, seen: Tensor, signal: Tensor) -> Tensor:
        """Return the loss of the traits that captions mention and of those they must not change, 0 or more.

        Args:
            clean: [N, 4, h, w], guesses at clean latents.
            texts: N captions.
            told: [N, traits], those of the portraits that the captions describe.
            seen: [N, traits], those of the portraits themselves.
            signal: [N], abar.
        """
        spoken = mentioned(texts)
        truth = torch.where(spoken > 0, told, seen)
        wrong = F.binary_cross_entropy_with_logits(self.traits(clean), truth, reduction="none")
        return (spoken.clamp(min=UNSPOKEN) * signal[:, None] * wrong).mean()


def trained_teachers(
    shop: Workshop,
    identity_recipe: ReaderRecipe,
    trait_recipe: ReaderRecipe,
    latents: Tensor,
    identities: Tensor,
    truth: Tensor,
) -> Teachers:
    """Train both teachers, or load finished ones.

    Args:
        shop: workshop of the training.
        identity_recipe: training of the identity reader.
        trait_recipe: training of the trait reader.
        latents: [N, 4, h, w], portraits.
        identities: [N, 512], their embeddings.
        truth: [N, traits], their traits.
    """
    identity, unlike = trained_reader(shop, "identity-reader", identity_recipe, latents, identities, dissimilarity)
    traits, wrong = trained_reader(shop, "trait-reader", trait_recipe, latents, truth, disagreement)
    return Teachers(identity, traits, {"identity_reader_cosine": 1 - unlike, "trait_reader_entropy": wrong})
