"""Give this machine the builds of ONNX Runtime and OpenCV that suit it, and repair what pip breaks.

ComfyUI-Manager runs this file after requirements.txt. By hand, with the Python that runs ComfyUI:

    python -m pip install -r requirements.txt
    python install.py

insightface requires `onnxruntime` and `opencv-python` by name, even if another build of them is installed:

- `onnxruntime` computes on the CPU alone. If PyTorch can use an NVIDIA card and ONNX Runtime cannot, this file installs
  the onnxruntime-gpu that is built for PyTorch's CUDA, unless `KEEP_VARIABLE` is set.
- Over onnxruntime-gpu (or another build) pip installs the CPU build, which overwrites its files: CUDA is gone, and
  uninstalling either build breaks both. This file removes the CPU build and reinstalls the other one.
- opencv-python needs display libraries that servers lack. If it cannot be imported, the headless build of the same
  version replaces it.

If nothing is to be done, this file changes nothing.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import subprocess
import sys
from importlib.metadata import distributions
from typing import NamedTuple

KEEP_VARIABLE = "REVERSE_PERSONALIZATION_KEEP_ONNXRUNTIME"
"""Environment variable: anything but nothing or 0 keeps the build of ONNX Runtime that is installed."""

CPU_BUILD = "onnxruntime"
GPU_BUILD = "onnxruntime-gpu"
OTHER_RUNTIMES = (
    GPU_BUILD,
    "onnxruntime-directml",
    "onnxruntime-openvino",
    "onnxruntime-migraphx",
    "onnxruntime-rocm",
    "onnxruntime-qnn",
)


class Libraries(NamedTuple):
    """Major versions of NVIDIA's libraries that PyTorch brings along; ONNX Runtime must be built for the same ones."""

    cuda: int
    cudnn: int

    def __str__(self) -> str:
        return f"CUDA {self.cuda} with cuDNN {self.cudnn}"


# What the wheels' provider library is linked with and what their build_and_package_info.py says, up to 1.31.1. Within
# 1.18 only 1.18.1 declares that it cannot use NumPy 2.
GPU_RELEASES = {
    Libraries(11, 8): "==1.18.1",
    Libraries(12, 9): ">=1.19,<1.27",
    Libraries(13, 9): ">=1.27",
}
"""The releases of onnxruntime-gpu on PyPI that are built for these libraries."""

ASK_TORCH = """
import json, torch
usable = torch.version.cuda is not None and torch.cuda.is_available()
print(json.dumps([torch.version.cuda, torch.backends.cudnn.version()] if usable else [None, None]))
"""

# The bytes are an ONNX file that returns its input. Without PyTorch's libraries in memory CUDA would not be found.
START_CUDA = """
import torch, onnxruntime
getattr(onnxruntime, "preload_dlls", lambda: None)()
model = bytes.fromhex(
    "08083a390a120a017812017922084964656e746974793a001201675a0f0a0178120a0a08080112040a02"
    "0801620f0a0179120a0a08080112040a02080142040a001011"
)
session = onnxruntime.InferenceSession(model, providers=["CUDAExecutionProvider", "CPUExecutionProvider"])
raise SystemExit(session.get_providers()[0] != "CUDAExecutionProvider")
"""


def installed_versions() -> dict[str, str]:
    """Versions of all packages visible to this interpreter, by name in lower case with hyphens."""
    # pip may have run since the last look.
    importlib.invalidate_caches()
    found = ((distribution.metadata["Name"], distribution.version) for distribution in distributions())
    # A crashed installation can leave a package with empty metadata and therefore no name.
    return {name.lower().replace("_", "-"): version for name, version in found if name}


def python(script: str) -> subprocess.CompletedProcess[str]:
    """What a script says and returns in a new process of this interpreter."""
    return subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True)


def imports(module: str) -> bool:
    """Whether a new process of this interpreter can import a module."""
    return python(f"import {module}").returncode == 0


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
    if CPU_BUILD in installed and others:
        commands += replaced(CPU_BUILD, others[0], installed[others[0]])
    if "opencv-python" in installed and not opencv_imports:
        commands += replaced("opencv-python", "opencv-python-headless", installed["opencv-python"])
    return commands


