"""Makes the identities that faces are drawn towards, from what is known of the faces or of nobody.

Every function takes or returns embeddings of unit length, float32 [F, 512], one for each face.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ..geometry.faces import Sex
from .identity_statistics import IdentityStatistics

LARGEST_ANGLE = 180.0

LARGEST_WEIGHT = 1000.0


def opposite(own: Tensor) -> Tensor:
    """The antipode of each face: what is as unlike the person as possible to the recogniser.

    Args:
        own: embeddings of the faces.
    """
    return -own


def rotated(own: Tensor, degrees: float, statistics: IdentityStatistics, seed: int) -> Tensor:
    """Each face's embedding, rotated in a random plane.

    Args:
        own: embeddings of the faces.
        degrees: 0 to 180; the cosine with the person is that of this angle.
        statistics: of the recogniser's embeddings, from which the plane's other axis is drawn.
        seed: of the planes.
    """
    check_angle(degrees)
    other = synthetic([None] * len(own), statistics, seed)
    aside = F.normalize(other - (other * own).sum(1, keepdim=True) * own, dim=1)
    angle = math.radians(degrees)
    return F.normalize(math.cos(angle) * own + math.sin(angle) * aside, dim=1)


def strangers(others: Tensor, count: int) -> Tensor:
    """One other person for each face: in order, beginning again where there are fewer of them.

    Args:
        others: embeddings [S, 512] of other people.
        count: F, number of faces.
    """
    return others[[number % len(others) for number in range(count)]]


def mixed(others: Tensor, weights: Sequence[float], count: int) -> Tensor:
    """One mix of other people for all faces.

    Args:
        others: embeddings [S, 512] of other people.
        weights: S numbers; empty for the mean.
        count: F, number of faces.

    Raises:
        ValueError: there is not one weight for each, or nothing is left of the mix.
    """
    if weights and len(weights) != len(others):
        raise ValueError(
            f"there are {len(weights)} weights for {len(others)} other faces; expected one for each, or none for their "
            "mean"
        )
    parts = torch.tensor(list(weights) or [1.0] * len(others))
    mix = (parts[:, None] * others).sum(0)
    if float(mix.norm()) < 1e-6 * float(parts.abs().sum()):
        raise ValueError("the other faces cancel out in this mix, so it is nobody; choose other weights")
    return F.normalize(mix, dim=0).expand(count, -1)


def synthetic(sexes: Sequence[Sex | None], statistics: IdentityStatistics, seed: int) -> Tensor:
    """A person for each face who is made up.

    Args:
        sexes: of the faces, which are kept where the statistics know them; None for either.
        statistics: of the recogniser's embeddings.
        seed: of the draw.
    """
    return statistics.draw(sexes, torch.Generator().manual_seed(seed))


def check_angle(degrees: float) -> None:
    """Refuse an angle out of range.

    Raises:
        ValueError: it is not within 0 to 180.
    """
    if not 0.0 <= degrees <= LARGEST_ANGLE:
        raise ValueError(f"the angle is {degrees:g}; expected 0 to {LARGEST_ANGLE:g} degrees")


def parse_weights(text: str) -> tuple[float, ...]:
    """Read the weights of a mix.

    Args:
        text: numbers separated by commas, "2, 1, 1"; or nothing.

    Raises:
        ValueError: `text` is no such list, a number is too large, or all are 0.
    """
    if not text.strip():
        return ()
    try:
        weights = tuple(float(part) for part in text.split(","))
    except ValueError:
        weights = ()
    if not any(weights) or not all(abs(weight) <= LARGEST_WEIGHT for weight in weights):
        raise ValueError(
            f'the weights are "{text}"; expected one number for each of the other faces, separated by commas, such as '
            f'"2, 1, 1", none beyond {LARGEST_WEIGHT:g} and not all 0; or nothing for the mean'
        )
    return weights
