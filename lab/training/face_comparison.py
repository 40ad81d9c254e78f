"""Compares the faces in two pictures with the trained recogniser, as a loss that can be differentiated."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from miniature.insight import RECOGNITION_SIDE

from . import recogniser
from .crops import similarity
from .identity_code import BROW_NUMBERS
from .loop import Workshop


class FaceComparison:
    """The recogniser of the pack `miniature`, differentiable.

    Args:
        shop: workshop of the recogniser, which is trained first if necessary.
    """

    def __init__(self, shop: Workshop) -> None:
        plan = recogniser.RECIPES["recogniser"][shop.smoke]
        plan.portraits.render(shop.data, shop.threads)
        model = recogniser.build(plan, plan.components + BROW_NUMBERS)
        recogniser.fit(shop, plan, model)
        self.network = model.network.eval().requires_grad_(False)

    def __call__(self, made: Tensor, wanted: Tensor, landmarks: NDArray[Any]) -> Tensor:
        """Return the mean of 1 - cosine.

        Args:
            made: [N, 3, H, W] in [0, 1]; the gradient flows through these.
            wanted: pictures of the same shape.
            landmarks: [N, 5, 2] pixels, in both.
        """
        maps = similarity(landmarks - 0.5)
        before, after = (F.normalize(self.network(aligned(image, maps) * 2 - 1)) for image in (wanted, made))
        return 1 - (before * after).sum(1).mean()


def aligned(image: Tensor, maps: NDArray[np.float64]) -> Tensor:
    """Cut crops [N, 3, S, S] from images [N, 3, H, W] under maps [N, 2, 3] in pixels, as `crops.warp` does."""
    whole = np.concatenate([maps, np.broadcast_to([[[0.0, 0.0, 1.0]]], (len(maps), 1, 3))], 1)
    back = torch.from_numpy(np.linalg.inv(whole)[:, :2]).float()
    places = torch.arange(RECOGNITION_SIDE, dtype=torch.float32)
    rows, columns = torch.meshgrid(places, places, indexing="ij")
    target = torch.stack([columns, rows, torch.ones_like(rows)], -1)
    source = torch.einsum("nij,hwj->nhwi", back, target)
    size = torch.tensor([image.shape[3], image.shape[2]])
    return F.grid_sample(image, (source + 0.5) / size * 2 - 1, align_corners=False)
