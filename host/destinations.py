"""Where Save Anonymized Image puts a picture: a new file in the output folder, or the server's memory."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import folder_paths
from comfy_api.latest import io, ui
from torch import Tensor

from ..reverse_personalization.assurance.image_files import FileFormat, flush_folder, numbered, save_numbered
from ..reverse_personalization.errors import NoRoomError, NotSavedError
from .kept_files import RESULTS

OUTPUT_FOLDER, MEMORY = "output folder", "memory"
DESTINATIONS = (OUTPUT_FOLDER, MEMORY)
"""What the user chooses from; the first is the default."""


class Destination(Protocol):
    """Takes the pictures of a batch, one after the other."""

    def put(self, index: int, file_format: FileFormat, picture: bytes, reports: Mapping[str, bytes]) -> dict[str, Any]:
        """Keep a picture and its reports: all or nothing.

        Args:
            index: of the picture in the batch, from 0.
            file_format: of the file.
            picture: the file's bytes.
            reports: the bytes of each by its file's suffix.

        Returns:
            How a program finds the file; for one in the output folder, what the host calls a saved result.

        Raises:
            NotSavedError: it could not be kept; the pictures before it in the batch are.
        """
        ...


class OutputFolder:
    """New files in the output folder, numbered as the host does.

    Args:
        prefix: of the names, as the host's Save Image takes it.
        images: the batch, [B, H, W, C].

    Raises:
        NotSavedError: the folder could not be made or read.
    """

    def __init__(self, prefix: str, images: Tensor) -> None:
        self._batch, height, width = images.shape[:3]
        root = Path(folder_paths.get_output_directory())
        try:
            folder, self._stem, self._number, self._subfolder, _ = folder_paths.get_save_image_path(
                prefix, str(root), width, height
            )
            # The host may just have made the folder and its parents.
            for made in Path(self._subfolder).parents:
                flush_folder(root / made)
        except OSError as error:
            raise NotSavedError(
                f"nothing was saved: the folder for the files could not be made or read ({error.strerror}); free some "
                "space or choose another filename_prefix, and run again"
            ) from error
        self._folder = Path(folder)

    def put(self, index: int, file_format: FileFormat, picture: bytes, reports: Mapping[str, bytes]) -> dict[str, Any]:
        """Save a file; see `Destination`."""
        stem = self._stem.replace("%batch_num%", str(index))
        try:
            number = save_numbered(self._folder, stem, self._number, file_format.suffix, picture, reports)
        except OSError as error:
            raise NotSavedError(
                f"image {index + 1} of {self._batch} was not saved ({error.strerror}): no part of it is left, and "
                f"{index} before it {'is' if index == 1 else 'are'} saved; free some space or choose another "
                "filename_prefix, and run again"
            ) from error
        self._number = number + 1
        return ui.SavedResult(f"{numbered(stem, number)}{file_format.suffix}", self._subfolder, io.FolderType.output)


class Memory:
    """The server's memory, from which a program fetches each file by its token."""

    def put(self, index: int, file_format: FileFormat, picture: bytes, reports: Mapping[str, bytes]) -> dict[str, Any]:
        """Keep a file; see `Destination`. The report for programs goes with the answer alone."""
        try:
            token = RESULTS.put(picture, file_format.media_type)
        except NoRoomError as error:
            raise NotSavedError(f"image {index + 1} was not kept: {error}") from error
        return {"token": token}


def described(file_format: FileFormat, picture: bytes) -> dict[str, Any]:
    """What a program may want to know of a file wherever it is."""
    return {
        "media_type": file_format.media_type,
        "suffix": file_format.suffix,
        "sha256": hashlib.sha256(picture).hexdigest(),
    }
