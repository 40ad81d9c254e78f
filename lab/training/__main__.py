"""Train the whole miniature from nothing: `python -m lab.training WORKSHOP`.

Renders what it needs, trains part by part and writes the finished files, each part with a manifest. It can be stopped
at any point and goes on from there when it is started again; what is finished is not repeated. Parts that do not need
each other are trained at the same time, each on a core of its own. Takes hours on two cores, and about 5 GB for the
workshop.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

from miniature.files import whole_file
from miniature.layout import ADAPTER, CHECKPOINT, FACE_PACK, JUDGE_PACK, WEIGHTS
from reverse_personalization.operating_point import OPERATING_POINT_FILE

from ..meter import METER_FILE
from . import autoencoder, detector, diffusion, genderage, meter, recogniser
from .loop import Workshop

MANIFESTS = Path("manifests")

LOOK_SECONDS = 1.0
"""Between two looks at the trainings that run."""


@dataclass(frozen=True)
class Part:
    """One training.

    Attributes:
        train: trains, writes `files` below the workshop's models and returns the figures.
        recipe: its numbers, full and smoke.
        files: that it makes.
        needs: parts that have to be finished before.
    """

    train: Callable[[Workshop], dict[str, Any]]
    recipe: tuple[Any, Any]
    files: tuple[Path, ...]
    needs: tuple[str, ...] = ()


def train_diffusion(shop: Workshop) -> dict[str, Any]:
    """Denoiser and adapter, and the checkpoint around them."""
    model, figures = diffusion.trained_denoiser(shop)
    diffusion.write_checkpoint(model, shop.directory / autoencoder.FILE, shop.models)
    return figures


def train_autoencoder(shop: Workshop) -> dict[str, Any]:
    """The light autoencoder, which the checkpoint will hold."""
    return autoencoder.trained_autoencoder(shop)[1]


def train_detector(shop: Workshop) -> dict[str, Any]:
    """The detector, which both packs have."""
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
"""In the order in which they are trained: later ones need what earlier ones made."""


def manifest_file(models: Path, name: str) -> Path:
    """Where a part's manifest is kept."""
    return models / MANIFESTS / f"{name}.json"


def described(path: Path) -> dict[str, Any]:
    """Hash and size of a finished file."""
    content = path.read_bytes()
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def finished(shop: Workshop, name: str) -> bool:
    """Whether a part's manifest tells of this recipe and of the files that are there."""
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
    """A recipe as JSON has it."""
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


class Running(Protocol):
    """A training that was started."""

    def poll(self) -> int | None:
        """Its exit code, None as long as it runs."""


def train_together(waiting: Mapping[str, Sequence[str]], at_once: int, start: Callable[[str], Running]) -> None:
    """Train parts, several at a time.

    Args:
        waiting: the parts, each with those that it needs; what is not among them is finished.
        at_once: how many at a time.
        start: starts one.

    Raises:
        RuntimeError: a training failed; those that ran beside it have ended as well, the others were not begun.
    """
    left, running = dict(waiting), dict[str, Running]()
    failed: list[str] = []
    while running or (left and not failed):
        unfinished = {*left, *running}
        for name in [name for name, needs in left.items() if not unfinished.intersection(needs)]:
            if len(running) < at_once and not failed:
                del left[name]
                running[name] = start(name)
        ended = {name: code for name, one in running.items() if (code := one.poll()) is not None}
        for name, code in ended.items():
            del running[name]
            if code:
                failed.append(f"{name} (exit {code})")
        if not ended:
            time.sleep(LOOK_SECONDS)
    if failed:
        raise RuntimeError(f"not trained: {', '.join(failed)}; what it said is above, start again to go on")


def start_part(shop: Workshop, name: str) -> subprocess.Popen[bytes]:
    """Start the training of one part on one core."""
    command = [sys.executable, "-m", "lab.training", str(shop.directory), "--models", str(shop.models)]
    return subprocess.Popen([*command, "--part", name, "--threads", "1", *["--smoke"] * shop.smoke])


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m lab.training", description=__doc__)
    parser.add_argument("workshop", type=Path, help="folder for rendered data and states")
    parser.add_argument("--models", type=Path, default=WEIGHTS, help="models folder to write (default: %(default)s)")
    parser.add_argument("--part", action="append", choices=tuple(PARTS), help="only this part; may be repeated")
    parser.add_argument("--smoke", action="store_true", help="seconds instead of hours: shows that all fits together")
    parser.add_argument("--threads", type=int, default=2, help="cores to use")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    shop = Workshop(options.workshop, options.models, options.smoke, options.threads)
    if options.part is not None:
        for name in PARTS:
            if name in options.part:
                train_part(shop, name)
        return
    waiting = {name: part.needs for name, part in PARTS.items() if not finished(shop, name)}
    for name in [name for name in PARTS if name not in waiting]:
        print(f"{name}: finished before", file=sys.stderr, flush=True)
    if shop.threads == 1:
        for name in waiting:
            train_part(shop, name)
    elif waiting:
        if not shop.smoke:
            # Most parts learn from these; drawn here, so that two do not draw the same at the same time.
            recogniser.TRAINING.render(shop.data, shop.threads)
        train_together(waiting, shop.threads, lambda name: start_part(shop, name))


if __name__ == "__main__":
    main()
