"""Crop Faces: cut an aligned crop of every face, and remember where it belongs."""

from __future__ import annotations

import comfy.model_management
import comfy.utils
import torch
from comfy_api.latest import io, ui
from torch import Tensor

from ..reverse_personalization.assurance.verdict import pixels_digest
from ..reverse_personalization.geometry.alignment import face_in_crop
from ..reverse_personalization.geometry.cropping import EMPTY_LEVEL, take_crops
from ..reverse_personalization.geometry.faces import Face, Faces
from ..reverse_personalization.geometry.placement import Placement, Placements, place_crops, placed_areas
from ..reverse_personalization.geometry.template import stand_in
from .checks import check_found_in, check_images, check_photographs, check_side
from .inputs import DEFAULT_SIDE, MIN_SIDE, side_input
from .sockets import CATEGORY, SEARCH_ALIASES, FacePlacementsSocket, FacesSocket

MAX_MARGIN = 1.0


class ReverseIdentityFaceCrop(io.ComfyNode):
    """Photographs and their faces -> an aligned crop of each face, the face in it, and where the crop belongs."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs."""
        return io.Schema(
            node_id="ReverseIdentityFaceCrop",
            display_name="Crop Faces",
            category=CATEGORY,
            description=(
                "Cuts every face out of its photograph, upright and centred as in FFHQ, and remembers where it "
                "belongs, for Paste Faces. A picture without faces passes through the same graph unchanged."
            ),
            search_aliases=[*SEARCH_ALIASES, "face align", "FFHQ", "face detailer"],
            inputs=[
                io.Image.Input("image", tooltip="The photographs that were given to Embed Faces."),
                FacesSocket.Input("faces", tooltip='From Embed Faces; set its select to "all" to crop every face.'),
                side_input("side", "Side of the square crops in pixels;"),
                io.Float.Input(
                    "margin",
                    optional=True,
                    default=0.0,
                    min=0.0,
                    max=MAX_MARGIN,
                    step=0.05,
                    round=0.01,
                    advanced=True,
                    tooltip=(
                        "How much more the crop shows than FFHQ's framing, as a fraction of its side. More makes room "
                        "for a wide feather but leaves fewer pixels for the face."
                    ),
                ),
                io.Boolean.Input(
                    "hide_neighbours",
                    optional=True,
                    default=True,
                    advanced=True,
                    tooltip=(
                        "Blur other faces that extend into a crop beyond recognition, so that no original comes back "
                        "with its neighbour's crop."
                    ),
                ),
            ],
            outputs=[
                io.Image.Output(
                    "crops",
                    tooltip=(
                        "A square picture for each face, photograph by photograph. If there is no face, a small grey "
                        "one, which Paste Faces ignores."
                    ),
                ),
                FacesSocket.Output("crop_faces", display_name="faces", tooltip="The same faces, one for each crop."),
                FacePlacementsSocket.Output("placements", tooltip="Where the crops belong, for Paste Faces."),
                io.String.Output(
                    "report", tooltip="Number of crops per image, and the faces that could not be cropped."
                ),
            ],
            has_intermediate_output=True,
        )

    @classmethod
    def execute(
        cls,
        image: Tensor,
        faces: Faces,
        side: int = DEFAULT_SIDE,
        margin: float = 0.0,
        hide_neighbours: bool = True,
    ) -> io.NodeOutput:
        """Crop every face.

        Args:
            image: float [B, H, W, C] in [0, 1]; C is 1, 3, or 4 with an alpha that is ignored.
            faces: found in exactly these images.
            side: of the crops, pixels; a multiple of 8 from 64 to 4096.
            margin: how much more a crop shows than FFHQ's, as a fraction of FFHQ's side, in [0, 1].
            hide_neighbours: whether to blur other faces in a crop beyond recognition.

        Returns:
            Crops float32 [F, side, side, 3], their faces as a batch of F with one face each, placements and report.

            If there is no crop, the first two are a grey crop of the smallest side and a placeholder face
            (`Face.nobody`), and the placements are empty. For a single picture or batch, Paste Faces then asks for no
            crops, and the nodes that change them do not run. In a list where other pictures have faces they also run
            on the grey crop, which costs little; an execution blocker would reach Paste Faces and drop the photograph
            from the list.

        Raises:
            ValueError: an input does not fit.
        """
        check_images(image)
        check_photographs(image, faces)
        if faces.pictures:
            check_found_in(faces, tuple(map(pixels_digest, image)), "image")
        check_side(side)
        if not 0 <= margin <= MAX_MARGIN:
            raise ValueError(f"the margin is {margin:g}; expected 0 to {MAX_MARGIN:g}")
        placements: list[Placement] = []
        crops: list[Tensor] = []
        crop_faces: list[tuple[Face, ...]] = []
        lines: list[str] = []
        progress = comfy.utils.ProgressBar(len(image))
        for number, (one, found) in enumerate(zip(image, faces.images, strict=True)):
            placed, faults = place_crops(found, number, side, margin, faces.height, faces.width)
            photo = one[..., :3].expand(-1, -1, 3).float().cpu().numpy()
            areas = placed_areas(found, placed, side, faces.height, faces.width)
            for placement, crop in zip(placed, take_crops(photo, areas, hide_neighbours), strict=True):
                comfy.model_management.throw_exception_if_processing_interrupted()
                crops.append(torch.from_numpy(crop))
                crop_faces.append((face_in_crop(found[placement.face], placement.to_crop),))
            placements += placed
            lines.append(f"image {number + 1}: {len(placed)} of {len(found)} cropped")
            lines += [
                f"image {number + 1}: face {which + 1} left out, {fault}; it has to be covered"
                for which, fault in faults.items()
            ]
            progress.update(1)
        report = "\n".join(lines)
        where = Placements(crops=tuple(placements), side=side, faces=faces)
        if not crops:
            side = MIN_SIDE
            crops, crop_faces = [torch.full((side, side, 3), EMPTY_LEVEL)], [(stand_in(side),)]
        shown = Faces(
            images=tuple(crop_faces),
            height=side,
            width=side,
            model_pack=faces.model_pack,
            provider=faces.provider,
            pictures=tuple(map(pixels_digest, crops)),
            threshold=faces.threshold,
        )
        return io.NodeOutput(torch.stack(crops), shown, where, report, ui=ui.PreviewText(report))
