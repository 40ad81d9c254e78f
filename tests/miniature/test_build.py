"""The miniature is written reproducibly."""

from __future__ import annotations

from pathlib import Path

import safetensors.torch
import torch

from miniature.build import build
from miniature.layout import CHECKPOINT, FACE_PACK


def contents(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


class TestSeed:
    def test_same_seed_same_bytes(self, models, tmp_path):
        build(tmp_path, seed=0)
        here, there = contents(tmp_path), contents(models)
        assert here.keys() == there.keys()
        assert [name for name in here if here[name] != there[name]] == []

    def test_another_seed_other_weights(self, models, tmp_path):
        build(tmp_path, seed=1)
        here, there = contents(tmp_path), contents(models)
        # Detection has no random weights.
        assert {name for name in here if here[name] == there[name]} == {str(FACE_PACK / "detection.onnx")}

    def test_no_tensor_repeats_another(self, models):
        tensors = safetensors.torch.load_file(models / CHECKPOINT)
        random = [tensor for tensor in tensors.values() if tensor.ndim >= 2 and tensor.dtype == torch.float16]
        assert len({tensor.numpy().tobytes() for tensor in random}) == len(random)
