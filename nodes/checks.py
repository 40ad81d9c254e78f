"""Input checks shared by several nodes.

The host checks an input's type and the range of a typed value. It checks neither linked values nor whether the inputs
belong together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ..host.checker import checker_fault
from ..host.queued_graph import guides_of, is_connected
from ..reverse_personalization.assurance.retry import parse_scales
from ..reverse_personalization.assurance.verdict import Verdict, pixels_digest
from ..reverse_personalization.geometry.decisions import boxes_of_images
from ..reverse_personalization.geometry.faces import Faces, choices_of_images
from ..reverse_personalization.method.guidance import pushes_nobody
from ..reverse_personalization.method.schedule import FEWEST_STEPS, timesteps
from .inputs import IDENTITY_SCALE_RANGE, MAX_SIDE, MIN_SIDE, SCALE_RANGE, SIDE_STEP, TOWARDS_RANGE


def check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    """Check a choice.

    Args:
        name: of the input, for the error.
        value: from the user.
        choices: the valid values.

    Raises:
        ValueError: `value` is not one of the `choices`.
    """
    if value not in choices:
        raise ValueError(f'{name} is "{value}"; expected {" or ".join(choices)}')


def check_images(image: Tensor, name: str = "image") -> None:
    """Check that a tensor is a batch of pictures.

    Args:
        image: from the user.
        name: of the input, for the error.

    Raises:
        ValueError: the shape is not [B, H, W, C] with C in 1, 3, 4; the batch is empty; or a value is not finite.
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
    """Check that all values of a batch are finite.

    Args:
        batch: [B, ...], pictures or masks.
        name: of one of them, for the error.

    Raises:
        ValueError: some are not; the error names the pictures or masks.
    """
    # The extremes suffice, since NaN propagates to both, and they need no copy of the picture.
    bad = [str(number) for number, one in enumerate(batch, start=1) if not torch.stack(one.aminmax()).isfinite().all()]
    if bad:
        raise ValueError(
            f"{name} {', '.join(bad)} of {len(batch)} has values that are not finite (NaN or infinity); the "
            "node that made it failed: if that is a VAE, run it in float32"
        )


def check_photographs(image: Tensor, faces: Faces) -> None:
    """Check that faces can come from these photographs.

    Args:
        image: [B, H, W, C].
        faces: supposedly found in them.

    Raises:
        ValueError: the faces were found in a different number of images, or in images of a different size.
    """
    expected = (len(faces.images), faces.height, faces.width)
    if tuple(image.shape[:3]) != expected:
        raise ValueError(
            "the faces were found in {} image(s) of height {} and width {}, but the image input holds {} of height {} "
            "and width {}; connect the same images to both nodes".format(*expected, *image.shape[:3])
        )


def check_found_in(faces: Faces, pictures: tuple[str, ...], name: str) -> None:
    """Check that faces were found in exactly these pictures: in others, their boxes hold somebody else or nobody.

    Args:
        faces: for as many pictures.
        pictures: `pixels_digest` of each picture.
        name: of a picture, for the error.

    Raises:
        ValueError: a picture is not the one in which its faces were found.
    """
    if len(faces.pictures) != len(pictures):
        raise ValueError(
            f"the faces were found in {len(faces.pictures)} pictures, but there are {len(pictures)} {name}s; connect "
            f"the faces that Embed Faces found in these {name}s"
        )
    others = [
        str(number)
        for number, (found, given) in enumerate(zip(faces.pictures, pictures, strict=True), start=1)
        if found != given
    ]
    if others:
        raise ValueError(
            f"the faces of image {', '.join(others)} of {len(pictures)} were found in a different picture than the "
            f"{name}: the pixels or the order of the images differ; connect the same images that Embed Faces was given"
        )


def check_target_faces(others: Faces, faces: Faces) -> Tensor:
    """Check that other people's faces can be targets.

    Args:
        others: of whom targets are to be made.
        faces: that are to be drawn towards them.

    Returns:
        Embeddings of the others who are somebody, float32 [S, 512].

    Raises:
        ValueError: there are none, or they are of another model pack.
    """
    if others.model_pack != faces.model_pack:
        raise ValueError(
            f'the other faces were embedded with "{others.model_pack}", the faces with "{faces.model_pack}"; choose '
            "one model pack in both Embed Faces"
        )
    embeddings = others.embeddings()
    known = embeddings[embeddings.any(1)]
    if not len(known):
        raise ValueError(
            "others holds no face, so there is nobody to be a target; connect Embed Faces of a picture with faces"
        )
    return known


def check_side(side: int) -> None:
    """Refuse a side of crops in pixels that no model takes.

    Raises:
        ValueError: it is out of range, or no multiple of `SIDE_STEP`.
    """
    if not MIN_SIDE <= side <= MAX_SIDE or side % SIDE_STEP:
        raise ValueError(f"the side is {side}; expected a multiple of {SIDE_STEP} from {MIN_SIDE} to {MAX_SIDE}")


