"""What REVERSE_IDENTITY_VERDICT carries: whether the person can still be recognised, for every face of every result."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..geometry.faces import Box, Decisions, Detection
from ..method.target import TargetUse
from .operating_point import ThresholdSource
from .retry import RetryStep

Status = Literal["anonymised", "recognisable", "unmeasurable", "unhandled", "covered", "struck out"]
"""anonymised: its similarity is below the threshold. recognisable: it is at or above the threshold. unmeasurable: the
face was not found again in the result, or could not be embedded. unhandled: a face in the result that was not to be
changed and shows nobody who was. covered: a cover hides the face. struck out: a find that a person says is no face."""

Purification = Literal["vae", "noise"]
"""How a copy was purified. vae: encoded and decoded. noise: encoded, noise added, denoised in one step, and decoded."""

STRUCK_OUT: Status = "struck out"

SAFE: frozenset[Status] = frozenset({"anonymised", "covered", STRUCK_OUT})
"""Statuses of faces that may leave. Any other face is covered or blocks the run."""

AGE_STEP = 10
"""Years to which a change of age is rounded: about the difference between two estimates of one person's age."""

BAND = 1 << 22
"""Number of a picture's values that are converted at a time."""


@dataclass(frozen=True)
class FaceChange:
    """How a face changed from the original to the result; None for what the pack has no model of.

    Attributes:
        box_overlap: intersection over union of the boxes, in [0, 1].
        landmark_change: mean distance that the five landmarks moved, as a fraction of the distance between the eyes.
        yaw_change: of the head, degrees.
        pitch_change: of the head, degrees.
        roll_change: of the head, degrees.
        age_change: of the apparent age, years, to the nearest `AGE_STEP`. Anybody can estimate the result's age, so an
            exact difference would reveal the original's.
        sex_kept: whether the apparent sex is the same.
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
    """The verdict on one face.

    Attributes:
        status: one of `Status`.
        boxes: its places in pixels of the photograph: in the original, in the result, or both. A cover hides all.
        landmarks: five (x, y) for each box.
        similarity: largest cosine, by the checker, between a person who was to be changed and a face of the result;
            None if unmeasurable or unhandled.
        change: how the face changed; None if it was not found again.
        method: of its cover, "" if there is none.
        reason: of a status that is not safe, in a few words for people.
        left_out: whether the face was found in the original and not chosen to be changed. Only such an unhandled face
            may be kept as it is; any other was missed.
        retries: the scales that the sampler with retry tried on it, in order; () if unknown.
        under_cover: whether an anonymised face is hidden because covers of other faces hid much of it. Its own status
            says what became of it, and it does not count as covered.
        found: the face in the result, if nobody had found it in the original: what a second pass starts from.
        second_pass: whether it went through the graph after the others, because only an earlier check had found it.
        target: what the sampler with retry drew it towards; None for nobody, or if it is unknown.
        attempts: the temporary file with the pictures of `retries` that have one, from left to right, for the editor;
            None if there is none.
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
    under_cover: bool = False
    found: Detection | None = field(default=None, repr=False)
    second_pass: bool = False
    target: TargetUse | None = None
    attempts: Mapping[str, Any] | None = field(default=None, repr=False, compare=False)

    @property
    def said(self) -> str:
        """What became of it, for people: its status, and whether it lies under somebody else's cover."""
        return f"{self.status}, under a cover" if self.under_cover else self.status

    def may_stay(self, keep: bool) -> bool:
        """Whether the face may leave as it is.

        Args:
            keep: whether the user keeps faces that were not to be changed.
        """
        return self.status in SAFE or (keep and self.status == "unhandled" and self.left_out)


@dataclass(frozen=True, eq=False)
class Verdict:
    """The wire type REVERSE_IDENTITY_VERDICT.

    Attributes:
        images: for each result its faces: first those that were to be changed, in their order, then the unhandled.
        originals: `pixels_digest` of each original.
        results: `pixels_digest` of each result that was checked; a picture with another digest was not checked.
        threshold: cosine at or above which a face is recognisable.
        threshold_source: where the threshold comes from.
        guide: name of the pack whose embeddings guided.
        checker: name of the pack or file that checked.
        model_hashes: sha256 of the model files that took part, by a name without folders.
        decisions: what a person has decided about each result; () if nothing.
        purified: how copies of the results were purified that were looked at as well; None if there were none.
        previews: for each original the temporary file that the editor shows; () if there are none.
    """

    images: tuple[tuple[FaceVerdict, ...], ...]
    # Hidden from repr: when a node fails, the host writes its inputs into the error that it keeps and sends on.
    originals: tuple[str, ...] = field(repr=False)
    results: tuple[str, ...]
    threshold: float
    guide: str
    checker: str
    model_hashes: dict[str, str] = field(default_factory=dict)
    threshold_source: ThresholdSource = "unmeasured"
    decisions: tuple[Decisions, ...] = ()
    purified: Purification | None = None
    previews: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)

    def __iter__(self) -> Iterator[FaceVerdict]:
        """All faces of all results."""
        for image in self.images:
            yield from image

    @property
    def safe(self) -> bool:
        """Whether every face is anonymised or covered, or none by a person's decision."""
        return all(face.status in SAFE for face in self)


def said_number(value: float | None) -> float | None:
    """A similarity, or another number about a face, as results, reports and panels say it.

    Args:
        value: the number; None if there is none.

    Returns:
        Rounded to two decimals. More would be a fingerprint of the original: somebody with a candidate photograph could
        measure the same number against the result and compare. None for what is not finite, which JSON lacks.
    """
    return None if value is None or not math.isfinite(value) else round(value, 2)


def said_step(step: RetryStep) -> dict[str, Any]:
    """An attempt at a face, as results and reports list it."""
    return {"scale": step.scale, "similarity": said_number(step.similarity), "anonymised": step.anonymised}


def is_empty(faces: Iterable[FaceVerdict]) -> bool:
    """Whether a picture has no face: nothing was found, or a person struck out everything that was."""
    return all(face.status == STRUCK_OUT for face in faces)


def eight_bits(image: Tensor) -> NDArray[np.uint8]:
    """Convert an image to the 8-bit values that a file holds.

    Args:
        image: float [H, W, C] in [0, 1] (clipped).

    Returns:
        uint8 [H, W, C], rounded, contiguous.
    """
    # A photograph of 48 megapixels takes half a gigabyte, so intermediate values are computed for a few rows at a time.
    rows = max(1, BAND // max(1, image[0].numel()))
    bands = [band.float().clamp(0, 1).mul_(255).round_().to(torch.uint8).cpu() for band in image.detach().split(rows)]
    return np.ascontiguousarray(torch.cat(bands).numpy())


def pixels_digest(image: Tensor) -> str:
    """The sha256 of an image's shape and its `eight_bits`, in hexadecimal digits.

    Args:
        image: float [H, W, C] in [0, 1] (clipped).
    """
    levels = eight_bits(image)
    digest = hashlib.sha256(repr(levels.shape).encode())
    digest.update(levels.data)
    return digest.hexdigest()
