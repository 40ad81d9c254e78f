"""The denoiser's teachers: they read from its guess at a clean latent what it was told of identity and looks."""

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
"""Weight of traits that a caption does not speak of, which must stay as they are, against those that it does."""

KEPT_BY_STEPS = 600
"""Timestep below which most of the training with the adapter happens: anonymisation starts no higher."""


def dissimilarity(read: Tensor, identities: Tensor) -> Tensor:
    """[N] 1 - cosine of what was read, [N, 512], and the identities."""
    return 1 - F.cosine_similarity(read, identities)


def disagreement(read: Tensor, truth: Tensor) -> Tensor:
    """[N] mean cross entropy of traits that were read, [N, traits] logits, and the truth."""
    return F.binary_cross_entropy_with_logits(read, truth, reduction="none").mean(1)


@dataclass(frozen=True, eq=False)
class Teachers:
    """What reads from the denoiser's guess at clean latents whether it shows what it was told.

    Attributes:
        identity: reader of embeddings.
        traits: reader of `traits.traits`.
        figures: how well they read portraits that they did not learn from.
    """

    identity: LatentReader
    traits: LatentReader
    figures: dict[str, float]

    def unlikeness(self, clean: Tensor, identity: Tensor, timestep: Tensor, signal: Tensor) -> Tensor:
        """How little the guesses show the identities that they should, a scalar in [0, 2].

        The noisier the picture, the less a single guess can show: it counts by the signal's power, and above
        KEPT_BY_STEPS not at all.

        Args:
            clean: [N, 4, h, w], guesses.
            identity: [N, 512], unit length.
            timestep: [N].
            signal: [N], abar there.
        """
        counts = signal * (timestep < KEPT_BY_STEPS)
        return (counts * dissimilarity(self.identity(clean), identity)).mean()

    def untruth(self, clean: Tensor, texts: Sequence[str], told: Tensor, seen: Tensor, signal: Tensor) -> Tensor:
        """How little the guesses show the traits that their captions speak of, and keep the others; 0 or more.

        Args:
            clean: [N, 4, h, w], guesses.
            texts: N captions.
            told: [N, traits] of the portraits that the captions speak of.
            seen: [N, traits] of the portraits themselves.
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
    """Train both teachers, or read what was trained.

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
