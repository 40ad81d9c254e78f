"""How both stages of the detector are trained."""

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
"""Largest norm of the gradient."""

Network = TypeVar("Network", bound=nn.Module)


class StageRecipe(Protocol):
    """Of a stage, see `DetectorRecipe`."""

    @property
    def steps(self) -> int:
        """Of training."""

    @property
    def settled(self) -> float:
        """Part of the steps after which normalisations keep their statistics."""

    @property
    def rate(self) -> float:
        """Peak of the learning rate."""

    @property
    def seed(self) -> int:
        """Of all random numbers."""


def train_stage(
    state: Path, network: Network, loss_of: Callable[[int, np.random.Generator], Tensor], recipe: StageRecipe
) -> tuple[Network, float]:
    """Train a stage, in its last part with the normalisations as they are in use.

    Args:
        state: see `loop.train`.
        network: is trained in place.
        loss_of: see there.
        recipe: of the stage.

    Returns:
        The network's average over the training, in the form in which it is used, and the seconds of the training.

    Raises:
        RuntimeError: see there.
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
