"""Paste Faces: put changed crops back where they were taken from."""

from __future__ import annotations

import comfy.model_management
import comfy.utils
import torch
from comfy_api.latest import io
from torch import Tensor

from ..reverse_personalization.geometry.compositing import DEFAULT_FEATHER, paste_, resized_masks
from ..reverse_personalization.geometry.placement import Placements
from .checks import check_crop_masks, check_images, check_photographs, checked_crops
from .sockets import CATEGORY, SEARCH_ALIASES, FacePlacementsSocket

MIN_FEATHER = 0.01
MAX_FEATHER = 1.0
MAX_GROW = 1.0


class ReverseIdentityFacePaste(io.ComfyNode):
    """IMAGE + REVERSE_IDENTITY_PLACEMENTS + crops -> IMAGE."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs."""
        return io.Schema(
            node_id="ReverseIdentityFacePaste",
            display_name="Paste Faces",
            category=CATEGORY,
            description=(
                "Puts changed crops back into their photographs through a soft mask. Outside the mask every bit stays "
                "as it was; where faces overlap, no original shows through."
            ),
            search_aliases=[*SEARCH_ALIASES, "composite", "stitch", "uncrop", "face detailer"],
            inputs=[
                io.Image.Input("image", tooltip="The photographs that were given to Crop Faces."),
                FacePlacementsSocket.Input("placements", tooltip="From Crop Faces."),
                io.Image.Input(
                    "crops",
                    lazy=True,
                    tooltip=(
                        "The changed crops in the order of Crop Faces: square, of any size. Ignored if there are no "
                        "faces."
                    ),
                ),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    lazy=True,
                    advanced=True,
                    tooltip=(
                        "What to paste instead of the ellipse around the landmarks, drawn in the crops: one mask for "
                        "each or one for all. Any part of a face that it leaves out stays as it was."
                    ),
                ),
                io.Float.Input(
                    "feather",
                    optional=True,
                    default=DEFAULT_FEATHER,
                    min=MIN_FEATHER,
                    max=MAX_FEATHER,
                    step=0.01,
                    tooltip=(
                        "Width of the soft rim around the face, as a fraction of the face's radius. A wider rim hides "
                        "the seam better but changes more of the surroundings."
                    ),
                ),
                io.Float.Input(
                    "grow",
                    optional=True,
                    default=0.0,
                    min=0.0,
                    max=MAX_GROW,
                    step=0.01,
                    advanced=True,
                    tooltip=(
                        "How far beyond the face everything is replaced, as a fraction of its radius. To grow more "
                        "than a little, give Crop Faces a margin, because the mask ends with the crop."
                    ),
                ),
                io.Boolean.Input(
                    "colour_match",
                    optional=True,
                    default=True,
                    tooltip="Shift the crop's colours smoothly so that they match the photograph along the rim.",
                ),
                io.Boolean.Input(
                    "match_grain",
                    optional=True,
                    default=True,
                    tooltip=(
                        "Give the face the grain of the photograph around it, and soften it if it is much sharper. "
                        "Measured outside the mask only; nothing happens where they already agree."
                    ),
                ),
            ],
            outputs=[
                io.Image.Output(
                    "pasted",
                    display_name="image",
                    tooltip="The photographs with the changed faces, in the same number and size.",
                ),
                io.Mask.Output("changed", display_name="mask", tooltip="Where the photographs changed, and how much."),
            ],
        )

    @classmethod
    def check_lazy_status(cls, placements: Placements, **others: object) -> list[str]:
        """Ask for crops and mask only if there is something to paste; unconnected inputs are absent.

        For a list of pictures the host asks once per picture, and computes for all whatever any of them needs.
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
        match_grain: bool = True,
    ) -> io.NodeOutput:
        """Paste every crop.

        Args:
            image: float [B, H, W, C] in [0, 1]; C is 1, 3, or 4 with an alpha that is kept.
            placements: in these images.
            crops: float [F, s, s, C], one for each placement; ignored if there are no placements.
            mask: float [F, m, m] or [1, m, m] in [0, 1], drawn in the crops; None takes the landmarks' masks.
            feather: width of the fall from 1 to 0 at a mask's rim, in radii of the face, in [0.01, 1].
            grow: how far beyond the face everything is replaced, in the same radii, in [0, 1].
            colour_match: whether to shift each crop's colours smoothly to the photograph's along its rim.
            match_grain: whether to give each crop the grain and the sharpness of the photograph around it.

        Returns:
            Images of the same shape and dtype, and float32 [B, H, W] in [0, 1], how much each pixel changed.

        Raises:
            ValueError: an input does not fit.
        """
        check_images(image)
        check_photographs(image, placements.faces)
        if not len(placements):
            return io.NodeOutput(image, torch.zeros(image.shape[:3]))
        if not MIN_FEATHER <= feather <= MAX_FEATHER or not 0 <= grow <= MAX_GROW:
            raise ValueError(
                f"the feather is {feather:g} and grow is {grow:g}; expected {MIN_FEATHER:g} to "
                f"{MAX_FEATHER:g} and 0 to {MAX_GROW:g}"
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
            paste_(
                photo,
                changed[number],
                placements.areas(here, side, *photo.shape[:2]),
                [crops[index, ..., :3].expand(-1, -1, 3).float().cpu().numpy() for index in here],
                None if mask is None else resized_masks(mask, here, side),
                feather=feather,
                grow=grow,
                colour_match=colour_match,
                match_grain=match_grain,
            )
            progress.update(1)
        return io.NodeOutput(pasted, changed)
