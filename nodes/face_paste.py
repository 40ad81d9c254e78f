"""Paste Faces: put changed crops back where they were taken."""

from __future__ import annotations

import comfy.model_management
import comfy.utils
import numpy as np
import torch
from comfy_api.latest import io
from torch import Tensor

from ..reverse_personalization.alignment import resized_transform
from ..reverse_personalization.compositing import paste_, resized_masks
from ..reverse_personalization.face_mask import face_area
from ..reverse_personalization.placement import Placements
from .checks import check_crop_masks, check_images, check_photographs, checked_crops
from .sockets import CATEGORY, SEARCH_ALIASES, FacePlacementsSocket

DEFAULT_FEATHER = 0.12
MIN_FEATHER = 0.01
WIDEST = 1.0


class FacePaste(io.ComfyNode):
    """IMAGE + FACE_PLACEMENTS + crops -> IMAGE."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs."""
        return io.Schema(
            node_id="FacePaste",
            display_name="Paste Faces",
            category=CATEGORY,
            description=(
                "Puts changed crops back into their photographs through a soft mask. Everything outside the mask stays "
                "as it was to the last bit; where faces overlap, no original shows through."
            ),
            search_aliases=[*SEARCH_ALIASES, "composite", "stitch", "uncrop", "face detailer"],
            inputs=[
                io.Image.Input("image", tooltip="The photographs that Crop Faces got."),
                FacePlacementsSocket.Input("placements", tooltip="From Crop Faces."),
                io.Image.Input(
                    "crops",
                    lazy=True,
                    tooltip="The changed crops, in Crop Faces' order; any size, square. Without faces not looked at.",
                ),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    lazy=True,
                    advanced=True,
                    tooltip=(
                        "Drawn in the crops, one for each or one for all: what to paste, instead of the ellipse "
                        "around the landmarks. What it leaves out of a face stays as it was."
                    ),
                ),
                io.Float.Input(
                    "feather",
                    optional=True,
                    default=DEFAULT_FEATHER,
                    min=MIN_FEATHER,
                    max=WIDEST,
                    step=0.01,
                    tooltip=(
                        "Width of the soft rim around the face, as a part of the face's radius. Wide hides the seam "
                        "and changes more of the surroundings."
                    ),
                ),
                io.Float.Input(
                    "grow",
                    optional=True,
                    default=0.0,
                    min=0.0,
                    max=WIDEST,
                    step=0.01,
                    advanced=True,
                    tooltip=(
                        "How far beyond the face everything is replaced, as a part of its radius. For more than a "
                        "little, give Crop Faces a margin: the mask ends with the crop."
                    ),
                ),
                io.Boolean.Input(
                    "colour_match",
                    optional=True,
                    default=True,
                    tooltip="Shift the crop's colours smoothly so that they agree with the photograph along the rim.",
                ),
            ],
            outputs=[
                io.Image.Output("pasted", display_name="image", tooltip="As many images as there were, in their size."),
                io.Mask.Output("changed", display_name="mask", tooltip="What was changed, and how much."),
            ],
        )

    @classmethod
    def check_lazy_status(cls, placements: Placements, **others: object) -> list[str]:
        """Ask for crops and mask only if there is something to paste; what nothing is connected to is absent.

        In a list of pictures the host asks for each, and computes for all what one of them needs.
        """
        if not len(placements):
            return []
        return [name for name in ("crops", "mask") if name in others and others[name] is None]

    @classmethod
    def execute(
        cls,
        image: Tensor,
        placements: Placements,
        crops: Tensor | None = None,
        mask: Tensor | None = None,
        feather: float = DEFAULT_FEATHER,
        grow: float = 0.0,
        colour_match: bool = True,
    ) -> io.NodeOutput:
        """Paste every crop.

        Args:
            image: float [B, H, W, C] in [0, 1], C is 1, 3 or 4.
            placements: of these images.
            crops: float [F, s, s, C], one for each placement; not looked at without placements.
            mask: float [F, m, m] or [1, m, m] in [0, 1] in the crops' frames, or None for the landmarks' masks.
            feather: see `landmark_mask`.
            grow: see `landmark_mask`.
            colour_match: see `paste`.

        Returns:
            Images of the same shape and dtype, and float32 [B, H, W], how much was changed.

        Raises:
            ValueError: an input does not fit.
        """
        check_images(image)
        check_photographs(image, placements.faces)
        if not len(placements):
            return io.NodeOutput(image, torch.zeros(image.shape[:3]))
        if not MIN_FEATHER <= feather <= WIDEST or not 0 <= grow <= WIDEST:
            raise ValueError(
                f"the feather is {feather:g} and grow is {grow:g}; expected {MIN_FEATHER:g} to {WIDEST:g} and 0 "
                f"to {WIDEST:g}"
            )
        crops = checked_crops(crops, len(placements))
        if mask is not None:
            check_crop_masks(mask, len(placements))
        side = crops.shape[1]
        pasted, changed = image.clone(), torch.zeros(image.shape[:3])
        progress = comfy.utils.ProgressBar(len(image))
        for number, photo in enumerate(pasted):
            comfy.model_management.throw_exception_if_processing_interrupted()
            here = [index for index, placement in enumerate(placements.crops) if placement.image == number]
            areas = [
                face_area(
                    np.array(placements.face_of(placement).landmarks),
                    resized_transform(placement.to_crop, side / placements.side),
                    side,
                    *photo.shape[:2],
                )
                for placement in (placements.crops[index] for index in here)
            ]
            paste_(
                photo,
                changed[number],
                areas,
                [crops[index, ..., :3].expand(-1, -1, 3).float().cpu().numpy() for index in here],
                None if mask is None else resized_masks(mask, here, side),
                feather=feather,
                grow=grow,
                colour_match=colour_match,
            )
            progress.update(1)
        return io.NodeOutput(pasted, changed)
