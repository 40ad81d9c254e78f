"""The detector's second look: where it cuts faces out, and what its answers mean.

The first stage sees every face at about the same small size, so its landmarks are inexact however large the face is. A
second network looks at each find again, cut out of the original picture. It says whether it is a face, and where
exactly. Its answers are relative to the square that it sees. Coordinates are pixels, (0, 0) the top left corner
of the top left pixel.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .anchors import LANDMARKS
from .networks import convolution, residual

SHOWN = 64
"""Side in pixels of the square that the network sees."""

REACH = 1.6
"""Side of the square in longer sides of the found box."""

LOOKS = 2
"""How often it looks: the second time, around the box from the first."""

EVEN = 0.7
"""Network score that becomes 0.5 in the file: there, false finds and missed faces are equally rare.

With EVEN at 0.5, the file found 99.8 % of 518 faces in 140 test scenes at a score of 0.5, and 97.5 % of its finds
were faces; at 0.7 both were 99.4 %.
"""

OUTPUTS = 15
"""Outputs: a logit, a box and five landmarks."""

MIDDLE = tuple(place / REACH for place in (-0.4, -0.5, 0.4, 0.5))
"""Corners of the box at output 0, relative to the square's middle in units of its side."""

MARKS = tuple((x * 0.9 / REACH, y * 0.9 / REACH) for x, y in LANDMARKS)
"""Landmarks at output 0; a face's longer side is a ninth longer than the root of its box's area."""


def second_network(widths: tuple[int, ...] = (16, 32, 64, 96), hidden: int = 128) -> nn.Sequential:
    """Build a network from squares [N, 3, SHOWN, SHOWN], RGB as (value - 127.5) / 128, to raw outputs [N, OUTPUTS].

    Args:
        widths: channels of each level; each begins by halving the side.
        hidden: width of the layer before the last.
    """
    layers: list[nn.Module] = []
    inputs = 3
    for level, width in enumerate(widths):
        layers += [*convolution(inputs, width, 3, 2), nn.ReLU()]
        if level:
            layers.append(residual(width))
        inputs = width
    cells = (SHOWN >> len(widths)) ** 2
    last = nn.Linear(hidden, OUTPUTS)
    nn.init.normal_(last.weight, std=0.01)
    nn.init.zeros_(last.bias)
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(inputs * cells, hidden), nn.ReLU(), last)


def squares_around(boxes: Tensor) -> Tensor:
    """Return the squares [N, 4], as corners, in which found boxes [N, 4] get a second look."""
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]).amax(1, keepdim=True).clamp(min=1.0) * (REACH / 2)
    return torch.cat([middle - half, middle + half], dim=1)


def decode(raw: Tensor, squares: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Decode raw outputs [N, OUTPUTS] of squares [N, 4] to logits [N], boxes [N, 4] and landmarks [N, 5, 2]."""
    middle = (squares[:, :2] + squares[:, 2:]) / 2
    side = (squares[:, 2:3] - squares[:, :1])[:, None]
    corners = (raw[:, 1:5] + raw.new_tensor(MIDDLE)).unflatten(1, (2, 2))
    marks = raw[:, 5:].unflatten(1, (5, 2)) + raw.new_tensor(MARKS)
    return raw[:, 0], (corners * side + middle[:, None]).flatten(1), marks * side + middle[:, None]
