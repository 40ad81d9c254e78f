"""How the embeddings of a recogniser are spread: where a made-up identity is one that the recogniser could see.

A recogniser's embeddings lie on a sphere of 512 dimensions, but they need not fill it: those of the miniature's guide
lie near a subspace of about 28. A vector beside it stands for nobody. Where the spread was measured, it lies in a file
beside the recogniser; where it was not, an identity is drawn evenly from the whole sphere.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ..geometry.faces import EMBEDDING_WIDTH, Sex

STATISTICS_FILE = "identities.npz"
"""Name of the file in a pack's folder that holds the statistics of its embeddings."""

KEPT_VARIANCE = 0.95
"""Part of the variance that the axes of measured statistics hold."""

_FIELDS = ("mean", "axes", "deviations", "female", "male", "within")

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class IdentityStatistics:
    """Mean and principal axes of embeddings of many people.

    Attributes:
        mean: float64 [512], of all.
        axes: float64 [K, 512], orthonormal; K is even.
        deviations: float64 [K], standard deviations of everybody along the axes.
        by_sex: float64 [K] each, the mean place along the axes of one sex; empty where it was not measured.
        within: float64 [K], standard deviations within one sex.
    """

    mean: Tensor = field(repr=False)
    axes: Tensor = field(repr=False)
    deviations: Tensor = field(repr=False)
    by_sex: dict[Sex, Tensor] = field(default_factory=dict, repr=False)
    within: Tensor | None = field(default=None, repr=False)

    def coordinates(self, embeddings: Tensor) -> Tensor:
        """Places of embeddings [F, 512] along the axes, float64 [F, K]."""
        return (embeddings.double() - self.mean) @ self.axes.T

    def identities(self, coordinates: Tensor) -> Tensor:
        """Unit embeddings of places along the axes: float32 [F, 512].

        Args:
            coordinates: float64 [F, K]; only their direction counts, as with embeddings.
        """
        return F.normalize(coordinates @ self.axes, dim=1).float()

    def draw(self, sexes: Sequence[Sex | None], generator: torch.Generator) -> Tensor:
        """Draw identities that the recogniser could see, float32 [F, 512] of unit length.

        Args:
            sexes: of each; None, and any where the statistics know no sexes, for either.
            generator: of random numbers, on the CPU.
        """
        standard = torch.randn(len(sexes), len(self.axes), generator=generator, dtype=torch.float64)
        places = torch.zeros_like(standard)
        for number, sex in enumerate(sexes):
            middle = None if sex is None else self.by_sex.get(sex)
            if middle is None or self.within is None:
                places[number] = standard[number] * self.deviations
            else:
                places[number] = middle + standard[number] * self.within
        return F.normalize(self.mean + places @ self.axes, dim=1).float()


def even_sphere() -> IdentityStatistics:
    """What is taken of a recogniser that nobody has measured: a sphere that is filled evenly."""
    width = EMBEDDING_WIDTH
    return IdentityStatistics(
        torch.zeros(width, dtype=torch.float64), torch.eye(width, dtype=torch.float64), torch.ones(width).double()
    )


def measured(embeddings: Floats, sexes: Sequence[Sex]) -> dict[str, Floats]:
    """Measure statistics, as `to_file` stores them.

    Args:
        embeddings: [N, 512] of unit length, one for each of many people.
        sexes: of these people.
    """
    mean = embeddings.mean(0)
    _, spread, directions = np.linalg.svd(embeddings - mean, full_matrices=False)
    shares = np.cumsum(spread**2) / (spread**2).sum()
    count = int(np.searchsorted(shares, KEPT_VARIANCE)) + 1
    # Even, so that `pseudonym` can turn every axis into another.
    axes = directions[: count + count % 2]
    places = (embeddings - mean) @ axes.T
    female = np.array([sex == "female" for sex in sexes])
    middles = {"female": places[female].mean(0), "male": places[~female].mean(0)}
    centred = places - np.where(female[:, None], middles["female"], middles["male"])
    return {"mean": mean, "axes": axes, "deviations": places.std(0), **middles, "within": centred.std(0)}


def to_file(fields: dict[str, Floats]) -> bytes:
    """The content of a statistics file, from what `measured` returns."""
    stream = io.BytesIO()
    stored: dict[str, Any] = {name: fields[name].astype(np.float32) for name in _FIELDS}
    np.savez_compressed(stream, **stored)
    return stream.getvalue()


def from_file(content: bytes) -> IdentityStatistics:
    """Read a statistics file.

    Raises:
        ValueError: it is not such a file.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            read = {name: torch.from_numpy(stored[name]).double() for name in _FIELDS}
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"it is no statistics file ({error})") from None
    axes = read["axes"]
    count = len(axes) if axes.ndim == 2 else 0
    shapes = {**dict.fromkeys(_FIELDS, (count,)), "mean": (EMBEDDING_WIDTH,), "axes": (count, EMBEDDING_WIDTH)}
    wrong = [name for name in _FIELDS if tuple(read[name].shape) != shapes[name]]
    if wrong or count < 2 or count % 2 or not all(value.isfinite().all() for value in read.values()):
        raise ValueError(f"its {', '.join(wrong) or 'axes'} are not as expected")
    by_sex: dict[Sex, Tensor] = {"female": read["female"], "male": read["male"]}
    # Stored in single precision: a rotation of axes that are not quite orthonormal would not quite keep lengths.
    orthonormal = torch.linalg.qr(axes.T)
    axes = (orthonormal.Q * orthonormal.R.diagonal().sign()).T
    return IdentityStatistics(read["mean"], axes, read["deviations"], by_sex, read["within"])
