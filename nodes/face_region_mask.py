"""Face Region Mask: mark parts of faces."""

from __future__ import annotations

from comfy_api.latest import io

from ..reverse_personalization.geometry.faces import Faces
from ..reverse_personalization.geometry.parts import PARTS, faces_mask
from .sockets import CATEGORY, SEARCH_ALIASES, FacesSocket


class ReverseIdentityRegionMask(io.ComfyNode):
    """FACES -> MASK of chosen parts, from their landmarks."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs."""
        return io.Schema(
            node_id="ReverseIdentityRegionMask",
            display_name="Face Region Mask",
            category=CATEGORY,
            description=(
                "Marks the eyes, nose, mouth or glasses of every face, for Keep Region or any other node that takes a "
                "mask. The marks follow the distance between the eyes and the direction of the face."
            ),
            search_aliases=[*SEARCH_ALIASES, "face parsing", "eyes", "mouth", "landmarks"],
            inputs=[
                FacesSocket.Input(
                    "faces",
                    tooltip=(
                        "Faces of the pictures to mask; for Keep Region, those that Embed Faces finds in the crops."
                    ),
                ),
                io.Boolean.Input("eyes", optional=True, default=True, tooltip="Both eyes with their lids."),
                io.Boolean.Input("mouth", optional=True, default=True, tooltip="The lips, even of an open mouth."),
                io.Boolean.Input("nose", optional=True, default=False, tooltip="From the eyes to below its tip."),
                io.Boolean.Input("glasses", optional=True, default=False, tooltip="A band over both eyes."),
                io.Float.Input(
                    "grow",
                    optional=True,
                    default=0.0,
                    min=-0.2,
                    max=1.0,
                    step=0.05,
                    round=0.001,
                    tooltip="How far the parts extend beyond their outline, in eye distances; negative shrinks them.",
                ),
                io.Float.Input(
                    "soft_edge",
                    optional=True,
                    default=0.1,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    round=0.001,
                    advanced=True,
                    tooltip="Width of the soft edge, in eye distances; at least one pixel.",
                ),
            ],
            outputs=[io.Mask.Output(tooltip="One mask for each picture; black where a picture has no face.")],
        )

    @classmethod
    def execute(
        cls,
        faces: Faces,
        eyes: bool = True,
        mouth: bool = True,
        nose: bool = False,
        glasses: bool = False,
        grow: float = 0.0,
        soft_edge: float = 0.1,
    ) -> io.NodeOutput:
        """Draw the masks.

        Args:
            faces: of the pictures to mask, any number in each.
            eyes: whether to mark them.
            mouth: whether to mark it.
            nose: whether to mark it.
            glasses: whether to mark them.
            grow: how far a part extends beyond its outline, in eye distances, in [-0.2, 1].
            soft_edge: width of the edge, in eye distances, in [0, 1]; at least a pixel is used.

        Returns:
            A mask, float32 [B, H, W] in [0, 1].

        Raises:
            ValueError: no part is chosen, or a face's landmarks are degenerate.
        """
        wanted = {"eyes": eyes, "mouth": mouth, "nose": nose, "glasses": glasses}
        return io.NodeOutput(faces_mask(faces, (part for part in PARTS if wanted[part]), grow=grow, soft=soft_edge))
