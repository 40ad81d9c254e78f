"""Mark parts of faces."""

from __future__ import annotations

from comfy_api.latest import io

from ..reverse_personalization.face_parts import PARTS, faces_mask
from ..reverse_personalization.faces import Faces
from .sockets import CATEGORY, SEARCH_ALIASES, FacesSocket


class FaceRegionMask(io.ComfyNode):
    """FACES -> MASK of chosen parts, from their landmarks."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node."""
        return io.Schema(
            node_id="FaceRegionMask",
            display_name="Face Region Mask",
            category=CATEGORY,
            description=(
                "Marks eyes, nose, mouth or glasses of every face, for Keep Region or any other node that takes a "
                "mask. Sizes follow the distance between the eyes and the turn of the face."
            ),
            search_aliases=[*SEARCH_ALIASES, "face parsing", "eyes", "mouth", "landmarks"],
            inputs=[
                FacesSocket.Input(
                    "faces", tooltip="Of the pictures to be masked: for Keep Region, Embed Faces on the crops."
                ),
                io.Boolean.Input("eyes", optional=True, default=True, tooltip="Both eyes with their lids."),
                io.Boolean.Input("mouth", optional=True, default=True, tooltip="The lips, also of an open mouth."),
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
                    tooltip="How much further the parts reach, in distances between the eyes; negative: less far.",
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
                    tooltip="Width of the soft edge, in distances between the eyes; 0 is a pixel.",
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
        """Draw the masks."""
        wanted = {"eyes": eyes, "mouth": mouth, "nose": nose, "glasses": glasses}
        return io.NodeOutput(faces_mask(faces, (part for part in PARTS if wanted[part]), grow=grow, soft=soft_edge))
