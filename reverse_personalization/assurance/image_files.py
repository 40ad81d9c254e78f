"""Lists and writes picture files; a new one has no metadata, is complete or absent, and never replaces another file."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

LOSSLESS_QUALITY = 100
"""Quality at which WebP is lossless."""

REPORT_SUFFIX, PAGE_SUFFIX = ".json", ".html"
"""Of the reports for programs and for people."""

PNG_COMPRESSION = 4
"""The host's own level: higher ones take several times as long to save a few percent."""


@dataclass(frozen=True)
class FileFormat:
    """The properties of a file format.

    Attributes:
        suffix: of its files.
        longest: longest side in pixels that it can hold.
        alpha: whether it has an alpha channel.
        text: whether it can carry a workflow that ComfyUI reads.
        media_type: in the headers of a web server.
    """

    suffix: str
    longest: int
    alpha: bool
    text: bool
    media_type: str


FILE_FORMATS = {
    "png": FileFormat(".png", longest=2**31 - 1, alpha=True, text=True, media_type="image/png"),
    "webp": FileFormat(".webp", longest=16383, alpha=True, text=False, media_type="image/webp"),
    "jpeg": FileFormat(".jpg", longest=65500, alpha=False, text=False, media_type="image/jpeg"),
}
"""Formats by the name that the user chooses, which is also Pillow's; the first is the default."""

# Errors from file systems that cannot flush a folder (network shares, FUSE), and from folders that may be written but
# not read. Any other error from a flush means that the disk lost something.
_NO_FLUSH = {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EBADF, errno.EACCES, errno.EPERM}

# Errors from file systems without hard links (exFAT, some network shares).
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV}


def files_below(root: str) -> Iterator[str]:
    """Names of all files below a folder, relative to it; each folder once, however it is linked.

    Args:
        root: the folder, such as the one that the host loads pictures from.
    """
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
    """Encode a picture file.

    Args:
        levels: uint8 [H, W, C], C in 1, 3, 4.
        file_format: key of `FILE_FORMATS`.
        quality: 1 to 100, of WebP and JPEG.
        texts: a PNG's texts by keyword; ignored for other formats.

    Returns:
        The file's bytes: the pixels, `texts`, and nothing else.
    """
    picture = Image.fromarray(levels[..., 0] if levels.shape[2] == 1 else levels)
    file = io.BytesIO()
    if file_format == "png":
        info = PngInfo()
        for keyword, text in texts.items():
            info.add_text(keyword, text)
        picture.save(file, "png", pnginfo=info, compress_level=PNG_COMPRESSION)
    elif file_format == "webp":
        # exact keeps the colours under a transparent alpha, as a PNG does.
        picture.save(file, "webp", quality=quality, lossless=quality >= LOSSLESS_QUALITY, exact=True)
    else:
        picture.save(file, "jpeg", quality=quality)
    return file.getvalue()


def save_numbered(
    folder: Path, stem: str, number: int, suffix: str, picture: bytes, reports: Mapping[str, bytes]
) -> int:
    """Save a picture and its reports under the first free number: all or nothing.

    The reports are written first and removed again if the picture fails, so that a picture never lacks one.

    Args:
        folder: an existing folder.
        stem: of the names, which are `stem_00001_` and so on.
        number: the first one to try.
        suffix: of the picture.
        picture: the file's bytes.
        reports: the bytes of each by its file's suffix.

    Returns:
        The number used.

    Raises:
        OSError: a file could not be written; nothing is left behind.
    """
    while True:
        path = folder / f"{numbered(stem, number)}{suffix}"
        with contextlib.suppress(FileExistsError), contextlib.ExitStack() as undo:
            for ending, report in reports.items():
                write_new(path.with_suffix(ending), report)
                undo.callback(os.unlink, path.with_suffix(ending))
            write_new(path, picture)
            undo.pop_all()
            return number
        number += 1


def numbered(stem: str, number: int) -> str:
    """A file's name without its suffix, numbered as the host does."""
    return f"{stem}_{number:05}_"


def write_new(path: Path, content: bytes) -> None:
    """Write a file so that it is either complete or absent, even after a power failure.

    Args:
        path: of the file.
        content: its bytes.

    Raises:
        FileExistsError: the name is taken; that file is left unchanged.
        OSError: the file could not be written or its folder could not be flushed; nothing is left behind.
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
    """Make sure that a folder's file names are on the disk, as far as the platform allows.

    Windows has no call for it, and some file systems refuse it; there the system writes the names when it chooses to.

    Args:
        folder: an existing folder.

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
    """Give a complete file its name in one step, unless the name is taken."""
    if os.name == "nt":
        os.rename(temporary, path)  # on Windows this refuses a name that is taken
        return
    try:
        os.link(temporary, path)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # Only the holder of the lock may use the name, so checking it and then replacing is safe.
        lock = path.with_name(f".{path.name}.lock")
        with open(lock, "xb"), contextlib.ExitStack() as undo:
            undo.callback(os.unlink, lock)
            if os.path.lexists(path):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from None
            os.replace(temporary, path)
