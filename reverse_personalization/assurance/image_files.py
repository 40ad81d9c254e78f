"""Picture files: which there are, and new ones: without metadata, whole or not at all, never over another file."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import folder_paths
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

LOSSLESS_QUALITY = 100
"""Quality from which WebP is lossless."""

REPORT_SUFFIX = ".json"

PNG_COMPRESSION = 4
"""The host's own: higher levels take several times as long for a few percent."""


@dataclass(frozen=True)
class FileFormat:
    """What is known of a file format.

    Attributes:
        suffix: of its files.
        longest: side in pixels that it can hold.
        alpha: whether it has an alpha channel.
        text: whether it can carry a workflow that ComfyUI reads.
    """

    suffix: str
    longest: int
    alpha: bool
    text: bool


FILE_FORMATS = {
    "png": FileFormat(".png", longest=2**31 - 1, alpha=True, text=True),
    "webp": FileFormat(".webp", longest=16383, alpha=True, text=False),
    "jpeg": FileFormat(".jpg", longest=65500, alpha=False, text=False),
}
"""By the user's word for it, which is also Pillow's; the first is the default."""

# What file systems answer that cannot flush a folder (network shares, FUSE), and what a folder does that may be written
# and not read. Whatever else a flush ends with is a disk that lost something.
_NO_FLUSH = {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EBADF, errno.EACCES, errno.EPERM}

# What file systems without hard links answer (exFAT, some network shares).
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV}


def loadable_files() -> Iterator[str]:
    """Names of all files below the host's input folder, relative to it; a folder that several links lead to, once."""
    root = folder_paths.get_input_directory()
    seen = set()
    for folder, inner, names in os.walk(root, followlinks=True):
        place = os.path.realpath(folder)
        if place in seen:
            inner.clear()
            continue
        seen.add(place)
        below = os.path.relpath(folder, root)
        yield from names if below == os.curdir else (os.path.join(below, name) for name in names)


def encode(levels: NDArray[np.uint8], file_format: str, quality: int, texts: Mapping[str, str]) -> bytes:
    """A picture file's bytes.

    Args:
        levels: uint8 [H, W, C], C in 1, 3, 4.
        file_format: key of `FILE_FORMATS`.
        quality: 1 to 100, of WebP and JPEG.
        texts: of a PNG, by their keywords; other formats hold none.

    Returns:
        The file, with the pixels, `texts`, and nothing else.
    """
    picture = Image.fromarray(levels[..., 0] if levels.shape[2] == 1 else levels)
    file = io.BytesIO()
    if file_format == "png":
        info = PngInfo()
        for keyword, text in texts.items():
            info.add_text(keyword, text)
        picture.save(file, "png", pnginfo=info, compress_level=PNG_COMPRESSION)
    elif file_format == "webp":
        # exact: colours under a transparent alpha are kept, as they are in a PNG.
        picture.save(file, "webp", quality=quality, lossless=quality >= LOSSLESS_QUALITY, exact=True)
    else:
        picture.save(file, "jpeg", quality=quality)
    return file.getvalue()


def save_numbered(folder: Path, stem: str, number: int, suffix: str, picture: bytes, report: bytes | None) -> int:
    """Save a picture, and its report beside it, under the first free number: both or none.

    The report comes first, under its own name, and goes again if the picture fails: what sees the picture can rely
    on the report.

    Args:
        folder: that exists.
        stem: of the names, `stem_00001_` and so on.
        number: to begin with.
        suffix: of the picture.
        picture: the file.
        report: the JSON file, or None for none.

    Returns:
        The number that was free.

    Raises:
        OSError: it could not be written. Nothing of it is left.
    """
    while True:
        path = folder / f"{numbered(stem, number)}{suffix}"
        with contextlib.suppress(FileExistsError), contextlib.ExitStack() as undo:
            if report is not None:
                write_new(path.with_suffix(REPORT_SUFFIX), report)
                undo.callback(os.unlink, path.with_suffix(REPORT_SUFFIX))
            write_new(path, picture)
            undo.pop_all()
            return number
        number += 1


def numbered(stem: str, number: int) -> str:
    """A file's name without its suffix, as the host counts."""
    return f"{stem}_{number:05}_"


def write_new(path: Path, content: bytes) -> None:
    """Write a file that is either there with all its bytes or not there, also after the power has failed.

    Args:
        path: of the file.
        content: its bytes.

    Raises:
        FileExistsError: there is one of that name; it stays as it is.
        OSError: it could not be written, or its folder not be flushed. Nothing of it is left.
    """
    temporary = path.parent / f".{secrets.token_hex(8)}.tmp"
    try:
        with open(temporary, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        _give_name(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    try:
        flush_folder(path.parent)
    except OSError:
        path.unlink(missing_ok=True)
        raise


def flush_folder(folder: Path) -> None:
    """See that the names in a folder are on the disk, as far as the platform can.

    Windows has no way to ask for it, and some file systems refuse: the names get there when the system writes them.

    Args:
        folder: that exists.

    Raises:
        OSError: the disk failed or is full, so that names may be lost.
    """
    if os.name == "nt":
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in _NO_FLUSH:
            raise


def _give_name(temporary: Path, path: Path) -> None:
    """Give a complete file its name in one step, if nobody has it."""
    if os.name == "nt":
        os.rename(temporary, path)  # which on Windows refuses a name that is taken
        return
    try:
        os.link(temporary, path)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # Whoever holds the lock may give the name, so the file appears under it in one step, and whole.
        lock = path.with_name(f".{path.name}.lock")
        with open(lock, "xb"), contextlib.ExitStack() as undo:
            undo.callback(os.unlink, lock)
            if os.path.lexists(path):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from None
            os.replace(temporary, path)
