"""Embeds the denoiser's training portraits with the finished recogniser."""

from __future__ import annotations

import hashlib

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from miniature.files import whole_file
from miniature.insight import RECOGNITION_SIDE
from miniature.layout import FACE_PACK

from .crops import noisy_landmarks, similarity, warp
from .loop import Workshop
from .portraits import PortraitSet
from .recogniser import embed_crops

RECOGNITION = FACE_PACK / "recognition.onnx"
_SEED = 31


def embedded(shop: Workshop, portraits: PortraitSet) -> Tensor:
    """Return embeddings [N, 512] of unit length from crops as inexact as a detector's, computed once for a recogniser.

    Raises:
        FileNotFoundError: the recogniser has not been trained.
    """
    path = shop.models / RECOGNITION
    file = shop.directory / f"embeddings-{portraits.name}-{hashlib.sha256(path.read_bytes()).hexdigest()[:12]}.pt"
    if file.exists():
        stored: Tensor = torch.load(file, weights_only=True)
        return stored
    arrays = portraits.load(shop.data)
    landmarks = noisy_landmarks(arrays["landmarks"] - 0.5, np.random.default_rng(_SEED))
    crops = warp(arrays["image"], similarity(landmarks), RECOGNITION_SIDE)
    embeddings = F.normalize(torch.from_numpy(embed_crops(path, crops)), dim=1)
    with whole_file(file) as stream:
        torch.save(embeddings, stream)
    return embeddings
