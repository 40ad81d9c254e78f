"""Faces at several scales, side by side, and how similar each still is to the original."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import comfy.model_management
import comfy.utils
import torch
from torch import Tensor

from ..reverse_personalization.assurance.checking import Checker
from ..reverse_personalization.assurance.operating_point import judge_similarity
from ..reverse_personalization.assurance.verdict import said_number
from ..reverse_personalization.geometry.cropping import EMPTY_LEVEL
from .insight import to_picture
from .progress import say_progress
from .retry import RetryTask, attempt_words


class ScalePoint(NamedTuple):
    """What one scale makes of the faces.

    Attributes:
        scale: of the guidance; 0 is what the autoencoder alone makes of them.
        similarities: cosine of each face with its original; None where it could not be measured.
    """

    scale: float
    similarities: tuple[float | None, ...]


class ScaleSweep(NamedTuple):
    """Faces at several scales.

    Attributes:
        strips: float [F, H, W * (1 + S), 3], for each face its crop and after it what each of S scales makes of it.
        points: scale 0 and the scales, from the weakest.
    """

    strips: Tensor
    points: tuple[ScalePoint, ...]


def swept(task: RetryTask, samples: Tensor, scales: Sequence[float], judge: Checker) -> ScaleSweep:
    """Generate every face at every scale, and compare it with its crop.

    Args:
        task: what is generated.
        samples: the encoded crops, as ComfyUI's LATENT holds them.
        scales: weakest first.
        judge: compares.

    Raises:
        ValueError: the checker's recogniser is the guide's, or tells nobody apart.
    """
    everyone = tuple(task.faces)
    befores = [to_picture(crop) for crop in task.crops]
    originals = [judge.original(before, face) for before, face in zip(befores, everyone, strict=True)]
    rows = range(len(everyone))
    progress = comfy.utils.ProgressBar(len(scales) * task.steps)
    grey = torch.full((*task.crops.shape[1:3], 3), EMPTY_LEVEL)

    def measured(scale: float, crops: Sequence[Tensor]) -> ScalePoint:
        similarities = []
        for row, crop in zip(rows, crops, strict=True):
            comfy.model_management.throw_exception_if_processing_interrupted()
            say_progress(f"checking face {row + 1} of {len(everyone)}, scale {scale:g}")
            finite = bool(torch.isfinite(crop).all())
            similarities.append(judge.similarity_of_crop(originals[row], to_picture(crop)) if finite else None)
        return ScalePoint(scale, tuple(similarities))

    def generated(scale: float) -> Tensor:
        def stepped(step: int, denoised: Tensor, y: Tensor, steps: int) -> None:
            progress.update(1)
            say_progress(f"{attempt_words(rows, len(everyone), scales, scale)}, step {step + 1} of {steps}")

        return task.generate(rows, scale, stepped)

    points = [measured(0.0, _pictures(task.vae.decode(samples)))]
    shown = [_pictures(task.crops)]
    for scale in scales:
        crops = _pictures(generated(scale))
        points.append(measured(scale, crops))
        shown.append([crop if torch.isfinite(crop).all() else grey for crop in crops])
    progress.update_absolute(progress.total)
    strips = torch.stack([torch.cat([crops[row] for crops in shown], dim=1) for row in rows])
    return ScaleSweep(strips.to(comfy.model_management.intermediate_device()), tuple(points))


def _pictures(batch: Tensor) -> list[Tensor]:
    return [one[..., :3].expand(-1, -1, 3).float().cpu() for one in batch]


def first_enough(points: Sequence[ScalePoint], face: int, threshold: float) -> float | None:
    """The weakest scale at which a face is not recognisable, and at no stronger one either; None if there is none.

    Args:
        points: from the weakest scale.
        face: its number from 0.
        threshold: cosine at or above which a face is recognisable.
    """
    enough = None
    for point in reversed(points):
        if judge_similarity(point.similarities[face], threshold) != "anonymised":
            break
        enough = point.scale
    return enough


def sweep_report(points: Sequence[ScalePoint], judge: Checker) -> str:
    """The report: one line for each face."""
    lines = [f"checked by {judge.name} on {judge.recogniser.provider}, recognisable at or above {judge.threshold:.2f}"]
    for face in range(len(points[0].similarities)):
        told = ", ".join(f"{point.scale:g}: {_said(point.similarities[face])}" for point in points)
        enough = first_enough(points, face, judge.threshold)
        verdict = "recognisable at every scale" if enough is None else f"not recognised from {enough:g} on"
        lines.append(f"face {face + 1}: {verdict} ({told})")
    return "\n".join(lines)


def _said(similarity: float | None) -> str:
    return "not measurable" if similarity is None else f"{similarity:.2f}"


def curve(points: Sequence[ScalePoint], threshold: float, **about: str | None) -> dict[str, Any]:
    """What was measured, for the editor to draw and to remember. It says nothing of the picture.

    Args:
        points: from the weakest scale.
        threshold: cosine at or above which a face is recognisable.
        about: what else to say: texts by key.

    Returns:
        `about`, "threshold", and "points", each with "scale" and "similarities" (to two decimals, or None).
    """
    rounded = [
        {"scale": point.scale, "similarities": [said_number(one) for one in point.similarities]} for point in points
    ]
    return {**about, "threshold": threshold, "points": rounded}
