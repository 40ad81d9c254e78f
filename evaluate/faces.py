"""Finds the one face of a picture and recognises it, with the pack's own code in a ComfyUI inside this process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.comfyui import comfyui_folder
from harness.in_process import part
from reverse_personalization.geometry.face_search import DEFAULT_DETECTOR_SIZE
from reverse_personalization.geometry.faces import Detection
from reverse_personalization.photographs.reading import read_photograph

from .crops import Picture
from .decoding import Values
from .estimators import Estimator, open_estimators

PACKS = Path("models", "insightface", "models")
"""Where ComfyUI's folder has InsightFace's packs and single recognisers."""

SINGLE_FILE = ".onnx"

EMBEDDING = "embedding"
"""Kind of an estimator's output that makes it a judge."""


@dataclass(frozen=True, eq=False)
class Judge:
    """A recogniser that says who is who.

    Attributes:
        name: in tables.
        sha256: of its file.
        pack: `host.insight.FacePack`; None for an estimator.
        estimator: that declares an embedding, and the output's name; None for a pack.
    """

    name: str
    sha256: str
    pack: Any = None
    estimator: tuple[Estimator, str] | None = None


@dataclass(frozen=True, eq=False)
class Seen:
    """What the models make of a picture.

    Attributes:
        score: of the detector for the largest face; None if no face was found.
        embeddings: by judge, [D] of unit length; judges that could not embed the face are left out.
        readings: by estimator and output, "NAME: OUTPUT", what was read.
    """

    score: float | None
    embeddings: dict[str, Values]
    readings: dict[str, Values]


@dataclass(frozen=True, eq=False)
class Observers:
    """All models, open.

    Attributes:
        detector: `host.insight.FacePack` that finds the faces for all.
        detector_sha256: of its file.
        judges: at least one.
        estimators: with their declarations.
        guide: name of the guide's recogniser, or "" if the user did not say.
    """

    detector: Any
    detector_sha256: str
    judges: tuple[Judge, ...]
    estimators: tuple[Estimator, ...]
    guide: str

    def find(self, picture: Picture) -> Detection | None:
        """The largest face of a picture, or None."""
        found = self.detector.search(bgr(picture), DEFAULT_DETECTOR_SIZE)
        usable: list[Any] = [face for face in found if face.landmarks_agree]
        return max(usable, key=lambda face: face.area, default=None)

    def see(self, picture: Picture) -> Seen:
        """Look at a picture with all models.

        Raises:
            ValueError, RuntimeError: an estimator's answer cannot be used.
        """
        face = self.find(picture)
        readings: dict[str, Values] = {}
        embeddings: dict[str, Values] = {}
        for estimator in self.estimators:
            for name, values in estimator.read(picture, face).items():
                readings[title(estimator, name)] = values
        for judge in self.judges:
            if judge.estimator is not None:
                raw = readings.get(title(*judge.estimator))
            else:
                raw = None if face is None else judge.pack.embedding(bgr(picture), face)
            unit = None if raw is None else unit_vector(raw)
            if unit is not None:
                embeddings[judge.name] = unit
        return Seen(None if face is None else float(face.score), embeddings, readings)


def open_observers(
    detector: str,
    recognisers: Sequence[str],
    guide: str | None,
    estimators: Sequence[Path],
    provider: str,
    score: float,
) -> Observers:
    """Open all models.

    Args:
        detector: name or folder of an InsightFace pack.
        recognisers: names or paths of packs and single recognisers.
        guide: the pack or file whose embeddings guided, which may not judge; None if nobody knows.
        estimators: ONNX files with declarations; one with an embedding is a judge as well.
        provider: "auto" or a key of `host.face_packs.PROVIDERS`.
        score: lowest score of a face.

    Raises:
        FileNotFoundError: a model is missing.
        SetupError: there is no ComfyUI.
        RuntimeError: a file cannot be used.
        ValueError: there is no judge, two judges are one, or one is the guide.
    """
    opening, sha256 = part("host.checker").open_recogniser, part("host.model_hashes").file_sha256
    pack = part("host.insight").read_pack(Path(place_of(detector)), Path(detector).name, provider, score)
    judges = []
    for name in recognisers:
        opened = opening(place_of(name), provider, score, pack)
        judges.append(Judge(Path(name).name, sha256(opened.recogniser.file), pack=opened))
    declared = open_estimators(estimators, provider)
    for estimator in declared:
        own = [output.name for output in estimator.declaration.outputs if output.kind == EMBEDDING]
        for output in own:
            name = estimator.declaration.name if len(own) == 1 else title(estimator, output)
            judges.append(Judge(name, sha256(estimator.file), estimator=(estimator, output)))
    guiding = None if guide is None else sha256(opening(place_of(guide), provider, score, pack).recogniser.file)
    _check_judges(judges, guide, guiding)
    return Observers(
        pack, sha256(pack.detector.file), tuple(judges), tuple(declared), "" if guide is None else Path(guide).name
    )


def _check_judges(judges: Sequence[Judge], guide: str | None, guiding: str | None) -> None:
    if not judges:
        raise ValueError("there is no judge; name one with --recogniser, or an --estimator that declares an embedding")
    files: dict[str, str] = {}
    names: set[str] = set()
    for judge in judges:
        if judge.sha256 == guiding:
            raise ValueError(part("reverse_personalization.assurance.checking").same_recogniser(judge.name, guide))
        # Two embeddings of one file are two opinions of one network.
        if judge.sha256 in files:
            raise ValueError(
                f'the judges "{files[judge.sha256]}" and "{judge.name}" are one file; leave one of them out'
            )
        if judge.name in names:
            raise ValueError(f'two judges are called "{judge.name}"; rename a folder or a file')
        files[judge.sha256] = judge.name
        names.add(judge.name)


def place_of(name: str) -> str:
    """The absolute path of a pack's folder or of a recogniser's file: the path itself, or a name in ComfyUI's models.

    Raises:
        FileNotFoundError: there is neither.
    """
    tried = [Path(name), comfyui_folder() / PACKS / name]
    for place in tried:
        if place.exists():
            return str(place.resolve())
    raise FileNotFoundError(
        f'the model "{name}" was not found: neither {tried[0].resolve()} nor {tried[1]} exists; expected the folder of '
        f"an InsightFace pack or a recogniser's {SINGLE_FILE} file"
    )


def title(estimator: Estimator, output: str) -> str:
    """What an estimator's output is called in `Seen.readings`."""
    return f"{estimator.declaration.name}: {output}"


def unit_vector(raw: NDArray[Any]) -> Values | None:
    """A vector of length 1, or None for one that has no direction."""
    length = float(np.linalg.norm(raw))
    return np.asarray(raw, np.float64) / length if np.isfinite(length) and length > 0 else None


def read_picture(file: Path) -> Picture:
    """A picture's file, upright and in sRGB.

    Raises:
        OSError: it cannot be read.
        UnreadablePhotographError: it is no picture that the pack reads.
    """
    return np.rint(255 * read_photograph(file.read_bytes()).pixels).astype(np.uint8)


def bgr(picture: Picture) -> Picture:
    """RGB as InsightFace takes it."""
    return np.ascontiguousarray(picture[..., ::-1])
