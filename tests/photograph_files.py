"""Files like those of cameras, phones, scanners and browsers, of one picture whose pixels are known."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

ORIENTATION, EXIF_IFD, INTEROP_IFD = 0x0112, 0x8769, 0xA005

_STORED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""How a picture is stored that a viewer is to turn as the orientation says."""


def colours(height: int = 48, width: int = 80) -> NDArray[np.float64]:
    """The picture: all hues, with corners that differ, [height, width, 3] in [0, 1]."""
    y, x = np.mgrid[0:height, 0:width]
    picture = np.stack([x / (width - 1), y / (height - 1), 0.25 + 0.5 * ((x // 8 + y // 8) % 2)], -1)
    picture[: height // 4, : width // 5] = (0.9, 0.1, 0.2)
    return picture


def levels(bits: int = 8) -> NDArray[Any]:
    """The picture with 8 or 16 bits a channel."""
    return np.round(colours() * (2**bits - 1)).astype(np.uint8 if bits == 8 else np.uint16)


def stored(orientation: int, picture: Image.Image | None = None) -> Image.Image:
    """The picture as a camera stores it that was held in this way."""
    picture = picture or Image.fromarray(levels())
    return picture.transpose(_STORED[orientation]) if orientation in _STORED else picture


def exif(orientation: int = 1, interop: str | None = None) -> Image.Exif:
    """EXIF with an orientation and, as cameras mark Adobe RGB, an index of interoperability."""
    tags = Image.Exif()
    tags[ORIENTATION] = orientation
    if interop is not None:
        tags.get_ifd(EXIF_IFD)[INTEROP_IFD] = {1: interop}
    return tags


def encoded(picture: Image.Image | NDArray[Any], kind: str, **options: Any) -> bytes:
    """The bytes of a file that Pillow writes."""
    file = io.BytesIO()
    (picture if isinstance(picture, Image.Image) else Image.fromarray(picture)).save(file, kind, **options)
    return file.getvalue()


def deep(kind: str, pixels: NDArray[np.uint16]) -> bytes:
    """The bytes of a file with 16 bits a channel, which OpenCV writes: RGB or RGBA."""
    order = cv2.COLOR_RGBA2BGRA if pixels.shape[2] == 4 else cv2.COLOR_RGB2BGR
    good, content = cv2.imencode(f".{kind}", cv2.cvtColor(pixels, order))
    assert good
    return content.tobytes()


def deep_grey_with_alpha(grey: NDArray[np.uint16], alpha: NDArray[np.uint16]) -> bytes:
    """The bytes of a PNG with 16 bits of grey and of alpha, which neither library writes."""
    height, width = grey.shape
    rows = np.dstack([grey, alpha]).astype(">u2")
    lines = b"".join(b"\0" + row.tobytes() for row in rows)
    head = struct.pack(">IIBBBBB", width, height, 16, 4, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


def chunk(kind: bytes, data: bytes) -> bytes:
    """One chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def with_chunk(png: bytes, kind: bytes, data: bytes) -> bytes:
    """A PNG with one more chunk behind its head."""
    return png[:33] + chunk(kind, data) + png[33:]


def detailed() -> Image.Image:
    """A picture whose files are large enough to be cut."""
    noise = np.random.default_rng(0).integers(0, 255, (300, 400, 3), dtype=np.uint8)
    return Image.fromarray(noise).filter(ImageFilter.GaussianBlur(2))
