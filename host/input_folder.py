"""Where photographs come from: the input folder, the server's memory or the pack; and digests of their content."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterable
from pathlib import Path

import folder_paths

from ..reverse_personalization.errors import NotKeptError
from .kept_files import PHOTOGRAPHS
from .sample import SAMPLES, provide_samples

# The host writes what it compares into the graph, and the graph into pictures: without the key, which ends with the
# process, nobody can tell from a digest which photograph it was.
_KEY = secrets.token_bytes(32)

PHOTOGRAPH_ABSENT = (
    "the photograph is not in ComfyUI's input folder: upload it with the node's button, or drop it on the node, and "
    "choose it"
)


def picture_names() -> list[str]:
    """Names of the pictures directly in the input folder, as the host's own loader offers them, and the samples'."""
    folder = folder_paths.get_input_directory()
    names = [name for name in os.listdir(folder) if os.path.isfile(os.path.join(folder, name))]
    return [*sorted(folder_paths.filter_files_content_types(names, ["image"])), *SAMPLES]


def folder_names() -> list[str]:
    """Names of all folders below the input folder, with slashes."""
    return list(folder_paths.get_input_subfolders())


def chosen_path(name: str) -> Path | None:
    """Where a chosen picture or folder lies.

    Args:
        name: relative to the input folder, with slashes; "[output]" or "[temp]" behind it names another of the host's
            folders, as the mask editor does.

    Returns:
        The path, or None if there is nothing, or if it would lie outside that folder.
    """
    return Path(folder_paths.get_annotated_filepath(name)) if folder_paths.exists_annotated_filepath(name) else None


def photograph_there(name: str) -> bool:
    """Whether there is such a photograph.

    Args:
        name: of a picture as `chosen_path` takes it, or of a photograph in the server's memory, or a sample's.
    """
    if name in SAMPLES:
        # Somebody may have emptied the folder that it is shown from.
        provide_samples()
        return SAMPLES[name].is_file()
    return PHOTOGRAPHS.holds(name) or chosen_path(name) is not None


def photograph_bytes(name: str) -> bytes:
    """The file of a photograph.

    Args:
        name: as for `photograph_there`.

    Raises:
        NotKeptError: it is in neither place.
        OSError: the file cannot be read.
    """
    path = SAMPLES[name] if name in SAMPLES else chosen_path(name)
    if name.startswith(PHOTOGRAPHS.prefix) and path is None:
        return PHOTOGRAPHS.get(name).content
    if path is None:
        raise NotKeptError(PHOTOGRAPH_ABSENT)
    return path.read_bytes()


def secret_digest(parts: Iterable[bytes]) -> str:
    """A digest that is the same for the same content in this process, and tells nobody else anything.

    Args:
        parts: of the content, in order.

    Returns:
        64 hexadecimal digits.
    """
    digest = hashlib.blake2b(key=_KEY, digest_size=32)
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()
