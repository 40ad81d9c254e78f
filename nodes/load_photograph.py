"""Load Photograph: a picture from the input folder, or the sample, as people see it."""

from __future__ import annotations

import torch
from comfy_api.latest import io

from ..host.input_folder import (
    PHOTOGRAPH_ABSENT,
    photograph_bytes,
    photograph_there,
    picture_names,
    secret_digest,
)
from ..reverse_personalization.photographs.reading import read_photograph
from .sockets import CATEGORY, SEARCH_ALIASES


class ReverseIdentityLoadPhotograph(io.ComfyNode):
    """File -> IMAGE, upright and in sRGB, MASK from its transparency, and what was converted."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node."""
        return io.Schema(
            node_id="ReverseIdentityLoadPhotograph",
            display_name="Load Photograph",
            category=CATEGORY,
            description=(
                "Loads a photograph as people see it: turned as its EXIF says, converted from its colour profile to "
                "sRGB, with all 16 bits if it has them. Says what it converted or left out, and refuses damaged files."
            ),
            search_aliases=[*SEARCH_ALIASES, "load image", "photo", "EXIF", "orientation", "16 bit", "ICC", "HEIC"],
            inputs=[
                io.Combo.Input(
                    "image",
                    options=picture_names(),
                    upload=io.UploadType.image,
                    image_folder=io.FolderType.input,
                    tooltip=(
                        "JPEG, PNG, WebP, TIFF, AVIF, BMP, GIF or JPEG 2000; HEIC if the package pillow-heif is "
                        "installed. Of several pictures in a file the first is loaded. The sample comes with the pack: "
                        "rendered people, to try a workflow with."
                    ),
                )
            ],
            outputs=[
                io.Image.Output(
                    display_name="image", tooltip="The photograph in sRGB, with three channels, also if it is grey."
                ),
                io.Mask.Output(
                    display_name="mask", tooltip="1 where the file is transparent or painted over in the mask editor."
                ),
                io.String.Output(
                    display_name="notes", tooltip="What was converted, lost or left out. Contains no name."
                ),
            ],
        )

    @classmethod
    def validate_inputs(cls, image: str | None = None) -> bool | str:
        """Refuse a file that is not there, as soon as the graph is queued; None stands for a linked input."""
        return True if image is None or photograph_there(image) else PHOTOGRAPH_ABSENT

    @classmethod
    def fingerprint_inputs(cls, image: str | None = None) -> str:
        """Tell whether the file's content has changed."""
        return secret_digest([photograph_bytes(image)]) if image is not None and photograph_there(image) else ""

    @classmethod
    def execute(cls, image: str) -> io.NodeOutput:
        """Read the file.

        Args:
            image: as the host names pictures: relative to its input folder, or with "[output]" or "[temp]" behind; or
                the name of a photograph that was sent to the server's memory, or of the sample.

        Returns:
            IMAGE float32 [1, H, W, 3] in [0, 1], MASK float32 [1, H, W] in [0, 1], all 0 without transparency, and the
            notes, one a line.

        Raises:
            ValueError: the file is not there or cannot be read as a photograph.
        """
        photograph = read_photograph(photograph_bytes(image))
        pixels = torch.from_numpy(photograph.pixels)[None]
        alpha = photograph.alpha
        mask = torch.zeros(pixels.shape[:3]) if alpha is None else 1 - torch.from_numpy(alpha)[None]
        return io.NodeOutput(pixels, mask, "\n".join(photograph.notes) or "nothing had to be converted")
