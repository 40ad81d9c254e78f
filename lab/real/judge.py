"""An independent judge of who is who: dlib's recogniser, with its own landmarks and alignment."""

from __future__ import annotations

import functools
import importlib
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .cache import cache
from .fetch import judge_files
from .pictures import Box

ONE_PERSON = 0.45
"""Distance below which two faces are one person's."""

TWO_PEOPLE = 0.6
"""Distance above which they are two people's; between, it does not say."""


@functools.cache
def _models() -> tuple[Any, Any, Any]:
    """dlib, its landmark model, its recogniser.

    Raises:
        FileNotFoundError: they were not fetched.
        FetchError: a file of them is missing.
    """
    folder = cache().judge
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not there; run python -m lab.real fetch")
    sys.path.append(str(folder))
    try:
        dlib: Any = importlib.import_module("dlib")
    finally:
        sys.path.remove(str(folder))
    files = judge_files(cache())
    return (
        dlib,
        dlib.shape_predictor(str(files["landmarks"])),
        dlib.face_recognition_model_v1(str(files["recogniser"])),
    )


def describe(pixels: NDArray[np.uint8], box: Box) -> NDArray[np.float64]:
    """Who somebody is, [128].

    Args:
        pixels: RGB [H, W, 3].
        box: of the face.
    """
    dlib, landmarks, recogniser = _models()
    place = dlib.rectangle(*(round(side) for side in box))
    shape = landmarks(np.ascontiguousarray(pixels), place)
    return np.array(recogniser.compute_face_descriptor(np.ascontiguousarray(pixels), shape))


def distances(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distances [N, M] between descriptors [N, 128] and [M, 128]."""
    result: NDArray[np.float64] = np.linalg.norm(a[:, None] - b[None], axis=2)
    return result
