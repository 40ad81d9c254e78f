"""Cover faces: what could not be made unrecognisable is hidden, or the run stops."""

from __future__ import annotations

import dataclasses

import comfy.model_management
import comfy.utils
import torch
from comfy_api.latest import io
from torch import Tensor

from ..reverse_personalization.covering import METHODS, Method, cover_faces_, faces_to_cover, unchecked_verdict
from ..reverse_personalization.faces import Faces
from ..reverse_personalization.report import name_faces
from ..reverse_personalization.verdict import Verdict, pixels_digest
from .checks import check_choice, check_images, check_photographs, check_verdict
from .sockets import CATEGORY, SEARCH_ALIASES, FacesSocket, IdentityVerdictSocket

FAILURE_CHOICES = ("cover", "block")
"""What becomes of a face that was to be changed and is recognisable or unmeasurable."""

UNHANDLED_CHOICES = ("cover", "keep")
"""What becomes of a face that was found and not to be changed. One that nobody had found is covered in any case."""

DEFAULT_GROW, MAX_GROW = 0.15, 2.0


class FaceCover(io.ComfyNode):
    """IMAGE + IDENTITY_VERDICT or FACES -> IMAGE with those faces hidden."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node."""
        return io.Schema(
            node_id="FaceCover",
            display_name="Cover Faces",
            category=CATEGORY,
            description=(
                "Hides every face that Identity Check did not find to be anonymised, or, without a verdict, every "
                "face it is given. All other pixels stay as they are."
            ),
            search_aliases=[*SEARCH_ALIASES, "censor", "blur faces", "mosaic", "pixelate"],
            inputs=[
                io.Image.Input("image", tooltip="The pictures that were checked, one or a batch."),
                IdentityVerdictSocket.Input(
                    "verdict",
                    optional=True,
                    tooltip="From Identity Check on these pictures: what is not anonymised is covered.",
                ),
                FacesSocket.Input(
                    "faces",
                    optional=True,
                    tooltip="From Embed Faces on these pictures: all of them are covered, whatever the verdict says.",
                ),
                io.Combo.Input(
                    "method",
                    optional=True,
                    options=list(METHODS),
                    default=METHODS[0],
                    tooltip=(
                        "solid leaves nothing of the face. mosaic and blur look milder, but are made of the face and "
                        "can in part be undone: recognisers and restoring networks see through them."
                    ),
                ),
                io.Combo.Input(
                    "on_failure",
                    options=list(FAILURE_CHOICES),
                    default=FAILURE_CHOICES[0],
                    optional=True,
                    tooltip=(
                        "What a face does that was to be changed and is still recognisable or could not be measured: "
                        "it is covered, or the run stops and says which it is."
                    ),
                ),
                io.Combo.Input(
                    "unhandled",
                    options=list(UNHANDLED_CHOICES),
                    default=UNHANDLED_CHOICES[0],
                    optional=True,
                    advanced=True,
                    tooltip=(
                        "Faces that were not chosen to be changed, such as people in the background. keep: they stay "
                        "as they are, recognisable; Save Anonymized Image has to be told too. Whom only Identity Check "
                        "found is covered all the same."
                    ),
                ),
                io.Float.Input(
                    "grow",
                    default=DEFAULT_GROW,
                    min=0.0,
                    max=MAX_GROW,
                    step=0.05,
                    optional=True,
                    advanced=True,
                    tooltip=(
                        "How much larger the cover is than the head from hairline to chin and ear to ear, as a part "
                        "of it. Raise it to hide hair and outline as well."
                    ),
                ),
            ],
            outputs=[
                io.Image.Output(display_name="image", tooltip="The pictures with the covers on them."),
                IdentityVerdictSocket.Output(
                    display_name="verdict",
                    tooltip=(
                        "The same verdict over these pictures. From faces alone: one that nobody checked, for Identity "
                        "Check is the node that searches a picture for those who were missed."
                    ),
                ),
                io.Mask.Output(display_name="mask", tooltip="1 where a cover is."),
            ],
        )

    @classmethod
    def execute(
        cls,
        image: Tensor,
        verdict: Verdict | None = None,
        faces: Faces | None = None,
        method: Method = METHODS[0],
        on_failure: str = FAILURE_CHOICES[0],
        unhandled: str = UNHANDLED_CHOICES[0],
        grow: float = DEFAULT_GROW,
    ) -> io.NodeOutput:
        """Cover.

        Args:
            image: float [B, H, W, C] in [0, 1]; C is 1, 3, or 4 with an alpha that is kept.
            verdict: over these very pixels.
            faces: of these pictures.
            method: see `cover_`.
            on_failure: "cover" or "block".
            unhandled: "cover" or "keep".
            grow: see `place_cover`.

        Returns:
            The pictures, the verdict over them, and a mask, float [B, H, W].

        Raises:
            ValueError: an input does not fit or does not belong to the pictures, a face cannot be placed, or faces
                failed that block the run.
            RuntimeError: a cover hides nothing.
        """
        check_images(image)
        # The host checks what is typed into a node, not what is linked to it.
        check_choice("method", method, METHODS)
        check_choice("on_failure", on_failure, FAILURE_CHOICES)
        check_choice("unhandled", unhandled, UNHANDLED_CHOICES)
        if not 0 <= grow <= MAX_GROW:
            raise ValueError(f"grow is {grow:g}; expected 0 to {MAX_GROW:g}")
        if verdict is None:
            if faces is None:
                raise ValueError(
                    "neither a verdict nor faces are connected, so there is nothing to say what is to be covered; "
                    "connect the verdict of Identity Check, or the faces of Embed Faces"
                )
            verdict = unchecked_verdict(image, faces.model_pack)
        check_verdict(verdict, image)
        if faces is not None:
            check_photographs(image, faces)
        if on_failure == "block":
            _block_failures(verdict)

        result, mask = image.clone(), torch.zeros(image.shape[:3])
        images, digests = [], []
        progress = comfy.utils.ProgressBar(len(image))
        for number, picture in enumerate(result):
            comfy.model_management.throw_exception_if_processing_interrupted()
            plan = faces_to_cover(verdict.images[number], faces.images[number] if faces else (), unhandled)
            try:
                after = cover_faces_(picture, mask[number], plan, method, grow)
            except ValueError as error:
                raise ValueError(f"image {number + 1}: {error}") from None
            images.append(after)
            digests.append(pixels_digest(picture) if mask[number].any() else verdict.results[number])
            progress.update(1)
        return io.NodeOutput(result, dataclasses.replace(verdict, images=tuple(images), results=tuple(digests)), mask)


def _block_failures(verdict: Verdict) -> None:
    failed = name_faces(verdict, lambda face: face.status in ("recognisable", "unmeasurable"))
    if failed:
        raise ValueError(
            f"not anonymised: {failed}. Nothing was passed on, because on_failure is block; lower the scale (cfg), "
            'raise denoise, or set on_failure to "cover"'
        )
