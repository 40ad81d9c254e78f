"""Writes what is compared: originals, another picture of each person, and a folder of results for every method."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from harness.environment import ROOT
from miniature.files import whole_file
from miniature.layout import FACE_PACK
from miniature.workflow import FOUND_SCORE, SIDE
from reverse_personalization.assurance.covering import METHODS, Method, cover_
from reverse_personalization.assurance.verdict import eight_bits
from reverse_personalization.geometry.cover_outline import place_cover
from reverse_personalization.geometry.face_search import DEFAULT_DETECTOR_SIZE
from reverse_personalization.geometry.template import template_detection

from ..journal import JsonLines
from ..measure.journals import run_of
from ..measure.running import changed
from ..measure.targets import target_of
from ..measure.ways import Way
from ..measuring.host_run import Workflow
from ..measuring.people import draw_people, person_seed
from ..measuring.runs import note

ORIGINALS, GALLERY, RESULTS = Path("originals"), Path("gallery"), Path("results")
"""Folders of pictures below the output folder; RESULTS has one folder for each method."""

COVER_GROW = 0.0
"""How much larger than the head a cover is, as a fraction of the head."""


@dataclass(frozen=True)
class Plan:
    """What is drawn and run.

    Attributes:
        seed: of the people.
        faces: number of people, 2 or more.
        ways: of running the method.
        covers: methods of `covering` that serve as baselines.
        models: folder in ComfyUI's layout.
    """

    seed: int
    faces: int
    ways: tuple[Way, ...]
    covers: tuple[Method, ...] = METHODS
    models: Path = ROOT / "miniature" / "weights"

    def __post_init__(self) -> None:
        if self.faces < 2:
            raise ValueError(f"faces is {self.faces}; expected 2 or more, because strangers are compared")

    @property
    def methods(self) -> tuple[str, ...]:
        """Names of all methods, and of their folders."""
        return tuple(folder_name(way.name) for way in self.ways) + self.covers


def folder_name(way: str) -> str:
    """A way's name as the name of a folder."""
    return way.replace(":", "_")


def file_name(person: int) -> str:
    """Name of every picture of a person."""
    return f"person-{person:04d}.png"


def write_pictures(plan: Plan, out: Path) -> None:
    """Write all pictures that are not there yet. A run that was stopped continues.

    Args:
        plan: what to draw and run.
        out: folder to write to.

    Raises:
        FileNotFoundError: a model is missing.
        SetupError: there is no ComfyUI.
        ValueError: the folder holds pictures of another seed, code or models.
    """
    out.mkdir(parents=True, exist_ok=True)
    journal = JsonLines(out / "pictures.jsonl", run_of(plan.seed, plan.models))
    done = {(person, method) for person, method in journal.entries() if (out / RESULTS / method).is_dir()}
    left = [
        (person, missing)
        for person in range(plan.faces)
        if (missing := [method for method in plan.methods if (person, method) not in done])
    ]
    if not left:
        return
    people = draw_people(plan.seed, plan.faces, SIDE)
    for person in range(plan.faces):
        _save(people.pictures[person], out / ORIGINALS / file_name(person))
        _save(people.gallery[person], out / GALLERY / file_name(person))
    workflow = Workflow(plan.models)
    pack = workflow.face_pack(FACE_PACK.name)
    ways = {folder_name(way.name): way for way in plan.ways}
    for person, missing in left:
        picture = people.pictures[person]
        for method in missing:
            if method in ways:
                way, seed = ways[method], person_seed(plan.seed, person)
                faces = workflow.embed(picture[None])
                others = workflow.embed(people.pictures[[(person + 1) % plan.faces]])
                target = target_of(workflow, faces, others, way, seed)
                edited = changed(workflow, way, workflow.encode(picture[None]), faces, seed, target)
                made = workflow.decode(edited)[0]
            else:
                made = _covered(pack, picture, next(cover for cover in plan.covers if cover == method))
            _save(made, out / RESULTS / method / file_name(person))
            journal.append([person, method])
        note(f"{person + 1} of {plan.faces} people")


def _covered(pack: Any, picture: NDArray[np.uint8], method: Method) -> NDArray[np.uint8]:
    bgr = np.ascontiguousarray(picture[..., ::-1])
    found = [face for face in pack.search(bgr, DEFAULT_DETECTOR_SIZE) if face.score >= FOUND_SCORE]
    height, width = picture.shape[:2]
    # An aligned crop always shows the face; where the detector misses it, it is where the alignment puts it.
    face = max(found, key=lambda one: one.area, default=template_detection(height, width))
    image = torch.from_numpy(picture.astype(np.float32) / 255)
    cover_(image, place_cover((face.box,), (face.landmarks,), height, width, COVER_GROW), method)
    return eight_bits(image)


def _save(picture: NDArray[np.uint8], file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(file) as stream:
        Image.fromarray(picture).save(stream, "PNG")
