"""Retrying: faces that are not yet anonymised, and only those, are generated again at a stronger scale."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from ..method.target import TargetUse
from .operating_point import judge_similarity

PASTING_MARGIN = 0.06
"""How far below the threshold a face should be in its crop: in its photograph it has other surroundings and another
sharpness. In 20 hostile photographs, 4 of 41 faces rose from 0.44 to 0.50 in the crop to 0.51 to 0.54 in the
photograph, with the threshold in between; of small faces, some rose by 0.3."""

PLACED_MARGIN = 0.02
"""How far below the threshold a face should be that was judged in its photograph: its neighbours are pasted later."""

RESPONSE_CAUTION = 0.8
"""Part of the suggested scale (`suggested_scale`) from which a scale is tried. In 7 rendered group photographs with 29
faces (ordinary ones of seed 82) 8 generations at scales that were not enough would have been skipped, and none that
was."""

ATTEMPT_SIDE = 160
"""Side of an attempt's small picture, pixels."""

LEAST_RESPONSE = 0.05
"""How much less than 1 a similarity must be to tell how a face responds: less may be the crop's own round trip."""

Generate = Callable[[Sequence[int], float], Tensor]
"""(numbers of faces from 0, scale) -> their crops, float [F, H, W, 3]."""

Measure = Callable[[int, Tensor], "float | None"]
"""(number of a face from 0, its crop [H, W, 3]) -> cosine with its original, None if it cannot be measured."""

Confirm = Callable[[Sequence["Tensor | None"], Sequence[int]], Sequence["float | None"]]
"""(crops of all faces [H, W, 3], numbers of some) -> cosines of these with their originals, once all are pasted."""


@dataclass(frozen=True)
class RetryStep:
    """The result of generating one face at one scale.

    Attributes:
        scale: of the guidance.
        finite: whether all pixels of the crop are finite.
        similarity: cosine with the original; None if it could not be measured.
        anonymised: whether it was measured and is below the threshold.
        picture: what came out, for people to look at: uint8 [S, S, 3] with S at most ATTEMPT_SIDE; None if it is not
            finite or unknown. It may show the person.
        kept: whether this is the result that is passed on.
    """

    scale: float
    finite: bool
    similarity: float | None
    anonymised: bool
    # Hidden from repr: when a node fails, the host writes its inputs into the error that it keeps and sends on.
    picture: NDArray[np.uint8] | None = field(default=None, repr=False, compare=False)
    kept: bool = field(default=False, compare=False)

    def __str__(self) -> str:
        if not self.finite:
            return f"{self.scale:g}: not finite"
        if self.similarity is None:
            return f"{self.scale:g}: not measurable"
        return f"{self.scale:g}: similarity {self.similarity:.2f}"


@dataclass(frozen=True, eq=False)
class RetryOutcome:
    """The result of retrying one face.

    Attributes:
        retries: one for each scale tried, in order; only the last can be clearly anonymised.
        crop: the crop that is passed on, [H, W, 3]; None if none was finite.
        kept: number of the retry that made this crop; None if none was finite.
    """

    retries: tuple[RetryStep, ...]
    crop: Tensor | None = field(repr=False)
    kept: int | None

    @property
    def anonymised(self) -> bool:
        """Whether the crop was measured and is below the threshold."""
        return self.kept is not None and self.retries[self.kept].anonymised

    def __str__(self) -> str:
        tried = ", ".join(map(str, self.retries))
        if self.kept is None:
            kept = "a grey crop is passed on"
        else:
            kept = f"the result at {self.retries[self.kept].scale:g} is passed on"
        if self.anonymised:
            return f"anonymised ({tried})" if self.kept == len(self.retries) - 1 else f"anonymised ({tried}); {kept}"
        return f"NOT anonymised ({tried}); {kept}: Identity Check will find it, and Cover Faces must cover it"


