"""Colour profiles like those of cameras and screens, made from published primaries, and the words inside them."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

D50 = np.array([0.9642, 1.0, 0.8249])
D65_XY, D50_XY = (0.3127, 0.3290), (0.3457, 0.3585)

DISPLAY_P3 = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), D65_XY)
ADOBE_RGB = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06), D65_XY)
PROPHOTO = ((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001), D50_XY)
SRGB = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06), D65_XY)
"""Chromaticities x, y of red, green, blue and white."""

BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])

SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
"""Gamma, a, b, c, d of the parametric curve of type 3."""

SECRET = b"Ada-Quillfeathers-Camera"
"""What a profile says about whose it is."""


def gamma(exponent: float) -> bytes:
    """A curve that is a power."""
    return b"curv" + struct.pack(">IIH", 0, 1, round(exponent * 256))


def parametric(*numbers: float) -> bytes:
    """A curve of type 3: gamma, a, b, c, d."""
    return b"para" + struct.pack(">IHH5i", 0, 3, 0, *(round(number * 65536) for number in numbers))


def table(function: Callable[[NDArray[np.float64]], NDArray[np.float64]], count: int = 1024) -> bytes:
    """A curve by its values."""
    values = np.round(function(np.linspace(0, 1, count)) * 65535).astype(">u2")
    return b"curv" + struct.pack(">II", 0, count) + values.tobytes()


def to_d50(primaries: tuple[tuple[float, float], ...]) -> NDArray[np.float64]:
    """Linear RGB -> XYZ of the profile connection space, [3, 3]."""
    points = np.array([[x / y, 1.0, (1 - x - y) / y] for x, y in primaries])
    white = points[3]
    matrix = points[:3].T * np.linalg.solve(points[:3].T, white)
    cones = np.diag((BRADFORD @ D50) / (BRADFORD @ white))
    return np.asarray(np.linalg.inv(BRADFORD) @ cones @ BRADFORD @ matrix)


def rgb_profile(primaries: tuple[tuple[float, float], ...], curve: bytes) -> bytes:
    """A profile of three primaries and one curve."""
    red, green, blue = to_d50(primaries).T
    tags = {b"rXYZ": _xyz(red), b"gXYZ": _xyz(green), b"bXYZ": _xyz(blue)}
    return _profile(b"RGB ", {**tags, b"rTRC": curve, b"gTRC": curve, b"bTRC": curve})


def grey_profile(curve: bytes) -> bytes:
    """A profile of one curve."""
    return _profile(b"GRAY", {b"kTRC": curve})


def _xyz(values: NDArray[np.float64]) -> bytes:
    return b"XYZ " + struct.pack(">I3i", 0, *(round(value * 65536) for value in values))


def _profile(space: bytes, tags: Mapping[bytes, bytes]) -> bytes:
    text = b"desc" + struct.pack(">II", 0, len(SECRET) + 1) + SECRET + bytes(1 + 78)
    everything = {b"desc": text, b"cprt": b"text" + bytes(4) + SECRET + b"\0", b"wtpt": _xyz(D50), **tags}
    place, entries, content = 132 + 12 * len(everything), b"", b""
    for name, data in everything.items():
        entries += name + struct.pack(">II", place + len(content), len(data))
        content += data + bytes(-len(data) % 4)
    head = struct.pack(">I4sI4s4s4s", place + len(content), b"none", 0x02400000, b"mntr", space, b"XYZ ")
    head += bytes(12) + b"acsp" + bytes(28) + struct.pack(">3i", *(round(value * 65536) for value in D50))
    return head.ljust(128, b"\0") + struct.pack(">I", len(everything)) + entries + content
