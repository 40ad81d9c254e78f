"""What is left of a photograph's sharpness where unchanged crops are pasted back."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import host
from .pictures import Picture
from .searching import embed, matched

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
        size: longer side of the face's box, pixels.
        scale: crop pixels per photograph pixel.
        kept: variance of the Laplacian in the core, as a part of the photograph's.
        change: mean absolute difference in the core, in levels of 255.
    """

    side: int
    size: float
    scale: float
    kept: float
    change: float


def paste_back(pictures: Iterable[Picture], live: bool) -> list[Pasted]:
    """Crop and paste every annotated face that is found, one at a time."""
    from dataclasses import replace

    alignment: Any = host.module("reverse_personalization.geometry.alignment")
    results = []
    for picture in pictures:
        known = [face for face in picture.faces if not face.note and face.side >= SIZES[0]]
        if not known:
            continue
        faces = embed(picture, live)
        matches = matched([face.box for face in known], [one.box for one in faces.images[0]])
        image = host.image(picture.pixels())
        for face, match in zip(known, matches, strict=True):
            if match is None:
                continue
            alone = replace(faces, images=((faces.images[0][match],),), left_out=((),))
            for side in SIDES:
                crops, _, placements, _ = host.node("ReverseIdentityFaceCrop", image, alone, side=side)
                if not len(placements):
                    continue
                pasted, mask = host.node("ReverseIdentityFacePaste", image, placements, crops)
                core = mask[0].numpy() >= CORE
                before, after = (_luma(one[0].numpy()) for one in (image, pasted))
                sharp = _laplacian(before)[core].var()
                if not core.any() or sharp == 0:
                    continue
                change = 255 * np.abs(pasted[0].numpy() - image[0].numpy())[core].mean()
                results.append(
                    Pasted(
                        side,
                        face.side,
                        float(alignment.scale_of(placements.crops[0].to_crop)),
                        float(_laplacian(after)[core].var() / sharp),
                        float(change),
                    )
                )
    return results


def _luma(picture: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.asarray(255 * (picture[..., :3] @ [0.299, 0.587, 0.114]), np.float64)


def _laplacian(luma: NDArray[np.float64]) -> NDArray[np.float64]:
    import cv2

    return np.asarray(cv2.Laplacian(luma, cv2.CV_64F), np.float64)


def sharpness_figures(pasted: Sequence[Pasted]) -> list[dict[str, Any]]:
    """A row for each side of the crops and size of the faces; enlarged crops and shrunk ones apart."""
    rows = []
    for side in SIDES:
        for low, high in itertools.pairwise(SIZES):
            for shrunk in (False, True):
                here = [
                    one for one in pasted if one.side == side and low <= one.size < high and (one.scale < 1) == shrunk
                ]
                if here:
                    kept, change = [one.kept for one in here], [one.change for one in here]
                    rows.append(
                        {
                            "side": side,
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
