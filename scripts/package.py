"""Lists what the Comfy Registry would take from this repository, and what it would still ask for.

    python -m scripts.package            list the files and what is missing; exit with 1 if anything is
    python -m scripts.package --to DIR   also copy them into a new folder, laid out as an installation has them

The registry's client packs the files that git tracks, except those named in `.comfyignore`.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from pathlib import Path

from harness.environment import ROOT

LARGEST_PACKAGE = 3_500_000
"""Bytes. The registry takes far more, but nobody needs more to use the nodes in thirteen languages."""

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
"""What pyproject.toml must say: a regular expression for each line, because Python 3.10 cannot read TOML."""


def package_files(root: Path = ROOT) -> list[Path]:
    """Paths of the package's files, relative to `root` and sorted."""
    tracked = _listed(root)
    return sorted(tracked - _listed(root, "--ignored", "--exclude-from=.comfyignore"))


def missing(project: str) -> list[str]:
    """What the registry asks for and this text of a pyproject.toml does not say."""
    return [name for name, line in WANTED.items() if not re.search(line, project, re.MULTILINE)]


def lay_out(folder: Path, root: Path = ROOT) -> None:
    """Copy the package's files into a new folder."""
    for path in package_files(root):
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / path, target)


def _listed(root: Path, *options: str) -> set[Path]:
    command = ["git", "ls-files", "-z", "--cached", *options]
    listed = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout
    return {Path(name) for name in listed.split("\0") if name}


def main() -> int:
    """List the package and what is missing."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.package", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--to", type=Path, metavar="DIR", help="new folder to copy the package into")
    target = parser.parse_args().to
    files = package_files()
    for path in files:
        print(path.as_posix())
    size = sum((ROOT / path).stat().st_size for path in files)
    print(f"{len(files)} files, {size:,} bytes")
    if size > LARGEST_PACKAGE:
        print(f"the package is larger than {LARGEST_PACKAGE:,} bytes: name what nobody needs in .comfyignore")
    if target is not None:
        lay_out(target)
    lacking = missing((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    for name in lacking:
        print(f"pyproject.toml: {name} is missing")
    return 1 if lacking or size > LARGEST_PACKAGE else 0


if __name__ == "__main__":
    sys.exit(main())