@dataclass(frozen=True, eq=False)
class Retries:
    """The wire type REVERSE_IDENTITY_RETRIES: the scales tried on each face, for the report beside the picture.

    Attributes:
        embeddings: float32 [F, 512] of the generated faces. They identify these faces among those of the photographs,
            because the crops are unknown there.
        tried: the retries of each face, in order.
        target: what the faces were drawn towards; None for nobody.
    """

    embeddings: Tensor = field(repr=False)
    tried: tuple[tuple[RetryStep, ...], ...]
    target: TargetUse | None = None

    def of(self, embeddings: Tensor) -> list[tuple[RetryStep, ...]]:
        """Assign the retries to the faces of the photographs.

        Args:
            embeddings: float32 [N, 512] of all faces of the photographs, equal bit for bit to those of the crops.

        Returns:
            The retries of each face; () if it was not generated. Faces with equal embeddings, as in two copies of a
            photograph, get theirs in order.

        Raises:
            ValueError: the retries include a face that is not among these.
        """
        left = list(range(len(self.tried)))
        found = []
        for embedding in embeddings:
            number = next((number for number in left if torch.equal(self.embeddings[number], embedding)), None)
            found.append(() if number is None else self.tried[number])
            if number is not None:
                left.remove(number)
        if left:
            raise ValueError(
                f"the retries are of {len(self.tried)} faces, {len(left)} of which are not among the "
                f"{len(embeddings)} checked; connect the retries of the sampler that changed these faces, or leave the "
                "input unconnected"
            )
        return found


def parse_scales(text: str) -> tuple[float, ...]:
    """Read a list of scales, the weakest first.

    Args:
        text: negative numbers separated by commas, each below the one before: "-10, -14, -20".

    Raises:
        ValueError: `text` is not such a list.
    """
    parts = text.split(",")
    try:
        scales = tuple(float(part) for part in parts)
    except ValueError:
        scales = ()
    falling = all(after < before for before, after in zip((0.0, *scales), scales, strict=False))
    if not scales or not all(map(math.isfinite, scales)) or not falling:
        raise ValueError(
            f'the scales are "{text}"; expected negative numbers separated by commas, the weakest first and each '
            'further below 0 than the one before, such as "-10, -14, -20"'
        )
    return scales


def retry_faces(
    count: int,
    scales: Sequence[float],
    generate: Generate,
    similarity: Measure,
    threshold: float,
    margin: float = PASTING_MARGIN,
    confirm: Confirm | None = None,
    hopeless: Callable[[int], bool] = lambda row: False,
) -> list[RetryOutcome]:
    """Generate all faces at the first scale, and those that are not anonymised yet at further ones.

    A face goes on to the next scale that is near what its last similarity suggests (`suggested_scale`), so that a face
    which hardly changed does not climb through scales that cannot be enough. Where that leaves no face to measure, the
    scales that were skipped are tried, the strongest first.

    Args:
        count: number of faces.
        scales: one or more, the weakest first.
        generate: called for a scale with all faces that are due at it, in order.
        similarity: called once for each finite crop.
        threshold: cosine at or above which a face is recognisable.
        margin: how far below the threshold a face must be; until then stronger scales are tried.
        confirm: called when no face is left, with those that are anonymised: a face that is not, once all are pasted,
            goes on to stronger scales; None trusts `similarity`.
        hopeless: called with the number of a face that could not be measured: whether the original cannot be measured
            either, so that no scale is enough and none further is tried.

    Returns:
        One outcome for each face, in order.
    """
    attempts = [_Attempts() for _ in range(count)]
    while True:
        number = min(face.due for face in attempts) if attempts else len(scales)
        if number < len(scales):
            _generate_due(attempts, scales, number, generate, similarity, threshold, margin, hopeless)
        elif confirm is None or not _sent_back(attempts, scales, confirm, threshold, margin):
            return [face.outcome() for face in attempts]


@dataclass(eq=False)
class _Attempts:
    """What was tried on one face.

    Attributes:
        due: number of the scale to try next; the number of scales if none.
        retries, crop, kept: as in `RetryOutcome`.
    """

    due: int = 0
    retries: list[RetryStep] = field(default_factory=list)
    crop: Tensor | None = None
    kept: int | None = None

    def outcome(self) -> RetryOutcome:
        """What came of it."""
        retries = tuple(replace(step, kept=number == self.kept) for number, step in enumerate(self.retries))
        return RetryOutcome(retries, self.crop, self.kept)


