"""The pack in a ComfyUI inside this process, with the lab's models known to it."""

from __future__ import annotations

import functools
import importlib
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.in_process import load_pack, part, run_node
from reverse_personalization.geometry.face_search import DEFAULT_DETECTOR_SIZE

from .cache import PACK_NAME, cache

DET_SIZE = DEFAULT_DETECTOR_SIZE
"""The nodes' default."""


@functools.cache
def start() -> ModuleType:
    """The pack, loaded, with the lab's InsightFace folder before all others.

    Raises:
        FileNotFoundError: the models were not fetched.
    """
    missing = cache().missing()
    if missing:
        raise FileNotFoundError(f"{missing[0]} is not there; run python -m lab.real fetch")
    package = load_pack()
    paths: Any = importlib.import_module("folder_paths")
    paths.add_model_folder_path("insightface", str(cache().models / "insightface"), is_default=True)
    return package


def module(name: str) -> ModuleType:
    """A module of the pack, such as "host.insight"."""
    start()
    return part(name)


def node(node_id: str, *args: Any, **kwargs: Any) -> Any:
    """What one of the pack's nodes gives out: its only output, or a tuple of all."""
    start()
    return run_node(node_id, *args, **kwargs)


@functools.cache
def detector(threshold: float) -> Any:
    """The lab's pack, opened as the nodes do (`host.insight.FacePack`)."""
    return module("host.insight").load_pack(PACK_NAME, "CPU", threshold)


def image(pixels: NDArray[np.uint8]) -> Tensor:
    """A picture as the host's loaders give it out, float [1, H, W, 3] in [0, 1]."""
    return torch.from_numpy(pixels.astype(np.float32) / 255)[None]


def bgr(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """RGB [H, W, 3] as InsightFace takes it."""
    return np.ascontiguousarray(pixels[..., ::-1])
