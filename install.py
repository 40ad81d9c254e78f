"""Repair what pip breaks: builds of ONNX Runtime and OpenCV that do not suit this machine.

ComfyUI-Manager runs this file after requirements.txt. By hand, with the Python that runs ComfyUI:

    python -m pip install -r requirements.txt
    python install.py

insightface requires `onnxruntime` and `opencv-python` by name, even if another build of them is installed:

- Over onnxruntime-gpu (or another build) pip installs the CPU build, which overwrites its files: CUDA is gone, and
  uninstalling either build breaks both. This file removes the CPU build and reinstalls the other one.
- opencv-python needs display libraries that servers lack. If it cannot be imported, the headless build of the same
  version replaces it.

If nothing is broken, this file does nothing.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from importlib.metadata import distributions

OTHER_RUNTIMES = (
    "onnxruntime-gpu",
    "onnxruntime-directml",
    "onnxruntime-openvino",
    "onnxruntime-migraphx",
    "onnxruntime-rocm",
    "onnxruntime-qnn",
)


def installed_versions() -> dict[str, str]:
    """Versions of all packages visible to this interpreter, by name in lower case with hyphens."""
    found = ((distribution.metadata["Name"], distribution.version) for distribution in distributions())
    # A crashed installation can leave a package with empty metadata and therefore no name.
    return {name.lower().replace("_", "-"): version for name, version in found if name}


def imports(module: str) -> bool:
    """Whether a new process of this interpreter can import a module."""
    tried = subprocess.run([sys.executable, "-c", f"import {module}"], check=False, capture_output=True)
    return tried.returncode == 0


def pip(command: str, *arguments: str) -> list[str]:
    """A pip command for this interpreter, or uv's equivalent in an environment without pip."""
    if importlib.util.find_spec("pip") is not None:
        confirmed = ["--yes"] if command == "uninstall" else []
        return [sys.executable, "-m", "pip", command, *confirmed, *arguments]
    return ["uv", "pip", command, "--python", sys.executable, *arguments]


def replaced(package: str, by: str, version: str) -> list[list[str]]:
    """Commands that remove one build of a package and reinstall another completely."""
    # Both builds own the same files, so uninstalling one damages the other.
    reinstall = "--force-reinstall" if importlib.util.find_spec("pip") is not None else "--reinstall"
    return [pip("uninstall", package), pip("install", "--no-deps", reinstall, f"{by}=={version}")]


def repairs(installed: dict[str, str], opencv_imports: bool) -> list[list[str]]:
    """The commands needed, in order.

    Args:
        installed: versions by package name.
        opencv_imports: whether `import cv2` works.
    """
    commands = []
    others = [name for name in OTHER_RUNTIMES if name in installed]
    if "onnxruntime" in installed and others:
        commands += replaced("onnxruntime", others[0], installed[others[0]])
    if "opencv-python" in installed and not opencv_imports:
        commands += replaced("opencv-python", "opencv-python-headless", installed["opencv-python"])
    return commands


def main() -> int:
    """Repair what is broken and return pip's exit code."""
    for command in repairs(installed_versions(), imports("cv2")):
        finished = subprocess.run(command, check=False)
        if finished.returncode:
            print(f"install.py: {' '.join(command)} failed; see above", file=sys.stderr)
            return finished.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
