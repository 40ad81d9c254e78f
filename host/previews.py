"""Pictures for the editor to show: small temporary files, without prompt and workflow.

They go out under this pack's own keys, not under the host's "images", so that an original appears in no gallery, queue
or asset list, and only the node that shows it knows its file.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from comfy_api.latest import ui
from torch import Tensor
from torch.nn.functional import interpolate

from ..reverse_personalization.assurance.operating_point import threshold_words
from ..reverse_personalization.assurance.verdict import STRUCK_OUT, FaceVerdict, Verdict, said_number, said_step
from ..reverse_personalization.geometry.decisions import striking_box
from ..reverse_personalization.geometry.drawn_faces import Decided
from ..reverse_personalization.geometry.faces import UNDECIDED, Box, Decisions

LONGEST = 1024
"""Longer side of a preview, pixels: more than a node ever shows."""

NO_PREVIEWS = "REVERSE_PERSONALIZATION_NO_PREVIEWS"
"""Environment variable that, set to 1, keeps every node of a server from writing pictures for the editor."""

FOUND_FACES = "found_faces"
"""Key under which the editor gets the pictures and their faces."""

COMPARISON = "comparison"
"""Key under which the editor gets `comparisons`."""

File = Mapping[str, Any]
"""What the editor fetches a picture by: "filename", "subfolder" and "type"."""


def previews_wanted(asked: bool) -> bool:
    """Whether a node writes pictures for the editor.

    Args:
        asked: what its input `previews` says.
    """
    return asked and os.environ.get(NO_PREVIEWS) != "1"


def preview_files(images: Tensor) -> list[File]:
    """Write pictures for the editor into the host's folder of temporary files, which is emptied when it starts.

    Args:
        images: float [B, H, W, C] in [0, 1], C in 1, 3, 4; an alpha is ignored.

    Returns:
        One file for each picture.

    Raises:
        RuntimeError: they could not be written.
    """
    height, width = images.shape[1:3]
    scale = min(1.0, LONGEST / max(height, width))
    size = max(1, round(scale * height)), max(1, round(scale * width))
    pictures = images[..., :3].expand(-1, -1, -1, 3).float().movedim(-1, 1)
    try:
        # Passing a class would write prompt and workflow, with the original's name, into the file.
        return list(ui.PreviewImage(interpolate(pictures, size, mode="area").movedim(1, -1), cls=None).values)
    except OSError as error:
        raise RuntimeError(
            f"the pictures for the editor could not be written into ComfyUI's temporary folder "
            f"({error.strerror or type(error).__name__}); free some space there and run again"
        ) from error


def with_attempts(faces: Sequence[FaceVerdict]) -> tuple[FaceVerdict, ...]:
    """The same verdicts, each with a file of the pictures of its retries, as `preview_files` writes them.

    Raises:
        RuntimeError: a file could not be written.
    """
    return tuple(replace(face, attempts=_attempts_file(face)) for face in faces)


def _attempts_file(face: FaceVerdict) -> File | None:
    pictures = [torch.from_numpy(step.picture) for step in face.retries if step.picture is not None]
    return preview_files(torch.cat(pictures, dim=1)[None] / 255)[0] if pictures else None


def in_parts(box: Box, width: int, height: int) -> list[float]:
    """A box in pixels as x0, y0, x1, y1 in fractions of the picture's sides."""
    x0, y0, x1, y1 = box
    return [x0 / width, y0 / height, x1 / width, y1 / height]


