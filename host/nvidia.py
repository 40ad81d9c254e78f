"""ONNX Runtime on an NVIDIA card: what its CUDA provider needs to start, and a warning if it does not run there.

onnxruntime is imported where it is used: importing this module stays cheap and works without it.
"""

from __future__ import annotations

import logging
from functools import cache

import comfy.model_management
import torch

from ..install import KEEP_VARIABLE, Libraries, build_is_kept, gpu_requirement, no_gpu_release, torch_libraries


@cache
def preload_libraries() -> None:
    """Load the CUDA libraries that PyTorch brought along, once a process; does nothing in builds without CUDA.

    ONNX Runtime looks for them in the system's folders only. Those that PyTorch has loaded itself are found, but not
    every build of PyTorch loads all that ONNX Runtime needs.
    """
    import onnxruntime

    # Releases before 1.21 have no such function.
    preload = getattr(onnxruntime, "preload_dlls", None)
    if preload is not None and _build_cuda():
        preload()


def card_libraries() -> Libraries | None:
    """The libraries of the NVIDIA card that the host computes on; None if it computes on something else."""
    # AMD's cards are "cuda" as well, but their PyTorch has no CUDA version.
    if comfy.model_management.get_torch_device().type != "cuda":
        return None
    return torch_libraries(torch.version.cuda, torch.backends.cudnn.version())


def warn_of_build_without_cuda() -> None:
    """Log, once a process, that this ONNX Runtime cannot use the card; not if there is none or the build is to stay."""
    _warn("which has no CUDA provider")


def warn_of_failed_start() -> None:
    """Log, once a process, that the CUDA provider did not start; not if there is no card or the build is to stay."""
    _warn("whose CUDA provider did not start (ONNX Runtime gives the reason above)")


def _build_cuda() -> str:
    """The CUDA version that ONNX Runtime is built for; empty of builds without CUDA."""
    import onnxruntime

    return str(getattr(onnxruntime, "cuda_version", ""))


def _warn(found: str) -> None:
    card = card_libraries()
    if card is not None and not build_is_kept():
        _warn_once(found, card)


@cache
def _warn_once(found: str, card: Libraries) -> None:
    import onnxruntime

    name = getattr(onnxruntime, "package_name", "") or "onnxruntime"
    cuda = _build_cuda()
    requirement = gpu_requirement(card)
    if requirement:
        expected = f"{requirement}, which is built for PyTorch's {card}. Run"
    else:
        expected = f"a build for this card, but {no_gpu_release(card)}. Then run"
    logging.warning(
        "Reverse Personalization: faces are searched and compared on the CPU, although ComfyUI computes on an NVIDIA "
        "card. Found: %s %s%s, %s. Expected: %s install.py of this pack with ComfyUI's Python and restart ComfyUI. To "
        "stay on the CPU, choose the provider CPU in the nodes, or set the environment variable %s=1.",
        name,
        onnxruntime.__version__,
        f" for CUDA {cuda}" if cuda else "",
        found,
        expected,
        KEEP_VARIABLE,
    )
