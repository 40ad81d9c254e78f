"""The host's input folder: what can be chosen in it, where a choice lies, and digests that tell when it changes."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterable
from pathlib import Path

import folder_paths

# The host writes what it compares into the graph, and the graph into pictures: without the key, which ends with the
# process, nobody can tell from a digest which photograph it was.
_KEY = secrets.token_bytes(32)


def picture_names() -> list[str]:
    """Names of the pictures directly in the input folder, as the host's own loader offers them."""
    folder = folder_paths.get_input_directory()
    names = [name for name in os.listdir(folder) if os.path.isfile(os.path.join(folder, name))]
    return sorted(folder_paths.filter_files_content_types(names, ["image"]))


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
