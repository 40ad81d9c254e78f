"""How far the results as a whole are from the originals: Fréchet and kernel distance of features.

FID is Heusel et al., "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium" (2017); KID is
Bińkowski et al., "Demystifying MMD GANs" (2018). Both are torchmetrics'; the features come from the user's own model,
whose name belongs beside the number, because numbers of other features cannot be compared.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

SUBSET = 1000
"""Most pictures in one kernel matrix."""

SUBSETS = 10
"""Subsets that KID is averaged over if there are more pictures."""

SEED = 0
"""Of the subsets."""

Features = NDArray[np.floating[Any]]
"""[N, D], N at least 2."""


class GivenFeatures(torch.nn.Module):
    """Stands in for the network of a torchmetrics metric, which gets features instead of pictures.

    Attributes:
        num_features: D.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.num_features = width

    def forward(self, features: Tensor) -> Tensor:
        """Return the features [N, D] themselves."""
        return features


def frechet_distance(originals: Features, results: Features) -> float:
    """The squared Fréchet distance of two Gaussians with the features' means and covariances.

    With fewer pictures than features the covariances are singular and the number too large: compare it only with
    numbers of as many pictures.
    """
    from torchmetrics.image.fid import FrechetInceptionDistance

    return _distance(FrechetInceptionDistance(GivenFeatures(originals.shape[1])), originals, results)


def kernel_distance(originals: Features, results: Features) -> float:
    """The unbiased squared maximum mean discrepancy with the kernel (x y / D + 1)^3; may be below 0."""
    from torchmetrics.image.kid import KernelInceptionDistance

    fewest = min(len(originals), len(results))
    with warnings.catch_warnings():
        # That it keeps the features, which are here anyway.
        warnings.simplefilter("ignore", UserWarning)
        metric = KernelInceptionDistance(
            GivenFeatures(originals.shape[1]),
            subsets=1 if fewest <= SUBSET else SUBSETS,
            subset_size=min(fewest, SUBSET),
        )
    return _distance(metric, originals, results)


def _distance(metric: Any, originals: Features, results: Features) -> float:
    metric.set_dtype(torch.float64)
    for features, real in ((originals, True), (results, False)):
        metric.update(torch.from_numpy(np.asarray(features, np.float64)), real=real)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        value = metric.compute()
    return float(value[0] if isinstance(value, tuple) else value)