def build_is_kept() -> bool:
    """Whether the user wants to keep the build of ONNX Runtime that is installed."""
    return os.environ.get(KEEP_VARIABLE, "") not in ("", "0")


def torch_libraries(cuda: str | None, cudnn: int | None) -> Libraries | None:
    """The libraries that PyTorch is built for.

    Args:
        cuda: `torch.version.cuda`; None of builds without CUDA.
        cudnn: `torch.backends.cudnn.version()`: 8902 is 8.9.2, 90100 is 9.1.0; None if there is no cuDNN.

    Returns:
        Their major versions, cuDNN's 0 if there is none; None of builds without CUDA.
    """
    if cuda is None:
        return None
    number = cudnn or 0
    return Libraries(int(cuda.split(".")[0]), number // (10_000 if number >= 90_000 else 1000))


def card_libraries() -> Libraries | None:
    """The libraries that PyTorch uses on this machine's NVIDIA card; None if it can use no such card."""
    answer = python(ASK_TORCH)
    # Whatever else a PyTorch prints while it is imported comes before.
    return torch_libraries(*json.loads(answer.stdout.splitlines()[-1])) if answer.returncode == 0 else None


def cuda_starts() -> bool:
    """Whether the installed ONNX Runtime really opens a session on the card."""
    return python(START_CUDA).returncode == 0


def gpu_requirement(needed: Libraries) -> str | None:
    """The onnxruntime-gpu for these libraries, as pip takes it; None if PyPI has none."""
    return f"{GPU_BUILD}{GPU_RELEASES[needed]}" if needed in GPU_RELEASES else None


def no_gpu_release(needed: Libraries) -> str:
    """What to say about libraries for which PyPI has no onnxruntime-gpu."""
    known = ", ".join(map(str, GPU_RELEASES))
    return f"PyPI has no {GPU_BUILD} for {needed}, only for {known}; install a PyTorch for one of these"


def say(message: str) -> None:
    """Tell the user what could not be done."""
    print(f"install.py: {message}", file=sys.stderr)


def provide_gpu_build(installed: dict[str, str]) -> bool:
    """Install the onnxruntime-gpu that fits PyTorch, over the build that is there, if CUDA does not start with that.

    The nodes also work on the CPU, so what goes wrong is said and is no error.

    Args:
        installed: versions by package name.

    Returns:
        Whether it is installed now.
    """
    foreign = set(OTHER_RUNTIMES) - {GPU_BUILD}
    if build_is_kept() or foreign & set(installed) or not {CPU_BUILD, GPU_BUILD} & set(installed):
        return False
    needed = card_libraries()
    if needed is None or cuda_starts():
        return False
    requirement = gpu_requirement(needed)
    if requirement is None:
        say(f"faces will be searched and compared on the CPU, because {no_gpu_release(needed)}, then run this again")
        return False
    # Other packages were built for the NumPy that is there.
    numpy = [f"numpy=={installed['numpy']}"] if "numpy" in installed else []
    command = pip("install", requirement, *numpy)
    if subprocess.run(command, check=False).returncode:
        say(
            f"{' '.join(command)} failed; see above. Faces will be searched and compared on the CPU. Remove the cause "
            f"and run this again, or set {KEEP_VARIABLE}=1 to stay on the CPU"
        )
        return False
    return True


def main() -> int:
    """Provide what is missing, repair what is broken and return pip's exit code."""
    provided = provide_gpu_build(installed_versions())
    # What was provided lies over the CPU build. pip leaves them the other way round; one repair serves both.
    for command in repairs(installed_versions(), imports("cv2")):
        finished = subprocess.run(command, check=False)
        if finished.returncode:
            say(f"{' '.join(command)} failed; see above")
            return finished.returncode
    if provided and not cuda_starts():
        say(
            f"{GPU_BUILD} is installed, but its CUDA provider does not start: faces will be searched and compared on "
            "the CPU. ComfyUI's log will say why when a node first searches for faces"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
