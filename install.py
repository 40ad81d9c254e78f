"""Mend what pip breaks: builds of ONNX Runtime and of OpenCV that do not suit this machine.

ComfyUI-Manager runs this file after requirements.txt. By hand, with the Python that runs ComfyUI:

    python -m pip install -r requirements.txt
    python install.py

insightface asks for `onnxruntime` and `opencv-python` by name, whatever other build of them is there:

- On top of onnxruntime-gpu (or another build) pip adds the CPU build, which overwrites its files: CUDA is gone,
  and uninstalling either leaves neither. The CPU build is taken away again and the other one put back.
- opencv-python needs display libraries that servers lack. Where it cannot be imported, the headless build of
  the same version takes its place.

Where nothing is broken, nothing is done.
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
    """Versions of all packages that this interpreter sees, by name in lower case with hyphens."""
    found = ((distribution.metadata["Name"], distribution.version) for distribution in distributions())
    # A package whose metadata a crashed installation left empty has no name.
    return {name.lower().replace("_", "-"): version for name, version in found if name}


def imports(module: str) -> bool:
    """Whether a new process of this interpreter can import a module."""
    tried = subprocess.run([sys.executable, "-c", f"import {module}"], check=False, capture_output=True)
    return tried.returncode == 0


def pip(command: str, *arguments: str) -> list[str]:
    """A command for this interpreter: pip's, or uv's in an environment without pip."""
    if importlib.util.find_spec("pip") is not None:
        confirmed = ["--yes"] if command == "uninstall" else []
        return [sys.executable, "-m", "pip", command, *confirmed, *arguments]
    return ["uv", "pip", command, "--python", sys.executable, *arguments]


def replaced(package: str, by: str, version: str) -> list[list[str]]:
    """Commands that take one build of a family away and unpack another whole."""
    # Both own the same files, so uninstalling one leaves the other in pieces.
    reinstall = "--force-reinstall" if importlib.util.find_spec("pip") is not None else "--reinstall"
    return [pip("uninstall", package), pip("install", "--no-deps", reinstall, f"{by}=={version}")]


def repairs(installed: dict[str, str], opencv_imports: bool) -> list[list[str]]:
    """Commands that are needed, in order.

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
    """Mend what is broken; the exit code is pip's."""
    for command in repairs(installed_versions(), imports("cv2")):
        finished = subprocess.run(command, check=False)
        if finished.returncode:
            print(f"install.py: {' '.join(command)} failed, see above", file=sys.stderr)
            return finished.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
