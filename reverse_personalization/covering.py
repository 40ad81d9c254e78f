"""Covers over faces: whom they hide, and what they are made of."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .cover_geometry import Cover, place_cover
from .faces import Face
from .head_extent import HEAD_PER_FACE
from .verdict import FaceVerdict, Verdict, pixels_digest

Method = Literal["solid", "mosaic", "blur"]

METHODS: tuple[Method, ...] = get_args(Method)
"""The safest first."""

SOLID_LEVEL = 0.0
"""Brightness of a solid cover. It is no colour of the picture: a mean would give away the skin's."""

MAX_MOSAIC_BLOCKS = 6
"""Most blocks that a mosaic has across a cover."""

MIN_BLOCK_SIZE = 4
"""Pixels: so that something is lost of a face that has hardly more of them than a mosaic has blocks."""

BLUR_SIGMA_FRACTION = 1 / 6
"""Standard deviation of a blur as a part of the cover's length: more than half of what the eyes are apart."""

_BLUR_LENGTH = 48
"""Length in pixels at which a blur is computed. Its standard deviation is 8 of them: nothing finer is left."""


NO_CHECKER = ""
"""Name of the checker in a verdict over pictures that nobody checked."""

MAX_HIDDEN_FRACTION = 0.25
"""Part of a face under the covers of others from which on what was measured of it says nothing of the rest.

Of 429 anonymised faces of hostile photographs, cosines were up to 0.46 where other covers hid less than 0.7 of the
face, as without covers, and up to 0.72 beyond; a quarter keeps well away from that.
"""


def unchecked_verdict(image: Tensor, guide: str) -> Verdict:
    """A verdict that says nothing, over pictures that nobody changed or checked yet."""
    digests = tuple(pixels_digest(one) for one in image)
    # Below every cosine: by this verdict nobody would be unrecognisable.
    return Verdict(
        images=((),) * len(image), originals=digests, results=digests, threshold=-1.0, guide=guide, checker=NO_CHECKER
    )


def faces_to_cover(
    checked: tuple[FaceVerdict, ...], asked: tuple[Face, ...], unhandled: str
) -> list[tuple[FaceVerdict, bool]]:
    """The faces of one picture, each with whether it is to be covered; faces that only `asked` knows come last."""
    boxes = {face.box for face in asked}
    plan = []
    for face in checked:
        plan.append((face, not face.may_stay(unhandled == "keep") or not boxes.isdisjoint(face.boxes)))
    known = {box for face in checked for box in face.boxes}
    new = [FaceVerdict("unhandled", (face.box,), (face.landmarks,)) for face in asked if face.box not in known]
    return plan + [(face, True) for face in new]


def cover_faces_(
    picture: Tensor, mask: Tensor, plan: Sequence[tuple[FaceVerdict, bool]], method: Method, grow: float
) -> tuple[FaceVerdict, ...]:
    """Cover faces of one picture [H, W, C] in place and mark the covers in its mask [H, W]; returns all faces.

    Covers of others may hide a part of a face that is anonymised. It was measured without them, so what it was found
    to be is not what leaves, and from MAX_HIDDEN_FRACTION on it is covered as well.

    Raises:
        ValueError: a face has no place.
        RuntimeError: a cover hides nothing.
    """
    faces = [face for face, _ in plan]
    height, width = mask.shape

    def place(index: int, grow: float) -> Cover:
        face = faces[index]
        try:
            return place_cover(face.boxes, face.landmarks, height, width, grow)
        except ValueError as error:
            raise ValueError(f"face {index + 1} cannot be covered: {error}") from None

    # Covers of another such node before this one hide faces, too.
    under = torch.zeros_like(mask)

    def mark(where: Tensor, cover: Cover) -> None:
        where[cover.rows, cover.columns].masked_fill_(torch.from_numpy(cover.mask), 1)

    def hidden(index: int) -> float:
        face = place(index, 1 / HEAD_PER_FACE - 1)
        return float(under[face.rows, face.columns][torch.from_numpy(face.mask)].mean())

    due = [index for index, (_, cover_it) in enumerate(plan) if cover_it]
    for index, face in enumerate(faces):
        if face.status == "covered" and index not in due:
            mark(under, place(index, grow))
    while due:
        for index in due:
            cover = place(index, grow)
            here = picture[cover.rows, cover.columns]
            under_it = torch.from_numpy(cover.mask).to(here.device)
            before = here[under_it]
            cover_(picture, cover, method)
            if not is_covered(before, here[under_it], method):
                raise RuntimeError(f"face {index + 1} shows through its cover: nothing is passed on; try solid")
            mark(mask, cover)
            mark(under, cover)
            faces[index] = replace(faces[index], status="covered", method=method, reason="")
        due = [
            index
            for index, face in enumerate(faces)
            if face.status == "anonymised" and hidden(index) >= MAX_HIDDEN_FRACTION
        ]
    return tuple(faces)


def cover_(image: Tensor, cover: Cover, method: Method) -> None:
    """Cover a face in place.

    Args:
        image: float [H, W, C] in [0, 1], C in 1, 3, 4; alpha, the fourth, is kept.
        cover: of one of its faces.
        method: "solid", one flat colour; "mosaic", at most `MAX_MOSAIC_BLOCKS` blocks across; "blur". The last two
            are made of the picture, and something of the face is left in them.
    """
    pixels = image[cover.rows, cover.columns, :3]
    mask = torch.from_numpy(cover.mask)[..., None].to(image.device)
    if method == "solid":
        pixels.masked_fill_(mask, SOLID_LEVEL)
        return
    levels = pixels.float().cpu().numpy()
    made = _mosaic(levels, cover.length) if method == "mosaic" else _blur(levels, cover.length)
    torch.where(mask, torch.from_numpy(made).to(pixels), pixels, out=pixels)


def is_covered(before: Tensor, after: Tensor, method: Method) -> bool:
    """Whether a cover has really hidden what was there.

    Args:
        before: [P, C], the pixels under it before, C in 1, 3, 4; alpha does not count.
        after: [P, C], the same after.
        method: of the cover.
    """
    before, after = before[:, :3], after[:, :3]
    if method == "solid":
        return bool((after == SOLID_LEVEL).all())
    # What is made of the picture differs from it, except where there was nothing to see.
    flat = bool((before == before[:1]).all())
    return bool(after.isfinite().all()) and (flat or not torch.equal(before, after))


def _mosaic(pixels: NDArray[np.float32], length: int) -> NDArray[Any]:
    import cv2

    block = max(math.ceil(length / MAX_MOSAIC_BLOCKS), MIN_BLOCK_SIZE)
    height, width, channels = pixels.shape
    blocks = (math.ceil(width / block), math.ceil(height / block))
    means = cv2.resize(pixels, blocks, interpolation=cv2.INTER_AREA)
    return cv2.resize(means, (width, height), interpolation=cv2.INTER_NEAREST).reshape(height, width, channels)


def _blur(pixels: NDArray[np.float32], length: int) -> NDArray[Any]:
    import cv2

    height, width, channels = pixels.shape
    scale = min(1.0, _BLUR_LENGTH / length)
    size = (math.ceil(width * scale), math.ceil(height * scale))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    sigma = max(length * scale * BLUR_SIGMA_FRACTION, float(MIN_BLOCK_SIZE))
    small = cv2.GaussianBlur(small, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR).reshape(height, width, channels)
