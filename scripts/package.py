"""What the Comfy Registry would take of this repository, and whether it would take it.

    python -m scripts.package            lists the files and what is still missing; exits with 1 if something is
    python -m scripts.package --to DIR   also lays them out in a new folder, as an installation has them

The registry's client packs the files that git tracks, less those that `.comfyignore` names.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from pathlib import Path

from scripts.environment import ROOT

LARGEST_PACKAGE = 2_000_000
"""Bytes. The registry takes far more; nobody needs it to use the nodes."""

WANTED = {
    "name": r'^name = "(?!.*comfyui)[a-z][a-z0-9-]{1,98}"$',
    "version": r'^version = "\d+\.\d+\.\d+"$',
    "description": r'^description = ".{20,}"$',
    "license": r"^license = \{ (?:text|file) = \".+\" \}$",
    "an operating system among the classifiers": r'^  "Operating System :: OS Independent",$',
    "PublisherId": r'^PublisherId = "[a-z][a-z0-9-]+"$',
    "DisplayName": r'^DisplayName = "(?!.*ComfyUI).+"$',
    "requires-comfyui": r'^requires-comfyui = ">=\d+\.\d+\.\d+"$',
    "Icon, as an address": r'^Icon = "https://.+\.(?:png|svg)"$',
    "Repository, as an address, under [project.urls]": r'^Repository = "https://.+"$',
}
"""What pyproject.toml has to say, each as the line that says it; a regular expression, as Python 3.10 reads no TOML."""


def package_files(root: Path = ROOT) -> list[Path]:
    """Paths of the package's files below `root`, in order."""
    tracked = _listed(root)
    return sorted(tracked - _listed(root, "--ignored", "--exclude-from=.comfyignore"))


def missing(project: str) -> list[str]:
    """What a pyproject.toml's text does not say and the registry asks for."""
    return [name for name, line in WANTED.items() if not re.search(line, project, re.MULTILINE)]


def lay_out(folder: Path, root: Path = ROOT) -> None:
    """Copy the package's files into a folder that is not there yet."""
    for path in package_files(root):
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / path, target)


def _listed(root: Path, *options: str) -> set[Path]:
    command = ["git", "ls-files", "-z", "--cached", *options]
    listed = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout
    return {Path(name) for name in listed.split("\0") if name}


def main() -> int:
    """List the package."""
    parser = argparse.ArgumentParser(prog="python -m scripts.package", description=__doc__.partition("\n")[0])
    parser.add_argument("--to", type=Path, metavar="DIR", help="lay the package out in this new folder")
    target = parser.parse_args().to
    files = package_files()
    for path in files:
        print(path.as_posix())
    print(f"{len(files)} files, {sum((ROOT / path).stat().st_size for path in files):,} bytes")
    if target is not None:
        lay_out(target)
    lacking = missing((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    for name in lacking:
        print(f"pyproject.toml: {name} is missing")
    return 1 if lacking else 0


if __name__ == "__main__":
    sys.exit(main())
