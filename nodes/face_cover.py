"""Cover Faces: hide the faces that could not be made unrecognisable, or stop the run."""

from __future__ import annotations

import dataclasses

import comfy.model_management
import comfy.utils
import torch
from comfy_api.latest import io
from torch import Tensor

from ..reverse_personalization.assurance.covering import (
    METHODS,
    Method,
    cover_faces_,
    faces_to_cover,
    unchecked_verdict,
)
from ..reverse_personalization.assurance.report import name_faces
from ..reverse_personalization.assurance.verdict import Verdict, pixels_digest
from ..reverse_personalization.errors import UnsafeFaceError
from ..reverse_personalization.geometry.faces import Detection, Faces
from .checks import check_choice, check_images, check_photographs, check_verdict
from .sockets import CATEGORY, SEARCH_ALIASES, FacesSocket, IdentityVerdictSocket

FAILURE_CHOICES = ("cover", "block")
"""What to do about a face that should have changed but is recognisable or unmeasurable; the first is the default."""

UNHANDLED_CHOICES = ("cover", "keep")
"""What to do about a face that was found but not chosen to be changed; the first is the default.

A face that only the check found is covered in any case.
"""

DEFAULT_GROW, MAX_GROW = 0.15, 2.0


class ReverseIdentityFaceCover(io.ComfyNode):
    """IMAGE + REVERSE_IDENTITY_VERDICT or REVERSE_IDENTITY_FACES -> IMAGE with those faces hidden."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node."""
        return io.Schema(
            node_id="ReverseIdentityFaceCover",
            display_name="Cover Faces",
            category=CATEGORY,
            description=(
                "Hides every face that Identity Check did not pass as anonymised or, without a verdict, every face "
                "that it is given. All other pixels stay as they are."
            ),
            search_aliases=[*SEARCH_ALIASES, "censor", "blur faces", "mosaic", "pixelate"],
            inputs=[
                io.Image.Input("image", tooltip="The pictures that were checked, one or a batch."),
                IdentityVerdictSocket.Input(
                    "verdict",
                    optional=True,
                    tooltip="From Identity Check on these pictures: every face that is not anonymised is covered.",
                ),
                FacesSocket.Input(
                    "faces",
                    optional=True,
                    tooltip="From Embed Faces on these pictures: all of these are covered, whatever the verdict says.",
                ),
                io.Combo.Input(
                    "method",
                    optional=True,
                    options=list(METHODS),
                    default=METHODS[0],
                    tooltip=(
                        "solid leaves nothing of the face. mosaic and blur look milder but are made from the face and "
                        "can partly be undone: recognisers and restoration networks see through them."
                    ),
                ),
                io.Combo.Input(
                    "on_failure",
                    options=list(FAILURE_CHOICES),
                    default=FAILURE_CHOICES[0],
                    optional=True,
                    tooltip=(
                        "What to do about a face that should have been changed but is still recognisable or could not "
                        "be measured: cover it, or stop the run and say which face it is."
                    ),
                ),
                io.Combo.Input(
                    "unhandled",
                    options=list(UNHANDLED_CHOICES),
                    default=UNHANDLED_CHOICES[0],
                    optional=True,
                    advanced=True,
                    tooltip=(
                        "What to do about faces that were not chosen to be changed, such as people in the background. "
                        "keep leaves them recognisable, and Save Anonymized Image must be told as well. Faces that "
                        "only Identity Check found are covered all the same."
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
                        "How much larger the cover is than the head (hairline to chin, ear to ear), as a fraction of "
                        "it. Raise it to hide the hair and the outline as well."
                    ),
                ),
            ],
            outputs=[
                io.Image.Output(display_name="image", tooltip="The pictures with their covers."),
                IdentityVerdictSocket.Output(
                    display_name="verdict",
                    tooltip=(
                        "The same verdict, on these pictures. From faces alone it is marked as unchecked, because "
                        "only Identity Check searches a picture for faces that were missed."
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
        """Cover faces.

        Args:
            image: float [B, H, W, C] in [0, 1]; C is 1, 3, or 4 with an alpha that is kept.
            verdict: on exactly these pixels.
            faces: found in these pictures.
            method: "solid", "mosaic" or "blur".
            on_failure: "cover" or "block".
            unhandled: "cover" or "keep".
            grow: how much larger than the head a cover is, as a fraction of the head, in [0, 2].

        Returns:
            The pictures, the verdict on them, and a mask, float [B, H, W], 1 under every cover.

        Raises:
            ValueError: an input does not fit or belongs to other pictures, a face has no place in its picture, or a
                face failed and on_failure is "block".
            RuntimeError: a cover left the pixels under it as they were.
        """
        check_images(image)
        # The host checks typed values, not linked ones.
        check_choice("method", method, METHODS)
        check_choice("on_failure", on_failure, FAILURE_CHOICES)
        check_choice("unhandled", unhandled, UNHANDLED_CHOICES)
        if not 0 <= grow <= MAX_GROW:
            raise ValueError(f"grow is {grow:g}; expected 0 to {MAX_GROW:g}")
        if verdict is None:
            if faces is None:
                raise ValueError(
                    "neither a verdict nor faces are connected, so there is nothing to cover; connect the verdict of "
                    "Identity Check, or the faces of Embed Faces"
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
            plan = faces_to_cover(verdict.images[number], _asked(faces, number), unhandled)
            try:
                after = cover_faces_(picture, mask[number], plan, method, grow)
            except ValueError as error:
                raise ValueError(f"image {number + 1}: {error}") from None
            images.append(after)
            digests.append(pixels_digest(picture) if mask[number].any() else verdict.results[number])
            progress.update(1)
        return io.NodeOutput(result, dataclasses.replace(verdict, images=tuple(images), results=tuple(digests)), mask)


def _asked(faces: Faces | None, number: int) -> tuple[Detection, ...]:
    """The faces of one picture that are to be covered whatever the verdict says."""
    if faces is None:
        return ()
    return (*faces.images[number], *(faces.to_cover[number] if faces.to_cover else ()))


def _block_failures(verdict: Verdict) -> None:
    failed = name_faces(verdict, lambda face: face.status in ("recognisable", "unmeasurable"))
    if failed:
        raise UnsafeFaceError(
            f"not anonymised: {failed}. Nothing was passed on, because on_failure is block; make the scale (cfg) more "
            'negative, raise denoise, or set on_failure to "cover"'
        )