def _generate_due(
    attempts: Sequence[_Attempts],
    scales: Sequence[float],
    number: int,
    generate: Generate,
    similarity: Measure,
    threshold: float,
    margin: float,
    hopeless: Callable[[int], bool],
) -> None:
    """Generate the faces that are due at the scale with this number."""
    rows = [row for row, face in enumerate(attempts) if face.due == number]
    for row, crop in zip(rows, generate(rows, scales[number]), strict=True):
        face = attempts[row]
        finite = bool(torch.isfinite(crop).all())
        cosine = similarity(row, crop) if finite else None
        anonymised = judge_similarity(cosine, threshold) == "anonymised"
        step = RetryStep(scales[number], finite, cosine, anonymised, small_picture(crop) if finite else None)
        if finite and _is_better(step, None if face.kept is None else face.retries[face.kept]):
            face.crop, face.kept = crop, len(face.retries)
        face.retries.append(step)
        enough = _clearly_anonymised(step, threshold, margin) or (finite and cosine is None and hopeless(row))
        face.due = len(scales) if enough else _next_due(face.retries, step, scales, threshold - margin)


def small_picture(crop: Tensor) -> NDArray[np.uint8]:
    """A crop as people look at it.

    Args:
        crop: float [H, W, C] in [0, 1] (clipped), finite; C is 1, 3 or 4.

    Returns:
        uint8 [h, w, 3], the longer side at most ATTEMPT_SIDE.
    """
    height, width = crop.shape[:2]
    scale = min(1.0, ATTEMPT_SIDE / max(height, width))
    size = [max(1, round(scale * side)) for side in (height, width)]
    planes = crop[..., :3].expand(-1, -1, 3).float().clamp(0, 1).movedim(-1, 0)[None]
    small = interpolate(planes, size, mode="area")[0].movedim(0, -1)
    levels: NDArray[np.uint8] = (255 * small).round().to(torch.uint8).cpu().numpy()
    return levels


def _sent_back(
    attempts: Sequence[_Attempts], scales: Sequence[float], confirm: Confirm, threshold: float, margin: float
) -> bool:
    """Look at the anonymised faces once all are pasted; return whether one of those that are not has scales left."""
    rows = [row for row, face in enumerate(attempts) if face.kept is not None and face.retries[face.kept].anonymised]
    cosines = confirm([face.crop for face in attempts], rows) if rows else ()
    for row, cosine in zip(rows, cosines, strict=True):
        face = attempts[row]
        if face.kept is not None and judge_similarity(cosine, threshold) != "anonymised":
            refused = replace(face.retries[face.kept], similarity=cosine, anonymised=False)
            face.retries[face.kept] = refused
            face.due = _next_due(face.retries, refused, scales, threshold - margin)
    return any(face.due < len(scales) for face in attempts)


def suggested_scale(step: RetryStep, target: float) -> float:
    """The scale at which a face's similarity would reach a target if it fell evenly from 1 at scale 0.

    Args:
        step: at a scale below 0.
        target: cosine below 1.

    Returns:
        The scale; that of the step if it tells nothing: nothing was measured, or the similarity fell by less than
        LEAST_RESPONSE.
    """
    if step.similarity is None or not step.similarity <= 1 - LEAST_RESPONSE:
        return step.scale
    return step.scale * (1 - target) / (1 - step.similarity)


def _next_due(tried: Sequence[RetryStep], step: RetryStep, scales: Sequence[float], target: float) -> int:
    """Number of the scale to try next; the number of scales if nothing is left to try.

    Args:
        tried: all steps so far, the last of which was not enough.
        step: the one that tells how the face responds.
        scales: one or more, the weakest first.
        target: cosine that is aimed at.
    """
    done = {scales.index(one.scale) for one in tried}
    last = scales.index(tried[-1].scale)
    left = [number for number in range(len(scales)) if number not in done]
    skipped, later = [number for number in left if number < last], [number for number in left if number > last]
    if step.similarity is None and skipped:
        # So strong a scale leaves no face; a weaker one may leave a face and be enough.
        return skipped[-1]
    enough = RESPONSE_CAUTION * suggested_scale(step, target)
    near_enough = (number for number in later if scales[number] <= enough)
    # Nothing is given up before the strongest scale was tried.
    return next(near_enough, later[-1] if later else len(scales))


def _is_better(step: RetryStep, before: RetryStep | None) -> bool:
    """Whether a finite crop takes the place of an earlier one.

    A stronger scale may leave no face at all. That must not take the place of a face that nobody recognises.
    """
    if before is None or not before.anonymised or before.similarity is None:
        return True
    return step.anonymised and step.similarity is not None and step.similarity <= before.similarity


def _clearly_anonymised(step: RetryStep, threshold: float, margin: float) -> bool:
    """Whether a face stays anonymised even if its similarity rises by the margin."""
    if step.similarity is None:
        return False
    return judge_similarity(step.similarity + margin, threshold) == "anonymised"