def check_verdict(verdict: Verdict, images: Tensor) -> None:
    """Check that a verdict is on exactly these pictures.

    Args:
        verdict: from the user.
        images: float [B, H, W, C] in [0, 1].

    Raises:
        ValueError: the verdict is on a different number of pictures, or the pixels of a picture differ.
    """
    if not len(verdict.images) == len(verdict.results) == len(verdict.originals) == len(images):
        raise ValueError(
            f"the verdict is on {len(verdict.images)} pictures, but {len(images)} are connected; connect "
            "a verdict together with its pictures: those that Identity Check was given, or that Cover Faces returned"
        )
    others = [
        str(number)
        for number, (image, digest) in enumerate(zip(images, verdict.results, strict=True), start=1)
        if pixels_digest(image) != digest
    ]
    if others:
        raise ValueError(
            f"image {', '.join(others)} of {len(images)} is not the one that was checked: its pixels were changed "
            "after the check; connect the checked pictures themselves, or put Identity Check after the last change"
        )


def checked_crops(crops: Tensor | None, expected: int) -> Tensor:
    """Check that crops fit their placements.

    Args:
        crops: from the user; None if none are connected.
        expected: number of placements.

    Returns:
        The same crops, [F, side, side, C].

    Raises:
        ValueError: there are no crops or not one for each placement, they are not square, or a value is not finite.
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
    """Check that masks fit their crops.

    Args:
        mask: from the user.
        expected: number of crops.

    Raises:
        ValueError: the shape is neither [F, m, m] nor [1, m, m], or a value is not finite.
    """
    if mask.ndim != 3 or mask.shape[1] != mask.shape[2] or len(mask) not in (1, expected) or 0 in mask.shape:
        raise ValueError(
            f"the mask has shape {list(mask.shape)}; expected [{expected}, side, side] or [1, side, side], drawn in "
            "the crops"
        )
    check_finite(mask, "mask")


def typed_guidance(cfg: float | None, identity_scale: float | None, towards: float | None, hidden: Any) -> bool | str:
    """What `validate_inputs` answers about the scales: True, or why they are refused.

    Args:
        cfg: as typed into the node; None if it is linked or left out.
        identity_scale: as typed into the node; None if it is linked or left out.
        towards: as typed into the node; None if it is linked or left out.
        hidden: the node's hidden inputs, with the id by which it is known whether a target is connected; None outside
            of the host's queue.
    """
    # The host does not check the range of an input that a node validates itself.
    for name, value, (least, most) in (
        ("cfg", cfg, SCALE_RANGE),
        ("identity_scale", identity_scale, IDENTITY_SCALE_RANGE),
        ("towards", towards, TOWARDS_RANGE),
    ):
        if value is not None and not least <= value <= most:
            return f"{name} is {value:g}; expected {least:g} to {most:g}"
    if identity_scale is None:
        return True
    pull = towards if towards and is_connected(getattr(hidden, "unique_id", None), "target") else 0.0
    return pushes_nobody(cfg or 0.0, identity_scale, pull) or True


def typed_retry(scales: str | None, identity_scale: float | None, towards: float | None, hidden: Any) -> bool | str:
    """What `validate_inputs` answers about a list of scales: True, or why it is refused.

    Args:
        scales: as typed into the node; None if it is linked or left out.
        identity_scale: as typed into the node; None if it is linked or left out.
        towards: as typed into the node; None if it is linked or left out.
        hidden: as for `typed_guidance`.
    """
    if scales is None:
        return typed_guidance(None, identity_scale, towards, hidden)
    try:
        weakest, *_ = parse_scales(scales)
    except ValueError as error:
        return str(error)
    return typed_guidance(weakest, identity_scale, towards, hidden)


def typed_schedule(steps: int | None, denoise: float | None) -> str | None:
    """Why steps and denoise cannot go together; None if they can, or it cannot be known yet.

    Args:
        steps: as typed into the node, 0 for those of the quality; None if it is linked or left out.
        denoise: as typed into the node; None if it is linked or left out.
    """
    if not steps and denoise is None:
        return None
    try:
        timesteps(steps or FEWEST_STEPS, 1.0 if denoise is None else denoise)
    except ValueError as error:
        return str(error)
    return None


def typed_checker(checker: str | None, hidden: Any) -> str:
    """Why a checker is refused as soon as the graph is queued; "" if it is not, or it cannot be known yet.

    Args:
        checker: as chosen in the node; None if it is linked or left out.
        hidden: the node's hidden inputs, with the id by which the guide of its faces is found; None outside of the
            host's queue.
    """
    return "" if checker is None else checker_fault(checker, guides_of(getattr(hidden, "unique_id", None)))


def typed_choices(**texts: str | None) -> str:
    """Why a choice of faces cannot be read; "" if all can. None stands for a text that is linked or left out.

    Args:
        texts: by the name of the input, as `choices_of_images` reads them.
    """
    return _unreadable(lambda text, name: choices_of_images(text, text.count(";") + 1), texts)


def typed_boxes(**texts: str | None) -> str:
    """Why boxes cannot be read; "" if all can. None stands for a text that is linked or left out.

    Args:
        texts: by the name of the input, as `boxes_of_images` reads them.
    """
    return _unreadable(lambda text, name: boxes_of_images(text, text.count(";") + 1, name), texts)


def _unreadable(read: Callable[[str, str], object], texts: Mapping[str, str | None]) -> str:
    for name, text in texts.items():
        try:
            if text is not None:
                read(text, name)
        except ValueError as error:
            return str(error)
    return ""


def check_originals(verdict: Verdict, original: Tensor) -> None:
    """Refuse pictures that are not the originals that a verdict is about.

    Raises:
        ValueError: they are others.
    """
    check_images(original, "original")
    if tuple(map(pixels_digest, original)) != verdict.originals:
        raise ValueError(
            "original is connected, but these are not the pictures that Identity Check compared with; connect the same "
            "original as there, or nothing"
        )
