"""What a person decides about the faces of a batch: which finds are no faces, and where a face is.

A decision is a box in pixels of the image, so that it holds when the search runs again, whichever numbers the finds
then get.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from .boxes import intersection_over_union
from .faces import Box, Decisions, Detection, parse_choice, select_faces
from .finds import SAME_FACE_IOU

BOX_SYNTAX = 'left,top,right,bottom in pixels, such as "10,20,60,80", and a space between two boxes'
"""How boxes are written, for messages."""

STRIKE_IOU = 0.5
"""A box strikes out a find with which it shares more than this (intersection over union).

Two finds of one search share at most SAME_FACE_IOU, so the box of one does not strike out the other, not even when a
rerun moves that one a little or no longer finds the first. Of 1,557 finds in real photographs without people, 96 % were
struck out in the second search by their boxes in the first; of 189 sure faces, none by that of a weak find beside it.
"""

MIN_REGION_SIDE = 4
"""Pixels: a region of a mask whose longer side is shorter is a speck, not a face."""


def boxes_of_images(text: str, count: int, name: str) -> tuple[tuple[Box, ...], ...]:
    """Read the boxes that a person has given for a batch.

    Args:
        text: boxes as "x0,y0,x1,y1" in pixels. Several boxes of an image are parted by spaces, images by semicolons:
            "10,20,60,80 200,40,260,110; 5,5,50,50". One image's boxes alone hold for all images; an image may have
            none.
        count: number of images.
        name: of the input, for errors.

    Returns:
        The boxes of each image, in the order given.

    Raises:
        ValueError: a box cannot be read, its sides are not in order, or there are several groups but not one for each
            image.
    """
    groups = [
        tuple(_read_box(part, name) for part in re.sub(r"\s*,\s*", ",", group).split()) for group in text.split(";")
    ]
    if len(groups) not in (1, count):
        raise ValueError(
            f"{name} has boxes for {len(groups)} images, but there {'is' if count == 1 else 'are'} {count}; expected "
            "one group of boxes for all, or one for each image, separated by semicolons"
        )
    return tuple(groups) if len(groups) == count else tuple(groups) * count


def _read_box(text: str, name: str) -> Box:
    try:
        x0, y0, x1, y1 = (float(side) for side in text.split(","))
    except ValueError:
        raise ValueError(f'{name} has the box "{text}"; expected {BOX_SYNTAX}') from None
    return checked_box((x0, y0, x1, y1), name)


def checked_box(box: Box, name: str) -> Box:
    """Check that a box is one.

    Args:
        box: x0, y0, x1, y1 in pixels.
        name: of the input, for the error.

    Returns:
        The same box.

    Raises:
        ValueError: a side is not finite, or the box has no area.
    """
    if not all(map(math.isfinite, box)) or box[0] >= box[2] or box[1] >= box[3]:
        given = ",".join(f"{side:g}" for side in box)
        raise ValueError(
            f"{name} has the box {given}; expected finite sides with x0 < x1 and y0 < y1: left, top, right, bottom"
        )
    return box


def check_inside(boxes: Sequence[Sequence[Box]], height: int, width: int, name: str) -> None:
    """Check that every box shows some of its image.

    Args:
        boxes: of each image.
        height: of the images, pixels.
        width: of the images, pixels.
        name: of the input, for the error.

    Raises:
        ValueError: a box lies outside.
    """
    for number, image in enumerate(boxes, start=1):
        for x0, y0, x1, y1 in image:
            if x0 >= width or y0 >= height or x1 <= 0 or y1 <= 0:
                raise ValueError(
                    f"{name} has the box {x0:g},{y0:g},{x1:g},{y1:g} outside image {number}, which is {width}x{height} "
                    "pixels; give the box in pixels of this image"
                )


def mask_boxes(mask: Tensor | None, count: int, height: int, width: int) -> tuple[tuple[Box, ...], ...]:
    """The boxes around the regions of a mask: each connected region above a half is one face.

    Args:
        mask: float [B, H, W] or [1, H, W] in [0, 1], of the images' size. A mask without any region may have any
            size: that is what the host's loader gives for a picture without one. None is no mask.
        count: number of images.
        height: of the images, pixels.
        width: of the images, pixels.

    Returns:
        The boxes of each image; one mask holds for all images. Regions shorter than MIN_REGION_SIDE are left out.

    Raises:
        ValueError: the mask has regions and does not fit the images.
    """
    import cv2

    if mask is None or not bool((mask > 0.5).any()):
        return ((),) * count
    if mask.ndim != 3 or len(mask) not in (1, count) or tuple(mask.shape[1:]) != (height, width):
        raise ValueError(
            f"face_mask has shape {list(mask.shape)}; expected [{count}, {height}, {width}] or [1, {height}, {width}]: "
            "paint it on the photograph itself"
        )
    images = []
    for one in mask:
        regions = (one > 0.5).to("cpu").numpy().astype(np.uint8)
        _, _, places, _ = cv2.connectedComponentsWithStats(regions, connectivity=8)
        # The first component is the ground. The rest are x, y, width, height and area.
        images.append(
            tuple(
                (float(x), float(y), float(x + w), float(y + h))
                for x, y, w, h, _ in places[1:].tolist()
                if max(w, h) >= MIN_REGION_SIDE
            )
        )
    return tuple(images) if len(images) == count else tuple(images) * count


def decisions_of_images(
    not_faces: str,
    drawn_faces: str,
    count: int,
    height: int,
    width: int,
    painted: Sequence[tuple[Box, ...]] | None = None,
) -> tuple[Decisions, ...]:
    """What a person has decided about each image of a batch.

    Args:
        not_faces: boxes of what is no face, as `boxes_of_images` reads them.
        drawn_faces: boxes of faces, likewise.
        count: number of images.
        height: of the images, pixels.
        width: of the images, pixels.
        painted: more faces of each image, as `mask_boxes` finds them; they come after those of `drawn_faces`.

    Raises:
        ValueError: a text cannot be read, or a box lies outside its image.
    """
    struck = boxes_of_images(not_faces, count, "not_faces")
    drawn = boxes_of_images(drawn_faces, count, "drawn_faces")
    check_inside(struck, height, width, "not_faces")
    check_inside(drawn, height, width, "drawn_faces")
    regions = painted or ((),) * count
    return tuple(
        Decisions(not_faces=no, drawn_faces=(*yes, *more)) for no, yes, more in zip(struck, drawn, regions, strict=True)
    )


def same_face(finds: Sequence[Detection], boxes: Sequence[Box], least: float = SAME_FACE_IOU) -> NDArray[Any]:
    """How well each box fits each find: their intersection over union, float [F, N]; 0 where it is at most `least`."""
    if not finds or not boxes:
        return np.zeros((len(finds), len(boxes)))
    shared = intersection_over_union(np.array([find.box for find in finds]), np.array(boxes))
    return np.where(shared > least, shared, 0.0)


def struck_out(
    finds: Sequence[Detection], not_faces: Sequence[Box], kept: Sequence[Detection] = ()
) -> list[int | None]:
    """Which finds a person has struck out.

    A box strikes out the find that it fits best and no other (see STRIKE_IOU), so a face beside it or a smaller one
    inside it stays: that may be a face in front of what is none.

    Args:
        finds: of one image.
        not_faces: boxes of what is no face.
        kept: faces that were known when the person decided, and not struck out: a find that one of them fits better
            than the box is that face.

    Returns:
        For each find the number of the box that strikes it out, or None.
    """
    fits = same_face(finds, not_faces, STRIKE_IOU)
    known = same_face(finds, [face.box for face in kept]).max(axis=1, initial=0)
    fits[fits < known[:, None]] = 0
    by: list[int | None] = [None] * len(finds)
    for box in range(len(not_faces) if finds else 0):
        find = int(fits[:, box].argmax())
        if fits[find, box] > 0:
            by[find] = box
    return by


def striking_box(box: Box, others: Sequence[Box]) -> Box | None:
    """Which of other boxes strikes a box out, and fits it best; None if none does."""
    fits = same_face([Detection(box=box, landmarks=(), score=0.0)], others, STRIKE_IOU)
    return others[int(fits.argmax())] if fits.any() else None


def numbers_chosen(
    faces: Sequence[Detection], which: str, struck: Collection[int], drawn: Collection[int]
) -> tuple[int, ...]:
    """Choose some of one image's faces, with respect for a person's decisions.

    What is struck out keeps its number, so that the others keep theirs, and is never chosen. Whoever draws a face
    wants it changed, so drawn faces are chosen whatever else is, unless the choice is "none".

    Args:
        faces: those that were found, in stable order, then those that a person has added.
        which: the choice, as `select_faces` takes it.
        struck: numbers of the faces that are struck out, from 0.
        drawn: numbers of the faces that a person has drawn, from 0.

    Returns:
        Numbers of the chosen faces from 0, ascending.

    Raises:
        ValueError: `which` cannot be read, or asks for a face that the image does not have.
    """
    choice = parse_choice(which)
    if choice == "none":
        return ()
    left = [number for number in range(len(faces)) if number not in struck]
    pool = list(faces) if isinstance(choice, tuple) else [faces[number] for number in left]
    chosen = {id(face) for face in select_faces(pool, which)} if left else set()
    return tuple(number for number in left if id(faces[number]) in chosen or number in drawn)
