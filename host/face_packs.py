"""InsightFace's model packs on disk: which are installed, where their files are, and opening one.

insightface and onnxruntime are imported where they are used: importing this module stays cheap and works without
them. Nothing is ever downloaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import folder_paths

from ..reverse_personalization.errors import MissingModelError
from ..reverse_personalization.geometry.faces import EMBEDDING_WIDTH
from .model_folders import INSIGHTFACE_FOLDER
from .nvidia import preload_libraries, warn_of_build_without_cuda

DEFAULT_PACK = "buffalo_l"

PROVIDERS = {
    "CPU": "CPUExecutionProvider",
    "CUDA": "CUDAExecutionProvider",
    "TensorRT": "TensorrtExecutionProvider",
    "ROCm": "ROCMExecutionProvider",
    "MIGraphX": "MIGraphXExecutionProvider",
    "OpenVINO": "OpenVINOExecutionProvider",
    "CoreML": "CoreMLExecutionProvider",
    "DirectML": "DmlExecutionProvider",
}
"""The user's names of the providers, and ONNX Runtime's."""

# TensorRT is left out: it compiles every model for minutes before the first face.
AUTO_PROVIDERS = ("CUDA", "ROCm", "MIGraphX", "DirectML", "CoreML", "OpenVINO", "CPU")

CROP_SIDE = 112
"""Side in pixels of the crops that the recogniser takes."""

EXPECTED_RECOGNISER = f"a face recogniser of {CROP_SIDE}x{CROP_SIDE} crops"
EXPECTED_FILES = (
    "Expected in that folder: a face detector in SCRFD form with landmarks (det_10g.onnx in buffalo_l) and "
    f"{EXPECTED_RECOGNISER} (w600k_r50.onnx in buffalo_l), with {EMBEDDING_WIDTH} outputs if it is to guide."
)


def choose_providers(choice: str, available: Sequence[str]) -> list[Any]:
    """ONNX Runtime's `providers` argument for the user's choice.

    Args:
        choice: "auto" or a key of `PROVIDERS`.
        available: the result of `onnxruntime.get_available_providers()`.

    Returns:
        The provider, with options where its defaults do not suit, then the CPU for operations that it cannot run.

    Raises:
        ValueError: this ONNX Runtime does not have the provider.
    """
    names = [name for name, provider in PROVIDERS.items() if provider in available]
    if choice == "auto":
        choice = next(name for name in AUTO_PROVIDERS if name in names)
    elif choice not in names:
        raise ValueError(
            f'the provider is "{choice}", but the installed ONNX Runtime has only {", ".join(names)}; choose '
            f'one of these or "auto", or replace onnxruntime with the build that has {choice}'
        )
    if choice == "CPU":
        return [PROVIDERS["CPU"]]
    if choice == "CUDA":
        # By default it times every algorithm for every new input size, which takes seconds per view in every run.
        return [(PROVIDERS["CUDA"], {"cudnn_conv_algo_search": "HEURISTIC"}), PROVIDERS["CPU"]]
    return [PROVIDERS[choice], PROVIDERS["CPU"]]


def installed_packs() -> list[str]:
    """Names of the folders under `models` in every registered InsightFace folder, sorted.

    `DEFAULT_PACK` is listed even if it is not installed: the run then says what is missing and where.
    """
    packs = {DEFAULT_PACK}
    for root in folder_paths.get_folder_paths(INSIGHTFACE_FOLDER):
        models = Path(root, "models")
        if models.is_dir():
            packs.update(entry.name for entry in models.iterdir() if entry.is_dir())
    return sorted(packs)


def find_pack(name: str) -> Path:
    """The folder with the pack's ONNX files.

    Archives are often unpacked into a folder of the same name, so subfolders are searched too, one level down.

    Args:
        name: of the pack, as `installed_packs` lists it.

    Raises:
        FileNotFoundError: no registered InsightFace folder has such a pack.
    """
    searched = []
    for root in folder_paths.get_folder_paths(INSIGHTFACE_FOLDER):
        folder = Path(root, "models", name)
        if not folder.is_dir():
            searched.append(f"  {folder} (no such folder)")
            continue
        nested = sorted(entry for entry in folder.iterdir() if entry.is_dir())
        for candidate in [folder, *nested]:
            if any(candidate.glob("*.onnx")):
                return candidate
        searched.append(f"  {folder} (no .onnx file in it)")
    raise MissingModelError(
        f'the InsightFace model pack "{name}" is not installed. Searched:\n'
        + "\n".join(searched)
        + f"\n{EXPECTED_FILES}\nUnpack the pack into one of the folders above; this node never downloads it."
    )


def import_remedy(error: ImportError) -> str:
    """One line that tells the user how to make InsightFace importable."""
    if error.name == "insightface":
        return "InsightFace is not installed; run: python -m pip install 'insightface>=2.0' (ComfyUI's Python)"
    if "libGL" in str(error) or error.name == "cv2":
        return (
            f"OpenCV cannot be imported ({error}); run: python -m pip uninstall -y opencv-python && "
            "python -m pip install opencv-python-headless (ComfyUI's Python)"
        )
    if "onnxruntime" in str(error).lower().replace(" ", ""):
        return (
            f"ONNX Runtime cannot be imported ({error}); run: python -m pip install onnxruntime "
            "(ComfyUI's Python; for NVIDIA onnxruntime-gpu in its place, never both)"
        )
    return (
        f"InsightFace cannot be imported ({error}); run: python -m pip install --upgrade 'insightface>=2.0' "
        "(ComfyUI's Python)"
    )


def import_model_zoo() -> ModuleType:
    """InsightFace's model loader.

    Raises:
        RuntimeError: InsightFace or a package it needs cannot be imported; the message gives the remedy.
    """
    try:
        from insightface import model_zoo
    except ImportError as error:
        raise RuntimeError(import_remedy(error)) from error
    return model_zoo


def available_providers(choice: str) -> list[Any]:
    """The `providers` argument for the installed ONNX Runtime; see `choose_providers`.

    Loads what CUDA needs if it may be taken, and warns if "auto" takes the CPU beside an NVIDIA card.

    Raises:
        RuntimeError: InsightFace, which installs ONNX Runtime, cannot be imported.
        ValueError: this ONNX Runtime does not have the provider.
    """
    import_model_zoo()
    import onnxruntime

    if choice in ("auto", "CUDA", "TensorRT"):
        # Builds that load their providers as plugins list CUDA only afterwards.
        preload_libraries()
    providers = choose_providers(choice, onnxruntime.get_available_providers())
    if choice == "auto" and providers == [PROVIDERS["CPU"]]:
        warn_of_build_without_cuda()
    return providers


def open_model(file: Path, providers: list[Any], threads: int) -> Any:
    """A model file as InsightFace's object with an open session, or None if InsightFace does not recognise it.

    Args:
        file: ONNX.
        providers: as `choose_providers` returns them.
        threads: number of computing threads.

    Raises:
        RuntimeError: InsightFace cannot be imported, or the file cannot be used.
    """
    model_zoo = import_model_zoo()
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as ort

    options = onnxruntime.SessionOptions()
    # Errors only: published detectors declare the output shapes of one input size and warn at all others.
    options.log_severity_level = 3
    # By default it takes all cores, with threads that spin while waiting: two processes at once took twice as long.
    options.intra_op_num_threads = threads
    try:
        return model_zoo.get_model(
            str(file),
            providers=providers,
            sess_options=options,
            # One session for all input sizes, not one each. CoreML alone cannot change the size.
            static_shape_sessions=providers[0] == PROVIDERS["CoreML"],
        )
    except (
        ort.Fail,
        ort.InvalidArgument,
        ort.InvalidGraph,
        ort.InvalidProtobuf,
        ort.NotImplemented,
        ort.RuntimeException,
        # InsightFace raises these for inputs or outputs that it does not recognise.
        AssertionError,
        IndexError,
        TypeError,
    ) as error:
        raise damaged_file(file, error) from error


def damaged_file(file: Path, found: Exception | str) -> RuntimeError:
    """The error for a model file that cannot be used."""
    return RuntimeError(
        f"{file} cannot be used ({str(found) or type(found).__name__}); if it belongs to the pack, it is damaged or "
        "incomplete: replace it with a complete copy; if not, remove it from the folder"
    )
