"""What nodes refuse before they begin: the host checks the types of inputs, not whether they fit one another."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..reverse_personalization.faces import Faces
from ..reverse_personalization.guidance import pushes_nobody
from ..reverse_personalization.verdict import Verdict, pixels_digest
from .inputs import IDENTITY_SCALE_RANGE, SCALE_RANGE


def check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    """Refuse a choice that there is not.

    Raises:
        ValueError: `value` is not among the `choices`.
    """
    if value not in choices:
        raise ValueError(f'{name} is "{value}"; expected {" or ".join(choices)}')


def check_images(image: Tensor, name: str = "image") -> None:
    """Refuse what has no faces to find.

    Args:
        image: of the user.
        name: what the error calls it.

    Raises:
        ValueError: not [B, H, W, C] with C in 1, 3, 4; nothing in it; or values that are not finite.
    """
    if image.ndim != 4 or image.shape[3] not in (1, 3, 4):
        raise ValueError(
            f"the {name} has shape {list(image.shape)}; expected [batch, height, width, channels] with 1, 3 or "
            "4 channels"
        )
    if 0 in image.shape:
        raise ValueError(f"the {name} batch is empty (shape {list(image.shape)}); connect at least one image")
    check_finite(image, name)


def check_finite(batch: Tensor, name: str) -> None:
    """Refuse pictures or masks with values that are not finite.

    Args:
        batch: [B, ...].
        name: what the error calls one of them.

    Raises:
        ValueError: there are such values; it says in which.
    """
    # The extremes tell (NaN is both), and need no copy of the picture.
    bad = [str(number) for number, one in enumerate(batch, start=1) if not torch.stack(one.aminmax()).isfinite().all()]
    if bad:
        raise ValueError(
            f"{name} {', '.join(bad)} of {len(batch)} has values that are not finite (NaN or infinity); the "
            "node that made it failed: if that is a VAE, run it in float32"
        )


def check_photographs(image: Tensor, faces: Faces) -> None:
    """Refuse faces of other photographs.

    Raises:
        ValueError: another number or size of images.
    """
    expected = (len(faces.images), faces.height, faces.width)
    if tuple(image.shape[:3]) != expected:
        raise ValueError(
            "the faces were found in {} image(s) of height {} and width {}, but the image has {} of {} and {}; connect "
            "the same images to both".format(*expected, *image.shape[:3])
        )


def check_found_in(faces: Faces, pictures: tuple[str, ...], name: str) -> None:
    """Refuse faces that were found in other pictures: at their places there is somebody else, or nobody.

    Args:
        faces: of as many pictures.
        pictures: `pixels_digest` of each picture that they are said to be of.
        name: what the error calls one of those.

    Raises:
        ValueError: one of them is not the picture in which its faces were found.
    """
    if len(faces.pictures) != len(pictures):
        raise ValueError(
            f"the faces say of {len(faces.pictures)} pictures where they were found, but there are {len(pictures)} "
            f"{name}s; connect the faces of Embed Faces on these {name}s"
        )
    others = [
        str(number)
        for number, (found, given) in enumerate(zip(faces.pictures, pictures, strict=True), start=1)
        if found != given
    ]
    if others:
        raise ValueError(
            f"the faces of image {', '.join(others)} of {len(pictures)} were found in another picture than the "
            f"{name}: its pixels or their order differ; connect the very images that Embed Faces was given"
        )


def check_verdict(verdict: Verdict, images: Tensor) -> None:
    """Refuse a verdict over other pictures.

    Args:
        verdict: of any pictures.
        images: float [B, H, W, C] in [0, 1].

    Raises:
        ValueError: the verdict is over another number of pictures, or one of them has other pixels.
    """
    if not len(verdict.images) == len(verdict.results) == len(verdict.originals) == len(images):
        raise ValueError(
            f"the verdict is over {len(verdict.images)} pictures, but {len(images)} are connected; connect the "
            "pictures that Identity Check or Cover Faces was given or gave out together with its verdict"
        )
    others = [
        str(number)
        for number, (image, digest) in enumerate(zip(images, verdict.results, strict=True), start=1)
        if pixels_digest(image) != digest
    ]
    if others:
        raise ValueError(
            f"image {', '.join(others)} of {len(images)} is not the one the verdict is over: its pixels were changed "
            "after the check; connect the checked pictures themselves, or put Identity Check after the last change"
        )


def checked_crops(crops: Tensor | None, expected: int) -> Tensor:
    """Refuse crops that do not fit their placements.

    Args:
        crops: of the user; None if none are connected.
        expected: number of placements.

    Returns:
        The same crops, [F, side, side, C].

    Raises:
        ValueError: no crops, another number of them, not square, or values that are not finite.
    """
    if crops is None:
        raise ValueError(f"there are {expected} crops to paste but none is connected; connect the changed crops")
    if crops.ndim != 4 or crops.shape[3] not in (1, 3, 4) or crops.shape[1] != crops.shape[2] or 0 in crops.shape:
        raise ValueError(
            f"the crops have shape {list(crops.shape)}; expected [crops, side, side, channels] with 1, 3 or 4 channels"
        )
    if len(crops) != expected:
        raise ValueError(
            f"there are {len(crops)} crops for {expected} placements; connect one changed crop for each that Crop "
            "Faces made, in the same order"
        )
    check_finite(crops, "crop")
    return crops


def check_crop_masks(mask: Tensor, expected: int) -> None:
    """Refuse masks that do not fit their crops.

    Args:
        mask: of the user.
        expected: number of crops.

    Raises:
        ValueError: not [F, m, m] or [1, m, m], or values that are not finite.
    """
    if mask.ndim != 3 or mask.shape[1] != mask.shape[2] or len(mask) not in (1, expected) or 0 in mask.shape:
        raise ValueError(
            f"the mask has shape {list(mask.shape)}; expected [{expected}, side, side] or [1, side, side], drawn in "
            "the crops"
        )
    check_finite(mask, "mask")


def typed_guidance(cfg: float | None, identity_scale: float | None) -> bool | str:
    """What `validate_inputs` answers about the scales: True, or the reason for a refusal.

    Args:
        cfg: as typed into the node; None if it is linked or left out.
        identity_scale: the same.
    """
    # The host leaves the ranges of what a node validates to the node.
    for name, value, (least, most) in (
        ("cfg", cfg, SCALE_RANGE),
        ("identity_scale", identity_scale, IDENTITY_SCALE_RANGE),
    ):
        if value is not None and not least <= value <= most:
            return f"{name} is {value:g}; expected {least:g} to {most:g}"
    reason = None if cfg is None or identity_scale is None else pushes_nobody(cfg, identity_scale)
    return reason or True
