"""Cover faces: what could not be made unrecognisable is hidden, or the run stops."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import comfy.model_management
import comfy.utils
import torch
from comfy_api.latest import io
from torch import Tensor

from ..reverse_personalization.covering import (
    FACE_ALONE,
    METHODS,
    MUCH_HIDDEN,
    Cover,
    Method,
    cover_,
    is_covered,
    place_cover,
)
from ..reverse_personalization.faces import Face, Faces
from ..reverse_personalization.report import name_faces
from ..reverse_personalization.verdict import FaceVerdict, Verdict, pixels_digest
from .face_crop import check_photographs
from .face_embed import check_choice, check_images
from .sockets import CATEGORY, SEARCH_ALIASES, FacesSocket, IdentityVerdictSocket

ON_FAILURE = ("cover", "block")
"""What becomes of a face that was to be changed and is recognisable or unmeasurable."""

ON_UNHANDLED = ("cover", "keep")
"""What becomes of a face that was found and not to be changed. One that nobody had found is covered in any case."""

DEFAULT_GROW, MOST_GROW = 0.15, 2.0

NO_CHECKER = ""
"""Name of the checker in a verdict over pictures that nobody checked."""


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
                    options=list(ON_FAILURE),
                    default=ON_FAILURE[0],
                    optional=True,
                    tooltip=(
                        "What a face does that was to be changed and is still recognisable or could not be measured: "
                        "it is covered, or the run stops and says which it is."
                    ),
                ),
                io.Combo.Input(
                    "unhandled",
                    options=list(ON_UNHANDLED),
                    default=ON_UNHANDLED[0],
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
                    max=MOST_GROW,
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
        on_failure: str = ON_FAILURE[0],
        unhandled: str = ON_UNHANDLED[0],
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
        check_choice("on_failure", on_failure, ON_FAILURE)
        check_choice("unhandled", unhandled, ON_UNHANDLED)
        if not 0 <= grow <= MOST_GROW:
            raise ValueError(f"grow is {grow:g}; expected 0 to {MOST_GROW:g}")
        if verdict is None:
            if faces is None:
                raise ValueError(
                    "neither a verdict nor faces are connected, so there is nothing to say what is to be covered; "
                    "connect the verdict of Identity Check, or the faces of Embed Faces"
                )
            verdict = _unchecked(image, faces.model_pack)
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
            plan = _plan(verdict.images[number], faces.images[number] if faces else (), unhandled)
            try:
                after = _cover_faces(picture, mask[number], plan, method, grow)
            except ValueError as error:
                raise ValueError(f"image {number + 1}: {error}") from None
            images.append(after)
            digests.append(pixels_digest(picture) if mask[number].any() else verdict.results[number])
            progress.update(1)
        return io.NodeOutput(result, dataclasses.replace(verdict, images=tuple(images), results=tuple(digests)), mask)


def check_verdict(verdict: Verdict, images: Tensor) -> None:
    """Refuse a verdict over other pictures.

    Args:
        verdict: of any pictures.
        images: float [B, H, W, C] in [0, 1].

    Raises:
        ValueError: the verdict is over another number of pictures, or one of them has other pixels.
    """
    if not len(verdict.images) == len(verdict.results) == len(verdict.originals) == len(images):
        raise ValueError(
            f"the verdict is over {len(verdict.images)} pictures, but {len(images)} are connected; connect the "
            "pictures that Identity Check or Cover Faces was given or gave out together with its verdict"
        )
    others = [
        str(number)
        for number, (image, digest) in enumerate(zip(images, verdict.results, strict=True), start=1)
        if pixels_digest(image) != digest
    ]
    if others:
        raise ValueError(
            f"image {', '.join(others)} of {len(images)} is not the one the verdict is over: its pixels were changed "
            "after the check; connect the checked pictures themselves, or put Identity Check after the last change"
        )


def _unchecked(image: Tensor, guide: str) -> Verdict:
    """A verdict that says nothing, over pictures that nobody changed or checked yet."""
    digests = tuple(pixels_digest(one) for one in image)
    # Below every cosine: by this verdict nobody would be unrecognisable.
    return Verdict(
        images=((),) * len(image), originals=digests, results=digests, threshold=-1.0, guide=guide, checker=NO_CHECKER
    )


def _block_failures(verdict: Verdict) -> None:
    failed = name_faces(verdict, lambda face: face.status in ("recognisable", "unmeasurable"))
    if failed:
        raise ValueError(
            f"not anonymised: {failed}. Nothing was passed on, because on_failure is block; lower the scale (cfg), "
            'raise denoise, or set on_failure to "cover"'
        )


def _plan(checked: tuple[FaceVerdict, ...], asked: tuple[Face, ...], unhandled: str) -> list[tuple[FaceVerdict, bool]]:
    """The faces of one picture, each with whether it is to be covered; faces that only `asked` knows come last."""
    boxes = {face.box for face in asked}
    plan = []
    for face in checked:
        plan.append((face, not face.may_stay(unhandled == "keep") or not boxes.isdisjoint(face.boxes)))
    known = {box for face in checked for box in face.boxes}
    new = [FaceVerdict("unhandled", (face.box,), (face.landmarks,)) for face in asked if face.box not in known]
    return plan + [(face, True) for face in new]


def _cover_faces(
    picture: Tensor, mask: Tensor, plan: Sequence[tuple[FaceVerdict, bool]], method: Method, grow: float
) -> tuple[FaceVerdict, ...]:
    """Cover faces of one picture [H, W, C] in place and mark the covers in its mask [H, W]; returns all faces.

    Covers of others may hide a part of a face that is anonymised. It was measured without them, so what it was found
    to be is not what leaves, and from MUCH_HIDDEN on it is covered as well.

    Raises:
        ValueError: a face has no place.
        RuntimeError: a cover hides nothing.
    """
    faces = [face for face, _ in plan]
    height, width = mask.shape

    def place(index: int, grow: float) -> Cover:
        face = faces[index]
        try:
            return place_cover(face.boxes, face.landmarks, height, width, grow)
        except ValueError as error:
            raise ValueError(f"face {index + 1} cannot be covered: {error}") from None

    # Covers of another such node before this one hide faces, too.
    under = torch.zeros_like(mask)

    def mark(where: Tensor, cover: Cover) -> None:
        where[cover.rows, cover.columns].masked_fill_(torch.from_numpy(cover.mask), 1)

    def hidden(index: int) -> float:
        face = place(index, FACE_ALONE)
        return float(under[face.rows, face.columns][torch.from_numpy(face.mask)].mean())

    due = [index for index, (_, cover_it) in enumerate(plan) if cover_it]
    for index, face in enumerate(faces):
        if face.status == "covered" and index not in due:
            mark(under, place(index, grow))
    while due:
        for index in due:
            cover = place(index, grow)
            here = picture[cover.rows, cover.columns]
            under_it = torch.from_numpy(cover.mask).to(here.device)
            before = here[under_it]
            cover_(picture, cover, method)
            if not is_covered(before, here[under_it], method):
                raise RuntimeError(f"face {index + 1} shows through its cover: nothing is passed on; try solid")
            mark(mask, cover)
            mark(under, cover)
            faces[index] = dataclasses.replace(faces[index], status="covered", method=method, reason="")
        due = [
            index for index, face in enumerate(faces) if face.status == "anonymised" and hidden(index) >= MUCH_HIDDEN
        ]
    return tuple(faces)
