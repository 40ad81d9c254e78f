"""The Python environment of all commands: `.venv` at the top of the clone, with everything that ComfyUI needs.

Standard library only, because it runs before there is anything else. A state file inside `.venv` holds three facts: the
site-packages folder from which it borrows PyTorch, and digests of what the last complete installation was asked for,
one for the demo's packages ("runtime") and one for the checks' ("dev"). A digest is written after the last package, so
an interrupted installation is resumed.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from .whole_text import write_whole

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
STATE_NAME = "reverse-personalization.json"
PTH_NAME = "reverse-personalization-host.pth"

MINIMUM_PYTHON = (3, 10)

# The host asks for these without a version, so that it runs with any build of PyTorch; here they are pinned. This
# torchaudio does not declare that it needs torch and is therefore installed on its own.
TORCH_PINS = {"torch": "2.14.1", "torchvision": "0.29.1", "torchaudio": "2.11.0"}


class SetupError(RuntimeError):
    """Something that only the user can put right; the message says how."""


def check_python(version: tuple[int, ...] = tuple(sys.version_info[:3])) -> None:
    """Refuse an interpreter that ComfyUI and this pack do not support."""
    if version < MINIMUM_PYTHON:
        raise SetupError(
            f"this command runs on Python {'.'.join(map(str, version))}, but needs at least "
            f"{'.'.join(map(str, MINIMUM_PYTHON))}: call it with a newer python3."
        )


def run(command: list[str | Path], environment: dict[str, str] | None = None) -> None:
    """Run a step of the installation and show its output.

    Raises:
        SetupError: the step failed.
    """
    finished = subprocess.run([str(part) for part in command], env=environment, check=False)
    if finished.returncode:
        shown = " ".join(str(part) for part in command)
        raise SetupError(
            f"`{shown}` failed with exit code {finished.returncode}; its output above says why. Run this command again "
            "afterwards: what is already installed is kept."
        )


def venv_python(venv: Path) -> Path:
    """Path of a virtual environment's interpreter."""
    return venv / "Scripts" / "python.exe" if os.name == "nt" else venv / "bin" / "python"


def venv_site_packages(venv: Path) -> Path:
    """Folder with the packages of a virtual environment that this interpreter made."""
    if os.name == "nt":
        return venv / "Lib" / "site-packages"
    return venv / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"


def read_state(venv: Path) -> dict[str, Any] | None:
    """The state of a virtual environment, or None if it was not made completely."""
    path = venv / STATE_NAME
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def write_state(venv: Path, state: dict[str, Any]) -> None:
    """Write the state of a virtual environment, whole or not at all."""
    write_whole(venv / STATE_NAME, json.dumps(state, indent=2) + "\n")


def works(venv: Path) -> bool:
    """Whether a virtual environment was made completely and everything that it needs is still there."""
    state = read_state(venv)
    if state is None or (state["donor"] is not None and not Path(state["donor"], "torch").is_dir()):
        return False
    python = venv_python(venv)
    # `exists` is false for a link to an interpreter that has been removed.
    return python.exists() and subprocess.run([python, "-c", "import pip"], check=False).returncode == 0


def torch_site_packages() -> Path | None:
    """The folder from which this interpreter imports PyTorch, or None if it has none."""
    found = importlib.util.find_spec("torch")
    if found is None or found.origin is None:
        return None
    return Path(found.origin).resolve().parents[1]


def borrow_packages(venv: Path, donor: Path) -> None:
    """Make another environment's packages visible in `venv`, after its own, so that pip counts them as installed."""
    (venv_site_packages(venv) / PTH_NAME).write_text(f"{donor}\n", encoding="utf-8")


def provide_ensurepip() -> None:
    """Install Debian's package python3-venv if `ensurepip`, which puts pip into new environments, is missing.

    Raises:
        SetupError: it is missing and cannot be installed from here.
    """
    if importlib.util.find_spec("ensurepip") is not None:
        return
    commands = [["apt-get", "update"], ["apt-get", "install", "-y", "python3-venv"]]
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        shown = " && ".join(" ".join(command) for command in commands)
        raise SetupError(
            f"{sys.executable} cannot make virtual environments: its module `ensurepip` is missing. "
            f"On Debian and Ubuntu, add it as root: {shown}"
        )
    for command in commands:
        run([*command])
    importlib.invalidate_caches()
    if importlib.util.find_spec("ensurepip") is None:
        raise SetupError(
            f"{sys.executable} still has no module `ensurepip`: python3-venv was installed, but serves "
            "/usr/bin/python3 alone. Call this command with that, or with a Python that has `ensurepip`."
        )


