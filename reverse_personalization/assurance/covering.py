"""Covers faces: which faces to cover, and what a cover is made of."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..geometry.cover_outline import FACE_ALONE, Cover, place_cover
from ..geometry.faces import Detection
from .verdict import FaceVerdict, Status, Verdict, pixels_digest

Method = Literal["solid", "mosaic", "blur"]

METHODS: tuple[Method, ...] = get_args(Method)
"""What a cover can be made of, the safest first."""

SOLID_LEVEL = 0.0
"""Level of a solid cover in [0, 1]. It does not come from the picture: a mean would reveal the skin's colour."""

MAX_MOSAIC_BLOCKS = 6
"""Largest number of blocks across a mosaic cover."""

MIN_BLOCK_SIZE = 4
"""Smallest side of a block in pixels: a tiny face, hardly larger than a mosaic's number of blocks, loses detail too."""

BLUR_SIGMA_FRACTION = 1 / 6
"""Standard deviation of a blur as a fraction of the cover's length: more than half the distance between the eyes."""

_BLUR_LENGTH = 48
"""Length in pixels to which a cover is reduced before it is blurred. The standard deviation is then 8 pixels, so no
finer detail would survive anyway."""

NO_CHECKER = ""
"""Name of the checker in a verdict on pictures that were not checked."""

MAX_HIDDEN_FRACTION = 0.25
"""An anonymised face is covered as well if the covers of other faces hide this fraction of it or more.

A face was measured without those covers, so the more of it they hide, the less the measurement says about what is
left. Of 429 anonymised faces in hostile photographs, cosines were at most 0.46 where other covers hid less than 0.7 of
the face, as without covers, and up to 0.72 beyond; a quarter stays well clear of that.
"""


def unchecked_verdict(image: Tensor, guide: str) -> Verdict:
    """A verdict without faces, on pictures that were neither changed nor checked.

    Args:
        image: float [B, H, W, C] in [0, 1].
        guide: name of the model pack that found the faces to cover.
    """
    digests = tuple(pixels_digest(one) for one in image)
    # No cosine lies below this threshold, so this verdict calls nobody unrecognisable.
    return Verdict(
        images=((),) * len(image), originals=digests, results=digests, threshold=-1.0, guide=guide, checker=NO_CHECKER
    )


def faces_to_cover(
    checked: tuple[FaceVerdict, ...], asked: Sequence[Detection], unhandled: str
) -> list[tuple[FaceVerdict, bool]]:
    """Decide which faces of one picture to cover.

    Args:
        checked: the faces in the picture's verdict.
        asked: faces to cover regardless of the verdict.
        unhandled: "keep" leaves faces uncovered that were found before and not chosen to be changed; "cover" covers
            them.

    Returns:
        Each face with whether to cover it: those of the verdict, then those in `asked` that are not in the verdict.
    """
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
    """Cover faces of one picture in place.

    An anonymised face is covered as well if the covers of other faces hide MAX_HIDDEN_FRACTION of it or more. It keeps
    its status and is marked as `under_cover`.

    Args:
        picture: float [H, W, C] in [0, 1]; C is 1, 3, or 4 with an alpha that is kept. Modified.
        mask: float [H, W]. Set to 1 under every new cover.
        plan: the picture's faces, each with whether to cover it.
        method: what covers are made of.
        grow: how much larger than the head a cover is, as a fraction of the head.

    Returns:
        All faces, with what became of the covered ones.

    Raises:
        ValueError: a face has no place in the picture.
        RuntimeError: a cover left the pixels under it unchanged.
    """
    faces = [face for face, _ in plan]
    height, width = mask.shape

    def place(index: int, grow: float) -> Cover:
        face = faces[index]
        try:
            return place_cover(face.boxes, face.landmarks, height, width, grow)
        except ValueError as error:
            raise ValueError(f"face {index + 1} cannot be covered: {error}") from None

    # Covers from an earlier node hide faces too.
    all_covers = torch.zeros_like(mask)

    def mark(where: Tensor, cover: Cover) -> None:
        where[cover.rows, cover.columns].masked_fill_(torch.from_numpy(cover.mask), 1)

    def hidden(index: int) -> float:
        face = place(index, FACE_ALONE)
        return float(all_covers[face.rows, face.columns][torch.from_numpy(face.mask)].mean())

    def cover_all(due: Sequence[int], status: Status) -> None:
        for index in due:
            cover = place(index, grow)
            here = picture[cover.rows, cover.columns]
            covered = torch.from_numpy(cover.mask).to(here.device)
            before = here[covered]
            cover_(picture, cover, method)
            if not is_covered(before, here[covered], method):
                raise RuntimeError(
                    f"face {index + 1} shows through its cover, so nothing is passed on; set method to solid"
                )
            mark(mask, cover)
            mark(all_covers, cover)
            under_cover = status == "anonymised"
            faces[index] = replace(faces[index], status=status, method=method, reason="", under_cover=under_cover)

    def newly_hidden() -> list[int]:
        if not all_covers.any():
            return []
        bare = [index for index, face in enumerate(faces) if face.status == "anonymised" and not face.under_cover]
        return [index for index in bare if hidden(index) >= MAX_HIDDEN_FRACTION]

    planned = [index for index, (_, cover_it) in enumerate(plan) if cover_it]
    for index, face in enumerate(faces):
        if face.method and index not in planned:
            mark(all_covers, place(index, grow))
    cover_all(planned, "covered")
    # The cover of a face that others hide may hide a further one.
    while due := newly_hidden():
        cover_all(due, "anonymised")
    return tuple(faces)


def cover_(image: Tensor, cover: Cover, method: Method) -> None:
    """Cover one face in place.

    Args:
        image: float [H, W, C] in [0, 1]; C is 1, 3, or 4 with an alpha that is kept. Modified.
        cover: placed over one of its faces.
        method: "solid", one flat colour; "mosaic", at most `MAX_MOSAIC_BLOCKS` blocks across; or "blur". The last two
            are made from the picture and keep something of the face.
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
    """Whether a cover has actually hidden what was under it.

    Args:
        before: [P, C], the pixels under the cover before it was laid; C is 1, 3, or 4 with an alpha that is ignored.
        after: [P, C], the same pixels afterwards.
        method: of the cover.
    """
    before, after = before[:, :3], after[:, :3]
    if method == "solid":
        return bool((after == SOLID_LEVEL).all())
    # A cover made from the picture differs from it unless the picture was blank there.
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
