"""What every view of the pack's search finds in a picture, stored: so that weighing finds can be tried in seconds.

A picture's file is `finds/PACKAGE/PATH.npz` in the cache. It holds, of V views (the file calls them looks) and F
finds, in pixels of the picture:

    version, height, width, det_size    whole numbers
    pixels                              sha256 of the RGB pixels
    detector                            sha256 of the detector's file
    threshold                           lowest score that was kept
    look_size, look_turns               int [V], see `face_search.View`
    look_border, look_scale             float [V]; scale is detector pixels per picture pixel
    look_mirrored                       bool [V]
    look_tile                           int [V, 4], x0 y0 x1 y1; -1 where the whole picture is shown
    look_upright_plan                   bool [V], whether `search_plan` has the view
    look_first_plan                     bool [V], whether `turned_search_plan` has it: what Embed Faces does
                                        (`second_search_plan`, what Identity Check does, has all of them)
    boxes                               float32 [F, 4], x0 y0 x1 y1
    scores                              float32 [F]
    landmarks                           float32 [F, 5, 2]
    look                                int [F], the number of the view that made it
    cut                                 bool [F], whether an edge of its tile cuts it off

Finds of one view are suppressed among themselves as InsightFace does (the surest first, overlap 0.4), and of no two
views: taking those from a threshold on gives what the detector gives at that threshold.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import host
from .cache import cache, sha256
from .pictures import Picture

VERSION = 1

THRESHOLD = 0.05
"""Lowest score that is kept."""


@dataclass(frozen=True, eq=False)
class Finds:
    """A picture's file; see the module for what the arrays are."""

    height: int
    width: int
    det_size: int
    look_size: NDArray[Any]
    look_turns: NDArray[Any]
    look_border: NDArray[Any]
    look_scale: NDArray[Any]
    look_mirrored: NDArray[Any]
    look_tile: NDArray[Any]
    look_upright_plan: NDArray[Any]
    look_first_plan: NDArray[Any]
    boxes: NDArray[Any]
    scores: NDArray[Any]
    landmarks: NDArray[Any]
    look: NDArray[Any]
    cut: NDArray[Any]


def file_of(picture: Picture) -> Path:
    """Where a picture's finds are."""
    return cache().finds / f"{picture.path}.npz"


def read(picture: Picture) -> Finds:
    """A picture's finds.

    Raises:
        FileNotFoundError: they were not computed.
    """
    file = file_of(picture)
    if not file.is_file():
        raise FileNotFoundError(f"{file} is not there; run python -m lab.real finds")
    with np.load(file) as content:
        given = {name: content[name] for name in Finds.__dataclass_fields__}
    for name in ("height", "width", "det_size"):
        given[name] = int(given[name])
    return Finds(**given)


def write(pictures: Iterable[Picture]) -> Iterable[Path]:
    """Compute and store the finds of pictures; those that are there of the same pixels and detector stay.

    Args:
        pictures: that can be had.

    Yields:
        Each picture's file, once it is there.
    """
    detector = sha256(cache().detector)
    for picture in pictures:
        file, pixels = file_of(picture), picture.pixels()
        digest = hashlib.sha256(pixels.tobytes()).hexdigest()
        marks = {"version": VERSION, "threshold": THRESHOLD, "pixels": digest, "detector": detector}
        if not _is_of(file, marks):
            content: dict[str, Any] = {**marks, **_search(pixels)}
            file.parent.mkdir(parents=True, exist_ok=True)
            unfinished = file.with_name(file.name + ".unfinished")
            with unfinished.open("wb") as stream:
                np.savez_compressed(stream, **content)
            unfinished.rename(file)
        yield file


def _is_of(file: Path, marks: dict[str, Any]) -> bool:
    if not file.is_file():
        return False
    with np.load(file) as content:
        return all(name in content and content[name].item() == value for name, value in marks.items())


def _search(pixels: NDArray[np.uint8]) -> dict[str, Any]:
    insight, plans = host.module("host.insight"), host.module("reverse_personalization.geometry.face_search")
    pack, picture = host.detector(THRESHOLD), host.bgr(pixels)
    height, width = picture.shape[:2]
    size = host.DET_SIZE
    views = plans.second_search_plan(height, width, size)
    first, upright = plans.turned_search_plan(height, width, size), plans.search_plan(height, width, size)
    if missing := set(first) - set(views):
        raise RuntimeError(f"the second search lacks views of the first: {missing}; store both plans")
    boxes, landmarks, makers, cuts = [], [], [], []
    for number, view in enumerate(views):
        found, points = pack._detect(view, *insight._canvas(picture, view))
        boxes.append(found)
        landmarks.append(points)
        makers.append(np.full(len(found), number))
        cuts.append(view.cut_off(found, height, width))
    found = np.concatenate(boxes)
    return {
        "height": height,
        "width": width,
        "det_size": size,
        "look_size": np.array([view.size for view in views]),
        "look_turns": np.array([view.turns for view in views]),
        "look_border": np.array([view.border for view in views]),
        "look_scale": np.array([view.scale(height, width) for view in views]),
        "look_mirrored": np.array([view.mirrored for view in views]),
        "look_tile": np.array([view.tile or (-1,) * 4 for view in views]),
        "look_upright_plan": np.array([view in upright for view in views]),
        "look_first_plan": np.array([view in first for view in views]),
        "boxes": found[:, :4].astype(np.float32),
        "scores": found[:, 4].astype(np.float32),
        "landmarks": np.concatenate(landmarks).astype(np.float32),
        "look": np.concatenate(makers),
        "cut": np.concatenate(cuts),
    }