def provide_venv(venv: Path) -> None:
    """Make the virtual environment, unless it is there and works.

    Raises:
        SetupError: it is broken and runs this command, or cannot be made.
    """
    if works(venv):
        return
    if Path(sys.prefix).resolve() == venv.resolve():
        raise SetupError(f"{venv} is incomplete and cannot repair itself: call this command with a python3 outside it.")
    provide_ensurepip()
    print(f"Making the Python environment {venv}", flush=True)
    run([sys.executable, "-m", "venv", "--clear", venv])
    donor = torch_site_packages()
    if donor is not None:
        print(f"Using PyTorch and the other packages in {donor}", flush=True)
        borrow_packages(venv, donor)
    write_state(venv, {"donor": None if donor is None else str(donor)})


def requirement_name(line: str) -> str:
    """The normalised package name at the start of a requirements line; "" for a comment or an option."""
    match = re.match(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)", line)
    return re.sub(r"[-_.]+", "-", match.group(1)).lower() if match else ""


def without_torch(requirements: str) -> str:
    """ComfyUI's requirements without the packages that are pinned here."""
    lines = requirements.splitlines()
    return "".join(f"{line}\n" for line in lines if requirement_name(line) not in TORCH_PINS)


def dev_requirements(pyproject: str) -> list[str]:
    """The packages in the `dev` extra of a pyproject.toml.

    Args:
        pyproject: its text.
    """
    # Python 3.10 has no TOML reader, but it reads an array of strings: the syntax is the same.
    match = re.search(r"^dev = (\[.*?\])", pyproject, re.MULTILINE | re.DOTALL)
    if match is None:
        raise SetupError("pyproject.toml: no `dev = [...]` under [project.optional-dependencies].")
    return [str(name) for name in ast.literal_eval(match.group(1))]


def constraints(donor_torch: str | None) -> str:
    """Constraints that keep pip from replacing PyTorch: the borrowed version, or our pins."""
    if donor_torch is not None:
        return f"torch=={donor_torch}\n"
    return "".join(f"{name}=={version}\n" for name, version in TORCH_PINS.items())


def digest(*parts: str) -> str:
    """A short digest of everything that determines an installation."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def provide_packages(venv: Path, comfyui: Path, dev: bool) -> None:
    """Install what ComfyUI, this pack and, with `dev`, the checks need, unless that has been done.

    Raises:
        SetupError: an installation failed, or a package was installed that cannot be imported.
    """
    state = read_state(venv)
    if state is None:
        raise SetupError(f"{venv} has no {STATE_NAME}, so it was not made by this command: remove it, or move it away.")
    python = venv_python(venv)
    host = without_torch((comfyui / "requirements.txt").read_text(encoding="utf-8"))
    pack = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    installer = (ROOT / "install.py").read_text(encoding="utf-8")
    extra = dev_requirements((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    pins = constraints(borrowed_torch(python) if state["donor"] else None)
    wanted = {"runtime": digest(host, pack, installer, pins)}
    if dev:
        wanted["dev"] = digest(wanted["runtime"], *extra)
    if all(state.get(kind) == value for kind, value in wanted.items()):
        return

    print("Installing packages; the first time, these are several gigabytes.", flush=True)
    pip: list[str | Path] = [python, "-m", "pip", "install", "--disable-pip-version-check"]
    if not sys.stdout.isatty():
        pip.append("--quiet")
    with tempfile.TemporaryDirectory() as folder:
        lists = {"constraints.txt": pins, "host.txt": host, "pack.txt": pack, "dev.txt": "\n".join(extra)}
        for name, text in lists.items():
            Path(folder, name).write_text(text, encoding="utf-8")
        pip += ["--constraint", Path(folder, "constraints.txt")]
        run([*pip, "torch", "torchvision"])
        run([*pip, "--no-deps", "torchaudio"])
        wanted_lists = ["host.txt", "pack.txt", "dev.txt"] if dev else ["host.txt", "pack.txt"]
        run([*pip, *(part for name in wanted_lists for part in ("--requirement", Path(folder, name)))])
    # The checks compare with what a CPU computes.
    kept = {"REVERSE_PERSONALIZATION_KEEP_ONNXRUNTIME": "1"} if dev else {}
    run([python, ROOT / "install.py"], {**os.environ, **kept})
    check_imports(python)
    write_state(venv, {"donor": state["donor"], **wanted})


def borrowed_torch(python: Path) -> str:
    """Version of the PyTorch that a virtual environment borrows."""
    script = "import importlib.metadata as m; print(m.version('torch'))"
    return subprocess.run([python, "-c", script], check=True, capture_output=True, text=True).stdout.strip()


def check_imports(python: Path) -> None:
    """Import the packages that may be installed but broken, because a library of the system is missing.

    Raises:
        SetupError: one cannot be imported.
    """
    for module in ("torch", "torchvision", "onnxruntime", "cv2", "insightface"):
        tried = subprocess.run([python, "-c", f"import {module}"], check=False, capture_output=True, text=True)
        if tried.returncode:
            reason = tried.stderr.strip().splitlines()[-1]
            hint = ""
            if module == "cv2":
                hint = f" To install a build that needs no display: {python} -m pip install opencv-python-headless"
            raise SetupError(f"{module} is installed, but {python} cannot import it: {reason}.{hint}")
