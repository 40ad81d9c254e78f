"""Find and open the checker, a second recogniser that decides whether a person is still recognisable.

The guide cannot check its own work: a recogniser whose file made the guiding embeddings is refused.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import folder_paths

from ..reverse_personalization.assurance.checking import Checker, same_recogniser
from ..reverse_personalization.assurance.operating_point import Thresholds, known_thresholds, operating_point_file
from ..reverse_personalization.errors import MissingModelError
from ..reverse_personalization.geometry.faces import EMBEDDING_WIDTH
from .face_packs import EXPECTED_RECOGNISER, find_pack, installed_packs
from .insight import FacePack, load_pack, read_pack
from .model_folders import INSIGHTFACE_FOLDER
from .model_hashes import file_sha256
from .sessions import FaceModel, face_model

DEFAULT_CHECKER = "antelopev2"
"""InsightFace's other published pack: its recogniser is neither buffalo_l's nor trained on the same pictures."""

SINGLE_FILE = ".onnx"
"""How the name of a recogniser ends that is a single file, not a pack."""


def checker_names() -> list[str]:
    """Names that `open_checker` takes: installed packs, and recogniser files beside the packs' folders.

    `DEFAULT_CHECKER` is listed even if it is not installed: the run then says what is missing and where.
    """
    files = {file.name for folder in _models_folders() for file in folder.glob(f"*{SINGLE_FILE}") if file.is_file()}
    return sorted({DEFAULT_CHECKER, *installed_packs()}) + sorted(files)


def checker_fault(name: str, guides: Collection[str]) -> str:
    """Why a checker cannot be used, as far as it can be told without opening a file; "" if nothing speaks against it.

    Args:
        name: of the checker.
        guides: names of the packs whose embeddings guide.
    """
    names = checker_names()
    if name not in names:
        return f'the checker "{name}" is not installed; expected one of {", ".join(names)}'
    if name in guides:
        return same_recogniser(name, name)
    try:
        # Files are listed only if they are there; the default pack is listed in any case.
        if not name.endswith(SINGLE_FILE):
            find_pack(name)
    except FileNotFoundError as error:
        return str(error)
    return ""


def open_checker(name: str, provider: str, threshold: float, det_threshold: float, guide: str) -> Checker:
    """Open a checker.

    Args:
        name: as `checker_names` lists it: a pack's folder, or an ONNX file of a recogniser of 112x112 crops, which then
            uses the guide's detector. The embedding may have any width.
        provider: "auto" or a key of `PROVIDERS`.
        threshold: cosine at or above which two faces count as one person's; 0 takes what `known_thresholds` knows.
        det_threshold: lowest score of a face, in [0, 1].
        guide: name of the pack whose embeddings guided (`Faces.model_pack`).

    Raises:
        FileNotFoundError: the pack, its detector or recogniser, or the file is missing.
        RuntimeError: InsightFace cannot be imported, or a file cannot be used.
        ValueError: a threshold is out of range, the provider is not available, the file is not such a recogniser or
            is the guide's own, or the operating point beside it is invalid.
    """
    if not 0 <= threshold <= 1:
        raise ValueError(
            f"the threshold is {threshold:g}; expected a cosine up to 1, or 0 for the value known for the checker"
        )
    guiding = load_pack(guide, provider, det_threshold, EMBEDDING_WIDTH)
    pack = guiding if name == guide else open_recogniser(name, provider, det_threshold, guiding)
    sha256 = file_sha256(pack.recogniser.file)
    if sha256 == file_sha256(guiding.recogniser.file):
        raise ValueError(same_recogniser(name, guide))
    if threshold:
        thresholds = Thresholds(threshold, threshold, "set by hand")
    else:
        thresholds = known_thresholds(point_file(pack), sha256)
    hashes = {
        f"{one.name}: {model.file.name}": file_sha256(model.file)
        for one in (guiding, pack)
        for model in (one.recogniser, one.detector, one.genderage, one.landmarker)
        if model is not None
    }
    pack = replace(
        pack,
        genderage=pack.genderage or guiding.genderage,
        landmarker=pack.landmarker or guiding.landmarker,
    )
    return Checker(recogniser=pack, thresholds=thresholds, name=name, guide=guide, model_hashes=hashes)


def open_recogniser(name: str, provider: str, det_threshold: float, detecting: FacePack | None) -> FacePack:
    """Open a pack, or a single recogniser with the detector of another pack.

    Args:
        name: as `checker_names` lists it, or a path to a pack's folder or to a file.
        provider: "auto" or a key of `PROVIDERS`.
        det_threshold: lowest score of a face, in [0, 1].
        detecting: whose detector a single file uses; a pack uses its own.

    Raises:
        FileNotFoundError, RuntimeError, ValueError: as for `open_checker`.
    """
    if not name.endswith(SINGLE_FILE):
        if Path(name).is_absolute():
            return read_pack(Path(name), Path(name).name, provider, det_threshold)
        return load_pack(name, provider, det_threshold)
    if detecting is None:
        raise ValueError(f"{name} is a single recogniser; expected a pack with a detector beside it: name one")
    return replace(detecting, name=Path(name).name, recogniser=_single_recogniser(name, provider))


def point_file(pack: FacePack) -> Path:
    """Where the operating point of a pack or of a single recogniser lies."""
    return operating_point_file(pack.recogniser.file, single=pack.name.endswith(SINGLE_FILE))


def _single_recogniser(name: str, provider: str) -> FaceModel:
    """The recogniser in a single file."""
    searched = _models_folders()
    file = next((folder / name for folder in searched if (folder / name).is_file()), None)
    if file is None:
        folders = "\n".join(f"  {folder}" for folder in searched)
        raise MissingModelError(f'the recogniser "{name}" was not found. Put it into one of these folders:\n{folders}')
    model = face_model(file, provider)
    task, found, _ = model.kind
    if task != "recognition":
        raise ValueError(f"{file} is not a recogniser that can check ({found}); expected {EXPECTED_RECOGNISER}")
    return model


def _models_folders() -> list[Path]:
    return [Path(root, "models") for root in folder_paths.get_folder_paths(INSIGHTFACE_FOLDER)]
