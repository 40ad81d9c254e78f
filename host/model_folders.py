"""Where the pack's models live: the folders `insightface` and `ipadapter` under the host's model folder."""

from __future__ import annotations

import os

import folder_paths

IPADAPTER_FOLDER = "ipadapter"
INSIGHTFACE_FOLDER = "insightface"

ADAPTER_EXTENSIONS = {".bin", ".safetensors"}
"""File types that FaceID adapters come in."""


def register_model_folders() -> None:
    """Register both model folders with the host, besides those that settings or other packs have registered.

    Folders from `extra_model_paths.yaml` and from other packs stay, and stay first. Calling it twice changes
    nothing.
    """
    # A model pack is a folder, not a file: an empty set lets the host list whatever is in it.
    _register(INSIGHTFACE_FOLDER, set())
    _register(IPADAPTER_FOLDER, ADAPTER_EXTENSIONS)


def _register(name: str, extensions: set[str]) -> None:
    new = name not in folder_paths.folder_names_and_paths
    folder_paths.add_model_folder_path(name, os.path.join(folder_paths.models_dir, name))
    folders, allowed = folder_paths.folder_names_and_paths[name]
    # To the host an empty set means "every file": if somebody else chose that, narrowing it would hide their
    # files. Any other set is replaced, not extended in place, because the host's own folders may share it.
    if new or (allowed and not extensions <= set(allowed)):
        folder_paths.folder_names_and_paths[name] = (folders, extensions | set(allowed))


def adapter_files() -> list[str]:
    """Names of the files in the adapter folders that can be FaceID files.

    The host lists every kind of file if somebody else registered the folder for all of them.
    """
    names = folder_paths.get_filename_list(IPADAPTER_FOLDER)
    return [name for name in names if os.path.splitext(name)[1].lower() in ADAPTER_EXTENSIONS]
