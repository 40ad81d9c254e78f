"""How much of a photograph's sharpness is left where an unchanged crop is pasted back."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from harness.in_process import part, run_node

SIDES = (512, 1024)
"""Of the crops, pixels: the nodes' for SD1.5 and SDXL."""

SIZES = (24, 48, 96, 192, 10_000)
"""Longer sides of faces' boxes, pixels, between which the table's rows are."""

CORE = 0.999
"""How much of a pixel comes from the crop in the mask's core."""


@dataclass(frozen=True)
class Pasted:
    """One face after its crop was pasted back.

    Attributes:
        side: of the crop, pixels.
        rounded: whether the crop was rounded to 8 bits, as a decoder's output may be.
        size: longer side of the face's box, pixels.
        scale: crop pixels per photograph pixel.
        kept: variance of the Laplacian in the core, as a part of the photograph's.
        change: mean absolute difference in the core, in levels of 255.
    """

    side: int
    rounded: bool
    size: float
    scale: float
    kept: float
    change: float


def paste_back(image: Tensor, faces: Any, size: float, sides: Sequence[int] = SIDES) -> Iterator[Pasted]:
    """Crop and paste one face of a photograph, with crops of each side, as they are and rounded.

    Args:
        image: float32 [1, H, W, 3] in [0, 1].
        faces: the pack's `Faces` with this one face.
        size: longer side of the face's box, pixels.
        sides: of the crops, pixels.
    """
    scale_of = part("reverse_personalization.geometry.alignment").scale_of
    for side in sides:
        crops, _, placements, _ = run_node("ReverseIdentityFaceCrop", image, faces, side=side)
        if not len(placements):
            continue
        scale = float(scale_of(placements.crops[0].to_crop))
        for rounded in (False, True):
            shown = (255 * crops).round() / 255 if rounded else crops
            pasted, mask = run_node("ReverseIdentityFacePaste", image, placements, shown)
            core = mask[0].numpy() >= CORE
            before, after = (_luma(one[0].numpy()) for one in (image, pasted))
            if not core.any() or _laplacian(before)[core].var() == 0:
                continue
            kept = _laplacian(after)[core].var() / _laplacian(before)[core].var()
            change = 255 * np.abs(pasted[0].numpy() - image[0].numpy())[core].mean()
            yield Pasted(side, rounded, size, scale, float(kept), float(change))


def _luma(picture: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.asarray(255 * (picture[..., :3] @ [0.299, 0.587, 0.114]), np.float64)


def _laplacian(luma: NDArray[np.float64]) -> NDArray[np.float64]:
    import cv2

    return np.asarray(cv2.Laplacian(luma, cv2.CV_64F), np.float64)


def sharpness_figures(pasted: Sequence[Pasted]) -> list[dict[str, Any]]:
    """A row for each side of the crops and size of the faces; enlarged crops, shrunk and rounded ones apart."""
    rows = []
    for side, rounded, (low, high), shrunk in itertools.product(
        SIDES, (False, True), itertools.pairwise(SIZES), (False, True)
    ):
        here = [
            one
            for one in pasted
            if (one.side, one.rounded, one.scale < 1) == (side, rounded, shrunk) and low <= one.size < high
        ]
        if here:
            kept, change = [one.kept for one in here], [one.change for one in here]
            rows.append(
                {
                    "side": side,
                    "rounded": rounded,
                    "from": low,
                    "to": high,
                    "shrunk": shrunk,
                    "faces": len(here),
                    "kept_mean": round(float(np.mean(kept)), 3),
                    "kept_least": round(min(kept), 3),
                    "kept_most": round(max(kept), 3),
                    "change_mean": round(float(np.mean(change)), 3),
                    "change_worst": round(max(change), 3),
                }
            )
    return rows
