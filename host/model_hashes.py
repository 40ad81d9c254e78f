"""sha256 of model files, for reports that say what a result was made with."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Mapping
from typing import Any

import comfy.model_management
import folder_paths

from ..reverse_personalization.assurance.scrub import read_nodes

_CHUNK = 1 << 24

_MODEL_EXTENSIONS = {*folder_paths.supported_pt_extensions, ".gguf", ".onnx"}

# By path, size and time of change: hashing a checkpoint of seven gigabytes takes seconds, once per process.
_known: dict[tuple[str, int, int], str] = {}


def file_sha256(path: str | os.PathLike[str]) -> str:
    """sha256 of a file as 64 hexadecimal digits; remembered until its path, size or time of change differs.

    Args:
        path: of the file.

    Raises:
        OSError: it cannot be read.
        comfy.model_management.InterruptProcessingException: the user cancelled the run.
    """
    state = os.stat(path)
    key = (os.path.realpath(path), state.st_size, state.st_mtime_ns)
    if key not in _known:
        digest = hashlib.sha256()
        with open(path, "rb") as file:
            while chunk := file.read(_CHUNK):
                comfy.model_management.throw_exception_if_processing_interrupted()
                digest.update(chunk)
        _known[key] = digest.hexdigest()
    return _known[key]


def named_models(prompt: Mapping[str, Any]) -> dict[str, str]:
    """The model files that a graph names.

    Args:
        prompt: the host's, in API form: node ids with `class_type` and `inputs`.

    Returns:
        Paths by "folder type/file name", such as "checkpoints/sd_xl_base_1.0.safetensors". A name that exists in
        several of the host's model folders appears once for each; files of the same name in several subfolders are
        numbered: "loras/face.safetensors", "loras/face.safetensors (2)".
    """
    names = {
        value
        for node in read_nodes(prompt).values()
        for value in node.inputs.values()
        if isinstance(value, str) and os.path.splitext(value)[1].lower() in _MODEL_EXTENSIONS
    }
    found: dict[str, str] = {}
    named: Counter[str] = Counter()
    for kind in sorted(folder_paths.folder_names_and_paths):
        for name in sorted(names):
            path = folder_paths.get_full_path(kind, name)
            if path is not None and path not in found.values():
                key = f"{kind}/{os.path.basename(path)}"
                named[key] += 1
                found[key if named[key] == 1 else f"{key} ({named[key]})"] = path
    return found


def model_hashes(prompt: Mapping[str, Any]) -> dict[str, str]:
    """sha256 of every model file that a graph names, by "folder type/file name" (see `named_models`)."""
    return {name: file_sha256(path) for name, path in named_models(prompt).items()}
