"""Small convolutional networks, built only from layers that `onnx_export` can write."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn


class Residual(nn.Module):
    """Adds the output of `inside` to its input and rectifies the sum."""

    def __init__(self, inside: nn.Sequential) -> None:
        super().__init__()
        self.inside = inside

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as the input."""
        return torch.relu(x + self.inside(x))


class Scale(nn.Module):
    """Maps values from [0, 1] to [-1, 1]."""

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as the input."""
        return x * 2 - 1


def convolution(inputs: int, outputs: int, side: int, stride: int = 1) -> list[nn.Module]:
    """Return a convolution that keeps the size, apart from its stride, and a batch normalisation."""
    layer = nn.Conv2d(inputs, outputs, side, stride, side // 2, bias=False)
    return [layer, nn.BatchNorm2d(outputs)]


def residual(width: int) -> Residual:
    """Return two convolutions with a skip connection."""
    return Residual(nn.Sequential(*convolution(width, width, 3), nn.ReLU(), *convolution(width, width, 3)))


def residual_network(widths: tuple[int, ...], depths: tuple[int, ...], cells: int, outputs: int) -> nn.Sequential:
    """Build a network from images [N, 3, S, S] in [-1, 1] to rows [N, outputs], standardised over a batch.

    Args:
        widths: channels of each level; each begins by halving the side.
        depths: residual blocks of each level.
        cells: number of cells of the last level.
        outputs: length of a row.
    """
    layers: list[nn.Module] = []
    inputs = 3
    for level, (width, depth) in enumerate(zip(widths, depths, strict=True)):
        layers += [*convolution(inputs, width, 3 if level else 5, 2), nn.ReLU()]
        layers += [residual(width) for _ in range(depth)]
        inputs = width
    return nn.Sequential(*layers, *head(inputs * cells, outputs))


def head(inputs: int, outputs: int) -> list[nn.Module]:
    """Return layers from maps to rows [N, outputs], standardised over a batch."""
    return [nn.Flatten(), nn.Linear(inputs, outputs, bias=False), nn.BatchNorm1d(outputs, affine=False)]


def plain_network(widths: tuple[int, ...], cells: int, outputs: int) -> nn.Sequential:
    """Build a network like `residual_network`, [N, 3, S, S] to [N, outputs], but without skip connections.

    Args:
        widths: channels of each level: a halving convolution and, from the third level on, another one.
        cells: number of cells of the last level.
        outputs: length of a row.
    """
    layers: list[nn.Module] = []
    inputs = 3
    for level, width in enumerate(widths):
        layers += [*convolution(inputs, width, 3, 2), nn.SiLU()]
        if level >= 2:
            layers += [*convolution(width, width, 3), nn.SiLU()]
        inputs = width
    return nn.Sequential(*layers, *head(inputs * cells, outputs))


def settle(
    model: nn.Module,
    network: nn.Module,
    draw: Callable[[np.random.Generator], Tensor],
    batches: int,
    seeds: tuple[int, int],
) -> None:
    """Measure the batch normalisations' statistics again with the final weights, and end the training.

    Args:
        model: whole model, left in evaluation mode.
        network: part of the model that takes the batches.
        draw: draws an input of the network from a random generator; torch is seeded, too.
        batches: number of batches to measure over.
        seeds: seeds of the random generators; the first also seeds torch.
    """
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            layer.reset_running_stats()
            layer.momentum = None  # Average all batches equally.
    rng = np.random.default_rng(seeds)
    torch.manual_seed(seeds[0])
    model.train()
    with torch.no_grad():
        for _ in range(batches):
            network(draw(rng))
    model.eval()
