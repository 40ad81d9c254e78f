"""The folder that holds what the lab fetches, converts and computes. Git ignores it."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from harness.environment import ROOT

VARIABLE = "REAL_PARTS"
"""Environment variable that names another folder than `.real` in the clone."""

PACK_NAME = "centerface"
"""InsightFace pack of the lab: CenterFace in SCRFD's form, and the miniature's recogniser, for the miniature's adapter
knows no other."""

CHECKER = "mobileface.onnx"
"""Recogniser of 256 outputs that no operating point was measured for."""

COLLAPSED = "mobilefacenet_512.onnx"
"""A recogniser that says 0.99 or more of any two faces: one that a check has to refuse."""


@dataclass(frozen=True)
class Cache:
    """Where everything is.

    Attributes:
        root: the folder.
    """

    root: Path

    @property
    def downloads(self) -> Path:
        """Archives as the registries' clients wrote them."""
        return self.root / "downloads"

    @property
    def parts(self) -> Path:
        """Files taken out of the archives."""
        return self.root / "parts"

    @property
    def judge(self) -> Path:
        """The packages of the independent judge, installed beside everything else."""
        return self.root / "judge"

    @property
    def models(self) -> Path:
        """Models folder in ComfyUI's layout."""
        return self.root / "models"

    @property
    def packs(self) -> Path:
        """Where InsightFace's packs and single recognisers are."""
        return self.models / "insightface" / "models"

    @property
    def detector(self) -> Path:
        """CenterFace in SCRFD's form."""
        return self.packs / PACK_NAME / "detection.onnx"

    @property
    def guide(self) -> Path:
        """The recogniser of the pack."""
        return self.packs / PACK_NAME / "recognition.onnx"

    @property
    def checker(self) -> Path:
        """MobileFace with its 256 outputs."""
        return self.packs / CHECKER

    @property
    def collapsed(self) -> Path:
        """MobileFaceNet, of no use to anybody."""
        return self.packs / COLLAPSED

    @property
    def manifest(self) -> Path:
        """sha256 of every file that was fetched or made, by its path in the folder."""
        return self.root / "manifest.json"

    @property
    def finds(self) -> Path:
        """What the detector finds in each picture, see `finds`."""
        return self.root / "finds"

    def missing(self) -> list[Path]:
        """Models that `python -m lab.real fetch` has yet to make."""
        made = (self.detector, self.guide, self.checker, self.collapsed)
        return [file for file in made if not file.is_file()]


def cache() -> Cache:
    """The folder named by `VARIABLE`, or `.real` in the clone; it need not exist."""
    return Cache(Path(os.environ.get(VARIABLE) or ROOT / ".real").resolve())


def sha256(file: Path) -> str:
    """Hexadecimal digest of a file."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()
