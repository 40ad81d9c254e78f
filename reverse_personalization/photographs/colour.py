"""Converts pixels of any colour profile to sRGB, relative colorimetric, and says how much was out of reach.

Profiles of curves and a matrix (cameras, screens, working spaces) and of one curve (grey) are computed here in floating
point: Pillow's ImageCms takes only 8 bits a channel and does not say what it clips. All others (CMYK, Lab, tables) go
through ImageCms.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from ..errors import PackError

Array = NDArray[np.float32]

# Linear RGB -> XYZ at D50, the white of the profile connection space (Lindbloom's figures, adapted by Bradford).
_SRGB = np.array(
    [[0.4360747, 0.3850649, 0.1430804], [0.2225045, 0.7168786, 0.0606169], [0.0139322, 0.0971045, 0.7141733]]
)
_DISPLAY_P3 = np.array(
    [[0.5151187, 0.2919778, 0.1571035], [0.2411892, 0.6922441, 0.0665668], [-0.0010505, 0.0418791, 0.7840713]]
)
_ADOBE_RGB = np.array(
    [[0.6097559, 0.2052401, 0.1492240], [0.3111242, 0.6256560, 0.0632197], [0.0194811, 0.0608902, 0.7448387]]
)

_ROWS = 256
"""Rows converted at once, so that a large photograph needs no second copy in floating point."""

ONE_LEVEL = 1 / 255

_LATTICE = np.stack(np.meshgrid(*[np.linspace(0, 1, 9)] * 3, indexing="ij"), -1).reshape(1, -1, 3)
"""Colours by which a profile is compared with sRGB."""


class UnreadableProfileError(PackError, ValueError):
    """A colour profile that cannot be read or does not fit its pixels."""


@dataclass(frozen=True)
class Shaper:
    """A colour space of curves and a matrix.

    Attributes:
        curves: of red, green and blue: float [N] in [0, 1] to linear light in [0, 1].
        matrix: float [3, 3], linear RGB to XYZ at D50.
    """

    curves: tuple[Callable[[NDArray[Any]], NDArray[Any]], ...]
    matrix: NDArray[np.float64]

    def to_srgb(self, levels: NDArray[Any]) -> tuple[Array, float]:
        """Convert pixels.

        Args:
            levels: uint8 or uint16 [H, W, 3], or float [H, W, 3] in [0, 1].

        Returns:
            sRGB, float32 [H, W, 3] in [0, 1], and the fraction of the pixels that were clipped because sRGB does not
            hold their colours.
        """
        to_linear = (np.linalg.inv(_SRGB) @ self.matrix).astype(np.float32)
        result = np.empty(levels.shape, np.float32)
        outside = 0
        tables = [curve(_every_level(levels.dtype)).astype(np.float32) for curve in self.curves]
        for top in range(0, len(levels), _ROWS):
            rows = levels[top : top + _ROWS]
            if rows.dtype.kind == "u":
                linear = np.stack([table[rows[..., channel]] for channel, table in enumerate(tables)], -1)
            else:
                linear = np.stack([curve(rows[..., n]) for n, curve in enumerate(self.curves)], -1).astype(np.float32)
            linear = linear @ to_linear.T
            encoded = encode_srgb(np.abs(linear)) * np.sign(linear)
            outside += int(((encoded < -ONE_LEVEL) | (encoded > 1 + ONE_LEVEL)).any(-1).sum())
            result[top : top + _ROWS] = encoded.clip(0, 1)
        return result, outside / max(1, levels.shape[0] * levels.shape[1])

    def is_srgb(self) -> bool:
        """Whether it differs from sRGB by less than one level of 255: such pixels are best left alone."""
        return bool(np.abs(self.to_srgb(_LATTICE)[0] - _LATTICE).max() < ONE_LEVEL)


def encode_srgb(linear: Array) -> Array:
    """Linear light, 0 or above, to sRGB's curve."""
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.power(linear, 1 / 2.4) - 0.055).astype(np.float32)


def decode_srgb(encoded: NDArray[Any]) -> NDArray[Any]:
    """Undo sRGB's curve: values in [0, 1] to linear light."""
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def _power(exponent: float) -> Callable[[NDArray[Any]], NDArray[Any]]:
    return lambda values: np.power(values, exponent)


