"""What REVERSE_IDENTITY_VERDICT carries: for every face of every result whether its person can still be recognised."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..geometry.faces import Box
from .retry import RetryStep

Status = Literal["anonymised", "recognisable", "unmeasurable", "unhandled", "covered"]
"""anonymised, recognisable: see `judge_similarity`. unmeasurable: one of the two faces could not be found again, or not
be embedded. unhandled: a face in the result that belongs to none of the faces that were to be changed and shows nobody
who was. covered: one of the last three, under a cover since."""

SAFE: frozenset[Status] = frozenset({"anonymised", "covered"})
"""What may leave. Everything else is covered or blocks the run."""

AGE_STEP = 10
"""Years that a change of age is rounded to: about what two estimates of one person's age differ by."""

BAND = 1 << 22
"""Values of a picture that are converted at a time."""


@dataclass(frozen=True)
class FaceChange:
    """What was kept of a face, from the original to the result.

    Attributes:
        box_overlap: intersection over union of the boxes, in [0, 1].
        landmark_change: mean distance of the five landmarks, as a part of the distance between the eyes.
        yaw_change: of the head, degrees; None where the pack has no model of it.
        pitch_change: see there.
        roll_change: see there.
        age_change: of the apparent age, years, to the nearest `AGE_STEP`; None where the pack has no model of it. The
            ages themselves are nowhere: the result's can be read off it, so a difference to the year would tell the
            original's.
        sex_kept: whether the apparent sex is the same; None where the pack has no model of it.
    """

    box_overlap: float
    landmark_change: float
    yaw_change: float | None = None
    pitch_change: float | None = None
    roll_change: float | None = None
    age_change: int | None = None
    sex_kept: bool | None = None


@dataclass(frozen=True)
class FaceVerdict:
    """One face.

    Attributes:
        status: see `Status`.
        boxes: where it is, in pixels of the photograph: in the original, in the result, or both. A cover covers all.
        landmarks: of the same faces, five (x, y) each.
        similarity: largest cosine, by the checking recogniser, of a person who was to be changed and what the result
            shows; None if unmeasurable or unhandled.
        change: None if the face was not found again.
        method: of its cover, "" if it is not covered.
        reason: of a status that is not safe, a few words for people.
        left_out: whether the search of the original had found it and nobody chose it. Only such an unhandled face may
            be kept as it is: any other one was missed.
        retries: what the sampler with retry tried on it, in its order; () if that is not known.
    """

    status: Status
    boxes: tuple[Box, ...]
    landmarks: tuple[tuple[tuple[float, float], ...], ...]
    similarity: float | None = None
    change: FaceChange | None = None
    method: str = ""
    reason: str = ""
    left_out: bool = False
    retries: tuple[RetryStep, ...] = ()

    def may_stay(self, keep: bool) -> bool:
        """Whether the face may leave as it is.

        Args:
            keep: whether that is wanted of faces that were not to be changed.
        """
        return self.status in SAFE or (keep and self.status == "unhandled" and self.left_out)


@dataclass(frozen=True, eq=False)
class Verdict:
    """The wire type REVERSE_IDENTITY_VERDICT.

    Attributes:
        images: of every result its faces: those that were to be changed in their order, then the unhandled.
        originals: `pixels_digest` of every original.
        results: `pixels_digest` of every result that was checked; a picture with another digest was not.
        threshold: cosine, see `judge_similarity`.
        guide: name of the pack whose embeddings guided.
        checker: name of the pack or file that checked.
        model_hashes: sha256 of the model files that took part, by a name without folders.
        previews: of every original the temporary file that the editor shows, () if there are none.
    """

    images: tuple[tuple[FaceVerdict, ...], ...]
    # Not shown: of a node that fails, the host writes its inputs into the error that it keeps and sends to the client.
    originals: tuple[str, ...] = field(repr=False)
    results: tuple[str, ...]
    threshold: float
    guide: str
    checker: str
    model_hashes: dict[str, str] = field(default_factory=dict)
    previews: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)

    def __iter__(self) -> Iterator[FaceVerdict]:
        """All faces of all results."""
        for image in self.images:
            yield from image

    @property
    def safe(self) -> bool:
        """Whether every face is anonymised or covered."""
        return all(face.status in SAFE for face in self)


def eight_bits(image: Tensor) -> NDArray[np.uint8]:
    """An image as a file holds it.

    Args:
        image: float [H, W, C] in [0, 1] (clipped).

    Returns:
        uint8 [H, W, C], rounded, contiguous.
    """
    # A photograph of 48 megapixels has half a gigabyte: what is computed on the way is only ever of some rows.
    rows = max(1, BAND // max(1, image[0].numel()))
    bands = [band.float().clamp(0, 1).mul_(255).round_().to(torch.uint8).cpu() for band in image.detach().split(rows)]
    return np.ascontiguousarray(torch.cat(bands).numpy())


def pixels_digest(image: Tensor) -> str:
    """sha256 over an image's shape and its `eight_bits`.

    Args:
        image: float [H, W, C] in [0, 1] (clipped).
    """
    levels = eight_bits(image)
    digest = hashlib.sha256(repr(levels.shape).encode())
    digest.update(levels.data)
    return digest.hexdigest()
