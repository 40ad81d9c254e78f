"""Generates all pictures of a measurement in batches; all scales of a batch share one trajectory."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from miniature.workflow import SIDE

from .host_run import Workflow, chosen
from .people import People, Pictures, draw_large
from .settings import GENERATED_PEOPLE, KEEP_AGE_AND_SEX, LARGE_SIDE, Settings

Key = TypeVar("Key")


@dataclass(frozen=True, eq=False)
class Anonymised:
    """Results for all people.

    Attributes:
        own: pictures by guidance scale, guided by the person's own embedding.
        pasted: results at scale 0 and at the default scale, pasted over the originals as in a photograph.
        stranger: pictures by guidance scale, guided by another person's embedding.
        round_trip: the originals after the VAE alone.
        latent_difference: largest absolute difference between a latent and its reconstruction at scale 0.
        missed: number of pictures without a detected face, for which standard landmarks were used.
    """

    own: dict[float, Pictures]
    pasted: dict[float, Pictures]
    stranger: dict[float, Pictures]
    round_trip: Pictures
    latent_difference: float
    missed: int


@dataclass(frozen=True, eq=False)
class Asked:
    """Results for the first people, with requested attributes.

    Attributes:
        anonymised: pictures at the default scale by request.
        text_only: pictures at scale 0 by request.
        kept: pictures at the default scale that keep age and sex.
    """

    anonymised: dict[str, Pictures]
    text_only: dict[str, Pictures]
    kept: Pictures


def note(text: str) -> None:
    """Report progress on standard error."""
    print(f"[{time.strftime('%H:%M:%S')}] {text}", file=sys.stderr, flush=True)


def anonymise(workflow: Workflow, people: People, settings: Settings) -> Anonymised:
    """Run the sweep with each person's own embedding, and the control with that of the person half the list away."""
    count = len(people.pictures)
    faces = _embed_all(workflow, people.pictures, settings.batch)
    missed = sum(face.score == 0 for face in faces)
    own: dict[float, list[Pictures]] = {scale: [] for scale in settings.scales}
    pasted: dict[float, list[Pictures]] = {scale: [] for scale in (0.0, settings.default_scale)}
    stranger: dict[float, list[Pictures]] = {scale: [] for scale in settings.control_scales}
    round_trip: list[Pictures] = []
    largest = 0.0
    for rows in _batches(count, settings.batch):
        latent = workflow.encode(people.pictures[rows])
        round_trip.append(workflow.decode(latent))
        trajectory = workflow.invert(latent, settings.steps, settings.denoise, settings.seed)
        guides = chosen(faces, rows)
        others = chosen(faces, [(row + count // 2) % count for row in rows])
        for scale in settings.scales:
            result = workflow.regenerate(trajectory, guides, scale)
            own[scale].append(workflow.decode(result))
            if scale in pasted:
                pasted[scale].append(workflow.paste(people.pictures[rows], guides, own[scale][-1]))
            if scale == 0:
                difference = torch.abs(result["samples"] - latent["samples"]).max()
                largest = max(largest, float(difference))
        for scale in settings.control_scales:
            stranger[scale].append(workflow.decode(workflow.regenerate(trajectory, others, scale)))
        note(f"guidance: {rows[-1] + 1} of {count} people")
    return Anonymised(_joined(own), _joined(pasted), _joined(stranger), np.concatenate(round_trip), largest, missed)


def ask(workflow: Workflow, people: People, settings: Settings) -> Asked:
    """Run every request for the first `settings.asked` people, with and without anonymisation."""
    pictures = people.pictures[: settings.asked]
    anonymised: dict[str, list[Pictures]] = {request.name: [] for request in settings.requests}
    text_only: dict[str, list[Pictures]] = {request.name: [] for request in settings.requests}
    kept: list[Pictures] = []
    for rows in _batches(len(pictures), settings.batch):
        faces = workflow.embed(pictures[rows])
        trajectory = workflow.invert(workflow.encode(pictures[rows]), settings.steps, settings.denoise, settings.seed)
        for request in settings.requests:
            text = workflow.text(request.inputs)
            for scale, results in ((settings.default_scale, anonymised), (0.0, text_only)):
                results[request.name].append(workflow.decode(workflow.regenerate(trajectory, faces, scale, text)))
        text = workflow.text(KEEP_AGE_AND_SEX, faces)
        kept.append(workflow.decode(workflow.regenerate(trajectory, faces, settings.default_scale, text)))
        note(f"attributes: {rows[-1] + 1} of {len(pictures)} people")
    return Asked(_joined(anonymised), _joined(text_only), np.concatenate(kept))


def generate(workflow: Workflow, settings: Settings) -> Pictures:
    """Generate `settings.generated` pictures from noise and text."""
    kinds = np.arange(settings.generated) % len(GENERATED_PEOPLE)
    pictures = []
    for kind, inputs in enumerate(GENERATED_PEOPLE):
        count = int((kinds == kind).sum())
        if count:
            seed = settings.seed * len(GENERATED_PEOPLE) + kind
            pictures.append(
                workflow.generate(inputs, count, SIDE, settings.generation_steps, settings.generation_cfg, seed)
            )
    note(f"generation: {settings.generated} pictures")
    return np.concatenate(pictures)


def large_round_trip(workflow: Workflow, settings: Settings) -> tuple[Pictures, Pictures]:
    """Draw large portraits; return them before and after the VAE."""
    before = draw_large(settings.seed, settings.large, LARGE_SIDE)
    after = [workflow.decode(workflow.encode(before[rows])) for rows in _batches(len(before), settings.batch)]
    note(f"VAE: {len(before)} pictures of {LARGE_SIDE} px")
    return before, np.concatenate(after)


def _embed_all(workflow: Workflow, pictures: Pictures, batch: int) -> Any:
    """Embed all pictures; return their FACES."""
    parts = [workflow.embed(pictures[rows]) for rows in _batches(len(pictures), batch)]
    return replace(parts[0], images=tuple(image for part in parts for image in part.images))


def _batches(count: int, size: int) -> Iterator[NDArray[np.int64]]:
    for start in range(0, count, size):
        yield np.arange(start, min(count, start + size))


def _joined(parts: dict[Key, list[Pictures]]) -> dict[Key, Pictures]:
    return {key: np.concatenate(pictures) for key, pictures in parts.items()}
