"""Pictures for the editor to show: small temporary files, without prompt and workflow.

They go out under this pack's own keys, not under the host's "images", so that an original appears in no gallery, queue
or asset list, and only the node that shows it knows its file.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from comfy_api.latest import ui
from torch import Tensor
from torch.nn.functional import interpolate

from ..reverse_personalization.assurance.operating_point import threshold_words
from ..reverse_personalization.assurance.verdict import STRUCK_OUT, FaceVerdict, Verdict
from ..reverse_personalization.geometry.decisions import striking_box
from ..reverse_personalization.geometry.faces import UNDECIDED, Box, Decisions

LONGEST = 1024
"""Longer side of a preview, pixels: more than a node ever shows."""

COMPARISON = "comparison"
"""Key under which the editor gets `comparisons`."""

File = Mapping[str, Any]
"""What the editor fetches a picture by: "filename", "subfolder" and "type"."""


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


def in_parts(box: Box, width: int, height: int) -> list[float]:
    """A box in pixels as x0, y0, x1, y1 in fractions of the picture's sides."""
    x0, y0, x1, y1 = box
    return [x0 / width, y0 / height, x1 / width, y1 / height]


def comparisons(
    verdict: Verdict, results: Tensor, files: Sequence[File], decisions: Sequence[Decisions] = ()
) -> list[dict[str, Any]]:
    """Before and after as the editor shows them, with what became of every face.

    Args:
        verdict: on the results.
        results: [B, H, W, C].
        files: of the results.
        decisions: about each result that the node itself was told; () if it takes none.

    Returns:
        For each picture "before" (None if it has no preview) and "after"; "width" and "height" in pixels; "batch", the
        number of pictures; "threshold", the similarity at or above which a face is recognisable; "threshold_source",
        in words; "faces", each with "status", "under_cover" (an anonymised face that other faces' covers hid),
        "similarity" (to two decimals) or None, "reason", its "box" in fractions of width and height, and "struck_by",
        the box in pixels of these decisions that strikes it out, or None.
    """
    height, width = results.shape[1:3]
    originals: Sequence[File | None] = verdict.previews or [None] * len(files)
    told = decisions or [UNDECIDED] * len(files)
    return [
        {
            "before": before,
            "after": after,
            "width": width,
            "height": height,
            "batch": len(files),
            "threshold": verdict.threshold,
            "threshold_source": threshold_words(verdict.threshold_source),
            "faces": [_badge(face, said, width, height) for face in faces],
        }
        for before, after, faces, said in zip(originals, files, verdict.images, told, strict=True)
    ]


def _badge(face: FaceVerdict, said: Decisions, width: int, height: int) -> dict[str, Any]:
    # JSON has no NaN and no infinity.
    similarity = None if face.similarity is None or not math.isfinite(face.similarity) else round(face.similarity, 2)
    return {
        "status": face.status,
        "under_cover": face.under_cover,
        # The host keeps what a node shows in its history: two decimals are enough to read, more would be a fingerprint.
        "similarity": similarity,
        "reason": face.reason,
        "box": in_parts(face.boxes[-1], width, height),
        "struck_by": striking_box(face.boxes[-1], said.not_faces) if face.status == STRUCK_OUT else None,
    }
