"""Whether two pictures show the same face, by the recogniser that has been trained, and in which direction they do."""

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
    """The recogniser of the pack `miniature` as something that can be differentiated.

    Args:
        shop: where it has been trained; it is trained here if not.
    """

    def __init__(self, shop: Workshop) -> None:
        plan = recogniser.RECIPES["recogniser"][shop.smoke]
        plan.portraits.render(shop.data, shop.threads)
        model = recogniser.build(plan, plan.components + BROW_NUMBERS)
        recogniser.fit(shop, plan, model)
        self.network = model.network.eval().requires_grad_(False)

    def __call__(self, made: Tensor, wanted: Tensor, landmarks: NDArray[Any]) -> Tensor:
        """1 - cosine, averaged.

        Args:
            made: [N, 3, H, W] in [0, 1], through which the gradient goes.
            wanted: of the same shape.
            landmarks: [N, 5, 2] pixels in both.
        """
        maps = similarity(landmarks - 0.5)
        before, after = (F.normalize(self.network(aligned(image, maps) * 2 - 1)) for image in (wanted, made))
        return 1 - (before * after).sum(1).mean()


def aligned(image: Tensor, maps: NDArray[np.float64]) -> Tensor:
    """Crops [N, 3, S, S] of images [N, 3, H, W] under maps [N, 2, 3] in pixels, as `crops.warp` cuts them."""
    whole = np.concatenate([maps, np.broadcast_to([[[0.0, 0.0, 1.0]]], (len(maps), 1, 3))], 1)
    back = torch.from_numpy(np.linalg.inv(whole)[:, :2]).float()
    places = torch.arange(RECOGNITION_SIDE, dtype=torch.float32)
    rows, columns = torch.meshgrid(places, places, indexing="ij")
    target = torch.stack([columns, rows, torch.ones_like(rows)], -1)
    source = torch.einsum("nij,hwj->nhwi", back, target)
    size = torch.tensor([image.shape[3], image.shape[2]])
    return F.grid_sample(image, (source + 0.5) / size * 2 - 1, align_corners=False)
