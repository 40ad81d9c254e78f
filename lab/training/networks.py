"""Small convolutional networks, made of the few kinds of layers that `onnx_export` can write."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn


class Residual(nn.Module):
    """What is inside, added to its input and rectified."""

    def __init__(self, inside: nn.Sequential) -> None:
        super().__init__()
        self.inside = inside

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as the input."""
        return torch.relu(x + self.inside(x))


class Scale(nn.Module):
    """Values in [0, 1] brought to [-1, 1]."""

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as the input."""
        return x * 2 - 1


def convolution(inputs: int, outputs: int, side: int, stride: int = 1) -> list[nn.Module]:
    """A convolution that keeps the size, up to its stride, and a batch normalisation."""
    layer = nn.Conv2d(inputs, outputs, side, stride, side // 2, bias=False)
    return [layer, nn.BatchNorm2d(outputs)]


def residual(width: int) -> Residual:
    """Two convolutions around which the input goes past."""
    return Residual(nn.Sequential(*convolution(width, width, 3), nn.ReLU(), *convolution(width, width, 3)))


def residual_network(widths: tuple[int, ...], depths: tuple[int, ...], cells: int, outputs: int) -> nn.Sequential:
    """Images [N, 3, S, S] in [-1, 1] to rows [N, outputs] of mean 0 and deviation 1 over a batch.

    Args:
        widths: channels of each level; each begins by halving the side.
        depths: residual blocks of each level.
        cells: the last level's cells, in all.
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
    """From maps to rows [N, outputs] of mean 0 and deviation 1 over a batch."""
    return [nn.Flatten(), nn.Linear(inputs, outputs, bias=False), nn.BatchNorm1d(outputs, affine=False)]


def plain_network(widths: tuple[int, ...], cells: int, outputs: int) -> nn.Sequential:
    """Convolutions one after the other, without ways past them: [N, 3, S, S] to [N, outputs], as `residual_network`.

    Args:
        widths: channels of each level, a halving convolution and, from the third level on, another one.
        cells: the last level's cells, in all.
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
    """Measure the batch normalisations' statistics anew, with weights that no longer change, and end the training.

    Args:
        model: is left in the mode of evaluation.
        network: part of the model that takes the batches.
        draw: input of the network, by random numbers; torch's are seeded, too.
        batches: how many to measure over.
        seeds: of the random numbers; the first of torch's as well.
    """
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            layer.reset_running_stats()
            layer.momentum = None  # The plain average of all batches.
    rng = np.random.default_rng(seeds)
    torch.manual_seed(seeds[0])
    model.train()
    with torch.no_grad():
        for _ in range(batches):
            network(draw(rng))
    model.eval()
