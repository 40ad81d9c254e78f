"""The denoiser's teachers, which read identity and looks from its guess at a clean latent."""

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
"""Weight of traits that a caption does not mention, which must not change, against those that it mentions."""

KEPT_BY_STEPS = 600
"""Timestep below which most of the training with the adapter takes place, because anonymisation starts there."""


def dissimilarity(read: Tensor, identities: Tensor) -> Tensor:
    """[N] 1 - cosine of what was read, [N, 512], and the identities."""
    return 1 - F.cosine_similarity(read, identities)


def disagreement(read: Tensor, truth: Tensor) -> Tensor:
    """[N] mean cross entropy of traits that were read, [N, traits] logits, and the truth."""
    return F.binary_cross_entropy_with_logits(read, truth, reduction="none").mean(1)


@dataclass(frozen=True, eq=False)
class Teachers:
    """Two networks that read from guesses at clean latents whether these show what they should.

    Attributes:
        identity: reads embeddings.
        traits: reads `traits.traits`.
        figures: how well both read portraits that they did not learn from.
    """

    identity: LatentReader
    traits: LatentReader
    figures: dict[str, float]

    def unlikeness(self, clean: Tensor, identity: Tensor, timestep: Tensor, signal: Tensor) -> Tensor:
        """Loss of the identities that the guesses should show, a scalar in [0, 2].

        The noisier the picture, the less a single guess can show: it is weighted by the signal's power, and not
        counted above KEPT_BY_STEPS.

        Args:
            clean: [N, 4, h, w], guesses.
            identity: [N, 512], unit length.
            timestep: [N].
            signal: [N], abar there.
        """
        counts = signal * (timestep < KEPT_BY_STEPS)
        return (counts * dissimilarity(self.identity(clean), identity)).mean()

    def untruth(self, clean: Tensor, texts: Sequence[str], told: Tensor, seen: Tensor, signal: Tensor) -> Tensor:
        """Loss of the traits that the captions mention and of those that they should keep; 0 or more.

        Args:
            clean: [N, 4, h, w], guesses.
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
        shop: where.
        identity_recipe: of the one.
        trait_recipe: of the other.
        latents: [N, 4, h, w] of portraits.
        identities: [N, 512] of them.
        truth: [N, traits] of them.
    """
    identity, unlike = trained_reader(shop, "identity-reader", identity_recipe, latents, identities, dissimilarity)
    traits, wrong = trained_reader(shop, "trait-reader", trait_recipe, latents, truth, disagreement)
    return Teachers(identity, traits, {"identity_reader_cosine": 1 - unlike, "trait_reader_entropy": wrong})
