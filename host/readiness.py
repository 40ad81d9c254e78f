"""What this server can say about whether it is ready for a workflow: model files, recognisers, disk and memory.

Names are those of files below the host's model folders; nothing here tells where these folders are, or anything of a
photograph.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import folder_paths

from ..reverse_personalization.assurance.operating_point import known_thresholds, threshold_words
from ..reverse_personalization.assurance.project import project_value
from ..reverse_personalization.geometry.faces import DEFAULT_THRESHOLD, EMBEDDING_WIDTH
from .checker import checker_names, open_recogniser, point_file
from .insight import FacePack, load_pack
from .kept_files import PHOTOGRAPHS, RESULTS
from .model_folders import INSIGHTFACE_FOLDER
from .model_hashes import file_sha256, files_named

PLACE = f"models/{INSIGHTFACE_FOLDER}/models"
"""Where recognisers belong, as people are told."""


@dataclass(frozen=True)
class Question:
    """What somebody wants to know.

    Attributes:
        words: that may be names of model files, as they stand in a workflow.
        guides: names of face packs that guide the change.
        checkers: names of recognisers that judge it.
        provider: that all of these are asked to run on, "auto" or a key of `face_packs.PROVIDERS`.
    """

    words: tuple[str, ...]
    guides: tuple[str, ...]
    checkers: tuple[str, ...]
    provider: str


def answer(question: Question) -> dict[str, Any]:
    """Answer a question; docs/api.md describes the object. Reading large files for their sha256 takes minutes."""
    guides = {name: _guide(name, question.provider) for name in question.guides}
    packs = [pack for pack in guides.values() if isinstance(pack, FacePack)]
    detecting = packs[0] if packs else None
    checkers = {name: _checker(name, question.provider, detecting) for name in question.checkers}
    return {
        "pack": project_value("version"),
        "files": [_file(name, Path(path)) for name, path in files_named(question.words).items()],
        "guides": [_described(name, found, _nothing) for name, found in guides.items()],
        "checkers": [_described(name, found, _thresholds) for name, found in checkers.items()],
        "disk_free": {
            "temporary": shutil.disk_usage(_existing(folder_paths.get_temp_directory())).free,
            "output": shutil.disk_usage(_existing(folder_paths.get_output_directory())).free,
        },
        "room": {"photographs": PHOTOGRAPHS.room(), "results": RESULTS.room()},
    }


def _guide(name: str, provider: str) -> FacePack | str:
    """The pack, or what is wrong with it."""
    return _tried(name, lambda: load_pack(name, provider, DEFAULT_THRESHOLD, EMBEDDING_WIDTH))


def _checker(name: str, provider: str, detecting: FacePack | None) -> FacePack | str:
    return _tried(name, lambda: open_recogniser(name, provider, DEFAULT_THRESHOLD, detecting))


def _tried(name: str, load: Callable[[], FacePack]) -> FacePack | str:
    # Only names that the nodes offer: no other name leads out of the folders.
    if name not in checker_names():
        return f"it is not installed: put it into {PLACE}"
    try:
        return load()
    except (OSError, RuntimeError, ValueError) as error:
        return _without_places(error)


def _described(name: str, found: FacePack | str, more: Callable[[FacePack, str], dict[str, Any]]) -> dict[str, Any]:
    """What there is to say of a recogniser; `more` is given the pack and the sha256 of its recogniser."""
    if isinstance(found, str):
        return {"name": name, "fault": found}
    models = [found.recogniser, found.detector, found.genderage, found.landmarker]
    try:
        files = [_file(_name(model.file), model.file) for model in models if model is not None]
        return {
            "name": name,
            "fault": None,
            "files": files,
            "recogniser": files[0],
            "provider": found.detector.tried_provider(),
            **more(found, files[0]["sha256"]),
        }
    except (OSError, RuntimeError, ValueError) as error:
        return {"name": name, "fault": _without_places(error)}


def _nothing(pack: FacePack, sha256: str) -> dict[str, Any]:
    return {}


def _thresholds(pack: FacePack, sha256: str) -> dict[str, Any]:
    found = known_thresholds(point_file(pack), sha256)
    return {"thresholds": {**asdict(found), "words": threshold_words(found.source)}}


def _file(name: str, path: Path) -> dict[str, Any]:
    sha256 = file_sha256(path, between=_wait_for_nobody)
    return {"name": name, "bytes": path.stat().st_size, "sha256": sha256}


def _wait_for_nobody() -> None:
    """Not even an interrupt, which is for the run that the host is working on."""


def _name(file: Path) -> str:
    """A face model's name below the folder for them."""
    for root in folder_paths.get_folder_paths(INSIGHTFACE_FOLDER):
        if file.is_relative_to(root):
            return f"{INSIGHTFACE_FOLDER}/{file.relative_to(root).as_posix()}"
    return f"{INSIGHTFACE_FOLDER}/{file.name}"


def _existing(folder: str) -> Path:
    """The folder or the nearest one above it that is there: the host makes its temporary one when it needs it."""
    path = Path(folder)
    return next(place for place in (path, *path.parents) if place.exists())


def _without_places(error: Exception) -> str:
    """What an error says, in one line, without the path of a folder."""
    if isinstance(error.__cause__, ImportError):
        # It names files of the server's Python.
        return "InsightFace or ONNX Runtime cannot be imported: run install.py of the pack with ComfyUI's Python"
    words = str(error)
    for root in sorted(map(str, folder_paths.get_folder_paths(INSIGHTFACE_FOLDER)), key=len, reverse=True):
        for place in (root, str(Path(root).resolve())):
            words = words.replace(place, f"models/{INSIGHTFACE_FOLDER}")
    return " ".join(words.split())
