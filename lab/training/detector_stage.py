"""Trains either stage of the detector."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
from torch import Tensor, nn

from .detector_network import settle
from .loop import train

CLIP = 5.0
"""Norm at which gradients are clipped."""

Network = TypeVar("Network", bound=nn.Module)


class StageRecipe(Protocol):
    """Numbers that the training of every stage needs."""

    @property
    def steps(self) -> int:
        """Number of training steps."""

    @property
    def settled(self) -> float:
        """Share of the steps after which normalisations keep their statistics."""

    @property
    def rate(self) -> float:
        """Peak of the learning rate."""

    @property
    def seed(self) -> int:
        """Seed of all random numbers."""


def train_stage(
    state: Path, network: Network, loss_of: Callable[[int, np.random.Generator], Tensor], recipe: StageRecipe
) -> tuple[Network, float]:
    """Train a stage; in its last part, the normalisations work as they do in use.

    Args:
        state: file of the training's state.
        network: network, trained in place.
        loss_of: loss of a step from its number and random numbers, as for `loop.train`.
        recipe: recipe of the stage.

    Returns:
        The network's average over the training, ready for use, and the seconds of training.

    Raises:
        RuntimeError: the loss is not finite.
    """
    average = copy.deepcopy(network)

    def loss(step: int, rng: np.random.Generator) -> Tensor:
        if step >= recipe.settled * recipe.steps:
            settle(network)
        return loss_of(step, rng)

    seconds = train(
        state,
        network,
        loss,
        steps=recipe.steps,
        rate=recipe.rate,
        seed=recipe.seed,
        average=average,
        clip=CLIP,
    )
    return average.eval(), seconds
