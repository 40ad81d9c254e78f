"""Find and open the checker, a second recogniser that decides whether a person is still recognisable.

The guide cannot check its own work: a recogniser whose file made the guiding embeddings is refused.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import folder_paths

from ..reverse_personalization.assurance.checking import Checker, same_recogniser
from ..reverse_personalization.assurance.operating_point import CAUTIOUS_THRESHOLD, checking_threshold, pack_threshold
from .face_packs import EXPECTED_RECOGNISER, find_pack, installed_packs
from .insight import load_pack
from .model_folders import INSIGHTFACE_FOLDER
from .model_hashes import file_sha256
from .sessions import FaceModel, face_model

DEFAULT_CHECKER = "antelopev2"
"""InsightFace's other published pack: its recogniser is neither buffalo_l's nor trained on the same pictures."""


def checker_names() -> list[str]:
    """Names that `open_checker` takes: installed packs, and recogniser files beside the packs' folders.

    `DEFAULT_CHECKER` is listed even if it is not installed: the run then says what is missing and where.
    """
    files = {file.name for folder in _models_folders() for file in folder.glob("*.onnx") if file.is_file()}
    return sorted({DEFAULT_CHECKER, *installed_packs()}) + sorted(files)


def open_checker(name: str, provider: str, threshold: float, det_threshold: float, guide: str) -> Checker:
    """Open a checker.

    Args:
        name: as `checker_names` lists it: a pack's folder, or an ONNX file of a recogniser of 112x112 crops with 512
            outputs, which then uses the guide's detector.
            provider: "auto" or a key of `PROVIDERS`.
        threshold: cosine at or above which two faces count as one person's. 0 takes the pack's own, see
            `checking_threshold`; a single file has none, and gets `CAUTIOUS_THRESHOLD`.
        det_threshold: lowest score of a face, in [0, 1].
        guide: name of the pack whose embeddings guided (`Faces.model_pack`).

    Raises:
        FileNotFoundError: the pack, its detector or recogniser, or the file is missing.
        RuntimeError: InsightFace cannot be imported, or a file cannot be used.
        ValueError: a threshold is out of range, the provider is not available, the file is not such a recogniser or
            is the guide's own, or the pack's `OPERATING_POINT_FILE` is invalid.
    """
    if not 0 <= threshold <= 1:
        raise ValueError(
            f"the threshold is {threshold:g}; expected a cosine up to 1, or 0 for the value measured for the checker"
        )
    guiding = load_pack(guide, provider, det_threshold)
    own_threshold = measured = CAUTIOUS_THRESHOLD
    if name.endswith(".onnx"):
        pack = replace(guiding, name=name, recogniser=_single_recogniser(name, provider))
    else:
        pack = guiding if name == guide else load_pack(name, provider, det_threshold)
        own_threshold, measured = checking_threshold(find_pack(name)), pack_threshold(find_pack(name))
    if file_sha256(pack.recogniser.file) == file_sha256(guiding.recogniser.file):
        raise ValueError(same_recogniser(name, guide))
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
    return Checker(
        recogniser=pack,
        threshold=threshold or own_threshold,
        measured=threshold or measured,
        name=name,
        guide=guide,
        model_hashes=hashes,
    )


def _single_recogniser(name: str, provider: str) -> FaceModel:
    """The recogniser in a single file."""
    searched = _models_folders()
    file = next((folder / name for folder in searched if (folder / name).is_file()), None)
    if file is None:
        folders = "\n".join(f"  {folder}" for folder in searched)
        raise FileNotFoundError(f'the recogniser "{name}" was not found. Put it into one of these folders:\n{folders}')
    model = face_model(file, provider)
    task, found = model.kind
    if task != "recognition":
        raise ValueError(f"{file} is not a recogniser that can check ({found}); expected {EXPECTED_RECOGNISER}")
    return model


def _models_folders() -> list[Path]:
    return [Path(root, "models") for root in folder_paths.get_folder_paths(INSIGHTFACE_FOLDER)]
