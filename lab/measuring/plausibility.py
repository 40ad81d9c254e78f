"""How plausible a face is to the denoiser that was trained on faces.

A denoiser predicts the clean picture from a noisy one. It does so better for pictures like those that it learned from
than for one with smudges, which it takes for noise. The measure is its error inside the face, at one noise level and
with the same noise, relative to its error on the original:

    error         = rms of m(x_0 + S n, S) - x_0 over the face,   m under the null identity
    plausibility  = error of the result / error of the original

1 is as plausible as the original, more than 1 is less plausible.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

LEVEL = 0.57
"""Noise level S."""


def cells_of(masks: NDArray[np.bool_], height: int, width: int) -> NDArray[np.bool_]:
    """Return which cells of a latent belong to the face: those with at least half of their pixels in the mask.

    Args:
        masks: [N, H, W].
        height: of the latent.
        width: of the latent.

    Returns:
        [N, height, width].

    Raises:
        ValueError: a face has no cell.
    """
    shares = [cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA) for mask in masks]
    cells: NDArray[np.bool_] = np.stack(shares) >= 0.5
    without = np.flatnonzero(~cells.any((1, 2)))
    if len(without):
        raise ValueError(f"face {without[0]} fills half of no cell of a latent of {height} x {width}: it is too small")
    return cells


def error_inside(predicted: Tensor, clean: Tensor, cells: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the root mean square of a prediction's error over the face.

    Args:
        predicted: denoised prediction m, [N, C, h, w].
        clean: what it should be, same shape and space.
        cells: `cells_of`, [N, h, w], some cell of each true.

    Returns:
        [N], in units of the latents.
    """
    squared = torch.square(predicted.double() - clean.double()).mean(1).cpu().numpy()
    means: NDArray[np.float64] = (squared * cells).sum((1, 2)) / cells.sum((1, 2))
    return np.sqrt(means)
