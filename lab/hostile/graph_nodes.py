"""Nodes of the graph that no pack has: one that outputs arbitrary pictures, and one that keeps a result."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .files import read_tensors


class TensorSource:
    """A node that outputs arbitrary pictures, as nodes of other packs do."""

    CATEGORY, FUNCTION, RETURN_TYPES, OUTPUT_IS_LIST = "tests", "run", ("IMAGE",), (True,)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802 - the host's name
        """Declare the node's input, a file name."""
        return {"required": {"name": ("STRING", {})}}

    def run(self, name: str) -> tuple[list[Tensor]]:
        """Load the pictures in a file of the input folder."""
        pictures, listed = read_tensors(Path(importlib.import_module("folder_paths").get_input_directory(), name))
        tensors = [torch.from_numpy(one) for one in pictures]
        batches = [one if one.ndim == 4 else one[None] for one in tensors]
        return (batches if listed else [torch.cat(batches)],)


class Keep:
    """A node that requests a picture, so that the host computes and caches it."""

    CATEGORY, FUNCTION, RETURN_TYPES, OUTPUT_NODE = "tests", "run", (), True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802 - the host's name
        """Declare the node's input, a picture."""
        return {"required": {"image": ("IMAGE", {})}}

    def run(self, image: Tensor) -> dict[str, Any]:
        """Do nothing."""
        return {}
