"""Writes model files whole or not at all, even if they are larger than memory."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor

DTYPE_NAMES = {torch.float16: "F16", torch.float32: "F32", torch.int64: "I64"}
"""Names of dtypes in the safetensors format."""


@dataclass(frozen=True)
class TensorSpec:
    """Shape and dtype of a tensor that may not exist yet."""

    shape: tuple[int, ...]
    dtype: torch.dtype = torch.float16

    @property
    def nbytes(self) -> int:
        """Size of the tensor's data in bytes."""
        return math.prod(self.shape) * self.dtype.itemsize


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file that appears under `path` when the block ends, or not at all if it raises.

    The folder is created if necessary. An existing file is replaced.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with partial.open("wb") as stream:
            yield stream
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def stream_safetensors(
    stream: BinaryIO, specs: Mapping[str, TensorSpec], make: Callable[[str, TensorSpec], Tensor]
) -> None:
    """Write a safetensors file with one tensor in memory at a time.

    Args:
        stream: the file to write.
        specs: the tensors in the order of the file.
        make: called once for each tensor; must return a CPU tensor of the given shape and dtype.

    Raises:
        ValueError: `make` returned another shape or dtype. The stream is then incomplete.
    """
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, spec in specs.items():
        start, end = end, end + spec.nbytes
        header[name] = {
            "dtype": DTYPE_NAMES[spec.dtype],
            "shape": list(spec.shape),
            "data_offsets": [start, end],
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # The format wants the data aligned to eight bytes.
    stream.write(len(text).to_bytes(8, "little"))
    stream.write(text)
    for name, spec in specs.items():
        tensor = make(name, spec)
        if tuple(tensor.shape) != spec.shape or tensor.dtype != spec.dtype:
            raise ValueError(f"{name}: expected {spec}, but `make` returned {tuple(tensor.shape)} of {tensor.dtype}")
        stream.write(tensor.contiguous().numpy().tobytes())
