"""The parts of the miniature: how each is trained, and the manifest that describes its files."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from miniature.files import whole_file
from miniature.layout import ADAPTER, CHECKPOINT, FACE_PACK, JUDGE_PACK
from reverse_personalization.assurance.operating_point import OPERATING_POINT_FILE

from ..meter import METER_FILE
from . import autoencoder, detector, diffusion, genderage, meter, recogniser
from .loop import Workshop

MANIFESTS = Path("manifests")


@dataclass(frozen=True)
class Part:
    """A training that makes some of the miniature's files.

    Attributes:
        train: trains, writes `files` below the workshop's models folder, and returns the figures.
        recipe: all numbers, for the full training and for the smoke test.
        files: files it writes, relative to the models folder.
        needs: parts that must be finished before it starts.
    """

    train: Callable[[Workshop], dict[str, Any]]
    recipe: tuple[Any, Any]
    files: tuple[Path, ...]
    needs: tuple[str, ...] = ()


def train_diffusion(shop: Workshop) -> dict[str, Any]:
    """Train the denoiser and the adapter, and write the checkpoint around them."""
    model, figures = diffusion.trained_denoiser(shop)
    diffusion.write_checkpoint(model, shop.directory / autoencoder.FILE, shop.models)
    return figures


def train_autoencoder(shop: Workshop) -> dict[str, Any]:
    """Train the light autoencoder, which goes into the checkpoint."""
    return autoencoder.trained_autoencoder(shop)[1]


def train_detector(shop: Workshop) -> dict[str, Any]:
    """Train the detector, and copy it into the judge's pack."""
    figures = detector.train_detector(shop)
    source = shop.models / FACE_PACK / "detection.onnx"
    with whole_file(shop.models / JUDGE_PACK / "detection.onnx") as stream, source.open("rb") as original:
        shutil.copyfileobj(original, stream)
    return figures


PARTS: dict[str, Part] = {
    "recogniser": Part(
        recogniser.train_recogniser,
        recogniser.RECIPES["recogniser"],
        (FACE_PACK / "recognition.onnx", FACE_PACK / OPERATING_POINT_FILE),
    ),
    "autoencoder": Part(train_autoencoder, (autoencoder.RECIPE, autoencoder.SMOKE), ()),
    "diffusion": Part(
        train_diffusion, (diffusion.RECIPE, diffusion.SMOKE), (CHECKPOINT, ADAPTER), ("recogniser", "autoencoder")
    ),
    "detector": Part(
        train_detector,
        (detector.FULL, detector.SMOKE),
        (FACE_PACK / "detection.onnx", JUDGE_PACK / "detection.onnx"),
    ),
    "meter": Part(meter.train_meter, (meter.RECIPE, meter.SMOKE), (METER_FILE,)),
    "judge": Part(
        recogniser.train_judge,
        recogniser.RECIPES["judge"],
        (JUDGE_PACK / "recognition.onnx", JUDGE_PACK / OPERATING_POINT_FILE),
    ),
    "genderage": Part(genderage.train_genderage, (genderage.RECIPE, genderage.SMOKE), (FACE_PACK / "genderage.onnx",)),
}
"""All parts in training order: later ones need what earlier ones wrote."""


def manifest_file(models: Path, name: str) -> Path:
    """Return the path of a part's manifest."""
    return models / MANIFESTS / f"{name}.json"


def described(path: Path) -> dict[str, Any]:
    """Return hash and size of a finished file."""
    content = path.read_bytes()
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def finished(shop: Workshop, name: str) -> bool:
    """Whether a part's manifest has the current recipe and describes the existing files."""
    file = manifest_file(shop.models, name)
    part = PARTS[name]
    if not file.exists():
        return False
    manifest = json.loads(file.read_text(encoding="utf-8"))
    files = {path.as_posix(): shop.models / path for path in part.files}
    return bool(
        manifest["recipe"] == plain(part.recipe[shop.smoke])
        and all(path.exists() for path in files.values())
        and manifest["files"] == {key: described(path) for key, path in files.items()}
    )


def plain(recipe: Any) -> Any:
    """Return a recipe as JSON gives it back."""
    return json.loads(json.dumps(asdict(recipe), default=str))


def train_part(shop: Workshop, name: str) -> None:
    """Train one part and write its manifest.

    Raises:
        FileNotFoundError: a part that it needs has not been trained.
    """
    part = PARTS[name]
    began = time.time()
    figures = part.train(shop)
    manifest = {
        "part": name,
        "command": f"python -m lab.training WORKSHOP --part {name}" + (" --smoke" if shop.smoke else ""),
        "recipe": plain(part.recipe[shop.smoke]),
        "files": {path.as_posix(): described(shop.models / path) for path in part.files},
        "figures": figures,
        "torch": torch.__version__,
        "finished": time.strftime("%Y-%m-%d", time.gmtime()),
    }
    with whole_file(manifest_file(shop.models, name)) as stream:
        stream.write((json.dumps(manifest, indent=2, default=float) + "\n").encode())
    print(f"{name}: done in {time.time() - began:.0f} s of this sitting", file=sys.stderr, flush=True)
