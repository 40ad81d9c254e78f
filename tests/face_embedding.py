"""Runs Embed Faces on pictures and packs whose answers are known."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from reverse_personalization.geometry.faces import Faces
from tests import fake_insight

DEFAULTS = {
    "model_pack": "fake",
    "provider": "auto",
    "detect": True,
    "threshold": 0.3,
    "det_size": 640,
    "select": "all",
    "no_face": "error",
    "search_turned": True,
    "doubtful": "treat",
}


def images(*pictures: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.stack(pictures))


def run(node, image: torch.Tensor, **inputs) -> Faces:
    faces, _ = node.execute(image=image, **{**DEFAULTS, **inputs}).result
    return faces


def report_of(node, image: torch.Tensor, **inputs) -> str:
    return node.execute(image=image, **{**DEFAULTS, **inputs}).result[1]


def landmarks_in(x: float, y: float, side: float) -> np.ndarray:
    return fake_insight.LANDMARKS * side + [x, y]


def bgr(picture: np.ndarray) -> np.ndarray:
    return np.round(picture[..., ::-1] * 255).astype(np.uint8)


def expected_identity(picture: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    from insightface.utils import face_align

    return fake_insight.identity_of(face_align.norm_crop(bgr(picture), landmarks.astype(np.float32)))


def check_preview(file: Mapping[str, Any], expected: np.ndarray) -> None:
    """Check that one of the host's temporary PNGs holds a picture, float [H, W, 3], and nothing else."""
    import folder_paths

    assert file["type"] == "temp"
    path = Path(folder_paths.get_temp_directory(), file["subfolder"], file["filename"])
    with Image.open(path) as image:
        assert not image.info
        shown = np.asarray(image, dtype=np.float64) / 255
    assert shown.shape == expected.shape
    assert np.abs(shown - expected).max() <= 1 / 255 + 1e-6