def found_faces(
    file: File, decided: Decided, decisions: Decisions, painted: int, images: Tensor, asked: Mapping[str, str]
) -> dict[str, Any]:
    """One picture as the editor shows it, for choosing faces by a click.

    Args:
        file: of the picture, as `preview_files` returns it.
        decided: its faces.
        decisions: of a person, about this picture.
        painted: how many of the drawn boxes, the last ones, are regions of a mask.
        images: the batch that it belongs to, [B, H, W, C].
        asked: the texts that a person changes in the panel, by input, as this run got them. After an undo or a change
            of the tab, only these tell the editor whether the run that it shows again was one of the texts it has.

    Returns:
        "preview"; "asked"; "width" and "height" in pixels; "batch", the number of pictures; "not_faces" and
        "drawn_faces", the boxes of the decisions in pixels; "painted"; "faces" in the order of their numbers, each with
        its "box" in fractions of width and height, whether it was "found" or is only drawn, whether it is "doubtful",
        and the numbers, from 0 or None, of the decisions that it is "struck_by" and "drawn_by"; "by_size", the numbers
        of the faces from 1, the largest first.
    """
    batch, height, width = images.shape[:3]
    faces = decided.faces
    return {
        "preview": file,
        "asked": dict(asked),
        "width": width,
        "height": height,
        "batch": batch,
        "not_faces": [list(box) for box in decisions.not_faces],
        "drawn_faces": [list(box) for box in decisions.drawn_faces],
        "painted": painted,
        "faces": [
            {
                "box": in_parts(face.box, width, height),
                "found": number < decided.found,
                "doubtful": number in decided.doubtful,
                "struck_by": decided.struck[number],
                "drawn_by": decided.drawn_by(number),
            }
            for number, face in enumerate(faces)
        ],
        "by_size": [number + 1 for number in sorted(range(len(faces)), key=lambda number: -faces[number].area)],
    }


def comparisons(
    verdict: Verdict,
    results: Tensor,
    files: Sequence[File | None],
    decisions: Sequence[Decisions] = (),
    asked: Mapping[str, str] | None = None,
) -> list[dict[str, Any]]:
    """Before and after as the editor shows them, with what became of every face.

    Args:
        verdict: on the results.
        results: [B, H, W, C].
        files: of the results; None for a result without one, which is not shown.
        decisions: about each result that the node itself was told; () if it takes none.
        asked: the texts of these decisions, as `found_faces` takes them; None if it takes none.

    Returns:
        For each picture that has a file: "before" (None if it has no preview) and "after"; "asked"; "width" and
        "height" in pixels; "batch", the number of all pictures; "threshold", the similarity at or above which a face is
        recognisable; "threshold_source", in words; "faces", each with "status", "under_cover" (an anonymised face that
        other faces' covers hid), "similarity" (to two decimals) or None, "reason", its "box" in fractions of width and
        height and its box "before", "struck_by", the box in pixels of these decisions that strikes it out, or None,
        "attempts", the retries, each with "scale", "similarity", "anonymised", "pictured" and "kept", and "strip", the
        file with the pictures of those that are pictured, from left to right, or None.
    """
    height, width = results.shape[1:3]
    originals: Sequence[File | None] = verdict.previews or [None] * len(files)
    told = decisions or [UNDECIDED] * len(files)
    return [
        {
            "before": before,
            "after": after,
            "asked": dict(asked or {}),
            "width": width,
            "height": height,
            "batch": len(files),
            "threshold": verdict.threshold,
            "threshold_source": threshold_words(verdict.threshold_source),
            "faces": [_badge(face, said, width, height) for face in faces],
        }
        for before, after, faces, said in zip(originals, files, verdict.images, told, strict=True)
        if after is not None
    ]


def _badge(face: FaceVerdict, said: Decisions, width: int, height: int) -> dict[str, Any]:
    return {
        "status": face.status,
        "under_cover": face.under_cover,
        "similarity": said_number(face.similarity),
        "reason": face.reason,
        "box": in_parts(face.boxes[-1], width, height),
        "before": in_parts(face.boxes[0], width, height),
        "attempts": [
            {**said_step(step), "pictured": step.picture is not None, "kept": step.kept} for step in face.retries
        ],
        "strip": face.attempts,
        "struck_by": striking_box(face.boxes[-1], said.not_faces) if face.status == STRUCK_OUT else None,
    }