DISPLAY_P3 = Shaper((decode_srgb,) * 3, _DISPLAY_P3)
ADOBE_RGB = Shaper((_power(563 / 256),) * 3, _ADOBE_RGB)


def of_gamma(gamma: float) -> Shaper:
    """Give sRGB's primaries the curve of a PNG's gAMA chunk: samples are linear light to the power `gamma`."""
    return Shaper((_power(1 / gamma),) * 3, _SRGB)


def read_shaper(profile: bytes) -> Shaper | None:
    """Read the curves and the matrix of an ICC profile.

    Args:
        profile: the whole profile.

    Returns:
        None if it has tables, or is of neither RGB nor grey; such a profile is for `convert_with_tables`.

    Raises:
        UnreadableProfileError: it is cut short, or a part of it is malformed.
    """
    try:
        tags = _tags(profile)
        space = profile[16:20]
        if b"A2B0" in tags or b"A2B1" in tags:
            return None
        if space == b"GRAY":
            return Shaper((_curve(tags[b"kTRC"]),) * 3, _SRGB)
        if space != b"RGB ":
            return None
        curves = tuple(_curve(tags[name]) for name in (b"rTRC", b"gTRC", b"bTRC"))
        columns = [struct.unpack(">3i", tags[name][8:20]) for name in (b"rXYZ", b"gXYZ", b"bXYZ")]
    except (KeyError, IndexError, struct.error) as error:
        raise UnreadableProfileError("the colour profile is malformed or cut short") from error
    return Shaper(curves, np.array(columns).T / 65536)


def convert_with_tables(picture: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert 8-bit pixels with Pillow's ImageCms.

    Args:
        picture: of mode RGB, L, CMYK or LAB.
        profile: the ICC profile; None for the Lab of mode LAB.

    Returns:
        sRGB, of mode RGB.

    Raises:
        UnreadableProfileError: the profile cannot be read, or is one of other pixels.
    """
    try:
        source = ImageCms.createProfile("LAB") if profile is None else ImageCms.ImageCmsProfile(io.BytesIO(profile))
        converted = ImageCms.profileToProfile(
            picture,
            source,
            ImageCms.createProfile("sRGB"),
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
        )
    except (ImageCms.PyCMSError, OSError) as error:
        raise UnreadableProfileError("the colour profile does not fit the pixels or cannot be read") from error
    assert converted is not None
    return converted


def _every_level(kind: np.dtype[Any]) -> NDArray[Any]:
    """All values of an integer type, scaled to [0, 1]; nothing for other types."""
    most = np.iinfo(kind).max if kind.kind == "u" else -1
    return np.arange(most + 1) / max(most, 1)


def _tags(profile: bytes) -> dict[bytes, bytes]:
    if profile[36:40] != b"acsp":
        raise UnreadableProfileError("what is stored as a colour profile is none")
    [count] = struct.unpack_from(">I", profile, 128)
    entries = [struct.unpack_from(">4sII", profile, 132 + 12 * number) for number in range(min(count, 256))]
    return {name: profile[start : start + length] for name, start, length in entries}


def _curve(tag: bytes) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """A tone curve: "curv" (one power, or a table) or "para" (a power with a straight part)."""
    if tag[:4] == b"curv":
        [count] = struct.unpack_from(">I", tag, 8)
        if count == 0:
            return lambda values: values
        numbers = np.array(struct.unpack_from(f">{count}H", tag, 12))
        if count == 1:
            return _power(numbers[0] / 256)
        return lambda values: np.interp(values, np.linspace(0, 1, count), numbers / 65535)
    if tag[:4] != b"para":
        raise UnreadableProfileError("the colour profile has a curve of an unknown type")
    [kind] = struct.unpack_from(">H", tag, 8)
    g, *rest = (number / 65536 for number in struct.unpack_from(f">{(1, 3, 4, 5, 7)[kind]}i", tag, 12))
    a, b, c, d, e, f = 1.0, 0.0, 0.0, 0.0, 0.0, 0.0
    if kind in (1, 2):
        a, b = rest[:2]
        e = f = rest[2] if kind == 2 else 0.0
        d = -b / a if a else 0.0
    elif kind in (3, 4):
        a, b, c, d = rest[:4]
        e, f = rest[4:] if kind == 4 else (0.0, 0.0)
    return lambda values: np.where(values >= d, np.maximum(a * values + b, 0) ** g + e, c * values + f).clip(0, 1)
