"""sha256 of model files, for reports that say what a result was made with."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import comfy.model_management
import folder_paths

from ..reverse_personalization.assurance.scrub import read_nodes

_CHUNK = 1 << 24

_MODEL_EXTENSIONS = {*folder_paths.supported_pt_extensions, ".gguf", ".onnx"}

_NO_MODELS = {"custom_nodes"}
"""Folders that the host lists beside those of its models."""

# By path, size and time of change: hashing a checkpoint of seven gigabytes takes seconds, once per process.
_known: dict[tuple[str, int, int], str] = {}


def heed_interrupts() -> None:
    """End the run if the user has cancelled it.

    Raises:
        comfy.model_management.InterruptProcessingException: the user did.
    """
    comfy.model_management.throw_exception_if_processing_interrupted()


def file_sha256(path: str | os.PathLike[str], between: Callable[[], None] = heed_interrupts) -> str:
    """sha256 of a file as 64 hexadecimal digits; remembered until its path, size or time of change differs.

    Args:
        path: of the file.
        between: called now and then. Who hashes outside of a run gives another function: the host forgets that the user
            has cancelled a run as soon as anybody asks.

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
                between()
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
    values = (value for node in read_nodes(prompt).values() for value in node.inputs.values())
    return files_named(value for value in values if isinstance(value, str))


def is_model_file(word: str) -> bool:
    """Whether a word is named like a file of a model."""
    return os.path.splitext(word)[1].lower() in _MODEL_EXTENSIONS


def files_named(words: Iterable[str]) -> dict[str, str]:
    """The model files among words; as `named_models`."""
    names = {word for word in words if is_model_file(word)}
    found: dict[str, str] = {}
    named: Counter[str] = Counter()
    for kind in sorted(set(folder_paths.folder_names_and_paths) - _NO_MODELS):
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
