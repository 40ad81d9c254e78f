"""Small networks that read what a latent shows, to teach the denoiser.

A face's identity contributes well below a hundredth of the denoiser's plain loss, and what a caption says little more.
A reader gives each a loss of its own: the denoiser's guess at the clean latent must show what it was told.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from .loop import Workshop, train


@dataclass(frozen=True)
class ReaderRecipe:
    """All numbers of one reader's training.

    Attributes:
        width: channels at the latent's own size.
        steps: total number of steps.
        batch: latents in a step.
        rate: peak of the learning rate.
        kept: share of the portraits, at the end, to measure on instead of learning from.
        noise: largest standard deviation of the noise on a latent, because a denoiser's guess is not clean either.
        seed: seed of all random numbers.
    """

    width: int
    steps: int
    batch: int = 64
    rate: float = 2e-3
    kept: float = 0.05
    noise: float = 0.4
    seed: int = 37


class LatentReader(nn.Module):
    """Maps latents [N, 4, h, w] to [N, outputs].

    Args:
        outputs: how many numbers to read.
        width: channels at the latent's own size; twice and four times as many at half and a quarter of it.
    """

    def __init__(self, outputs: int, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(4, width, 3, padding=1), _Residual(width), _Residual(width)]
        for _ in range(2):
            layers += [nn.Conv2d(width, 2 * width, 3, stride=2, padding=1), _Residual(2 * width), _Residual(2 * width)]
            width *= 2
        self.layers = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.SiLU())
        self.embedding = nn.Linear(width * 16, outputs)
        self.to(memory_format=torch.channels_last)

    def forward(self, latents: Tensor) -> Tensor:
        """Read."""
        read: Tensor = self.embedding(self.layers(latents))
        return read


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.GroupNorm(8, width),
            nn.SiLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.GroupNorm(8, width),
            nn.SiLU(),
            nn.Conv2d(width, width, 3, padding=1),
        )

    def forward(self, value: Tensor) -> Tensor:
        added: Tensor = value + self.layers(value)
        return added


def trained_reader(
    shop: Workshop,
    name: str,
    recipe: ReaderRecipe,
    latents: Tensor,
    truth: Tensor,
    error: Callable[[Tensor, Tensor], Tensor],
) -> tuple[LatentReader, float]:
    """Train a reader, or load a finished one.

    Args:
        shop: workshop of the training.
        name: name of the training's state.
        recipe: numbers of the training.
        latents: [N, 4, h, w], portraits.
        truth: [N, outputs], what the reader must read.
        error: maps readings and truth, [n, outputs] each, to errors [n].

    Returns:
        The reader, frozen, and its mean error on the kept portraits.
    """
    learnt = round(len(latents) * (1 - recipe.kept))
    torch.manual_seed(recipe.seed)
    reader = LatentReader(truth.shape[1], recipe.width)
    average = copy.deepcopy(reader)

    def loss_of(step: int, rng: np.random.Generator) -> Tensor:
        rows = torch.from_numpy(rng.choice(learnt, recipe.batch, replace=learnt < recipe.batch))
        strength = torch.from_numpy(rng.random((recipe.batch, 1, 1, 1), np.float32)) * recipe.noise
        shown = latents[rows] + strength * torch.randn_like(latents[rows])
        return error(reader(shown), truth[rows]).mean()

    train(shop.state(name), reader, loss_of, steps=recipe.steps, rate=recipe.rate, seed=recipe.seed, average=average)
    average.eval().requires_grad_(False)
    with torch.no_grad():
        rest = [slice(i, i + recipe.batch) for i in range(learnt, len(latents), recipe.batch)]
        errors = torch.cat([error(average(latents[rows]), truth[rows]) for rows in rest])
    return average, errors.mean().item()
