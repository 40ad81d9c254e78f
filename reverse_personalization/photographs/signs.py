"""What a photograph's file says beside its pixels: whether it is raw, colours without a profile, parts not read."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from PIL import ExifTags, Image

_RAW_TAG = 50706
"""DNGVersion, which every DNG has."""

_SMALLER_VERSION = 1
"""The bit of a TIFF's NewSubfileType that marks a thumbnail or a preview of the picture proper."""

_ADOBE_RGB_INTEROP = "R03"
"""What cameras write into EXIF for Adobe RGB in place of a profile (DCF 2.0)."""

_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1")

_GAIN_MAPS = (b"http://ns.adobe.com/hdr-gain-map/", b"HDRGainMap", b"urn:iso:std:iso:ts:21496")

_WIDE = {9: "Rec. 2020", 12: "Display P3"}
_HDR = {16: "PQ", 18: "HLG"}
"""Names of code points for primaries and for the transfer function (ITU-T H.273)."""

_LIKE_SRGB = (1, 2, 6, 13)
"""Transfer functions that are read as sRGB's; 2 stands for unspecified."""


@dataclass(frozen=True)
class CodePoints:
    """What a PNG or an AVIF says about its colours by numbers from ITU-T H.273.

    Attributes:
        primaries: 1 is sRGB's.
        transfer: 13 is sRGB's.
    """

    primaries: int
    transfer: int

    @property
    def is_srgb(self) -> bool:
        """Whether the colours are sRGB's, or unspecified."""
        return self.primaries in (1, 2) and self.transfer in _LIKE_SRGB

    @property
    def is_display_p3(self) -> bool:
        """Whether the colours are Display P3's."""
        return self.primaries == 12 and self.transfer in _LIKE_SRGB

    def __str__(self) -> str:
        words = (_WIDE.get(self.primaries), _HDR.get(self.transfer))
        return " ".join(word for word in words if word) or f"{self.primaries}/{self.transfer}"


def is_heif(data: bytes) -> bool:
    """Whether a file is a HEIC or HEIF photograph, as of an iPhone; AVIF is not meant."""
    return data[4:8] == b"ftyp" and data[8:12] in _HEIF_BRANDS and b"avif" not in data[8:64]


def is_raw(data: bytes, picture: Image.Image) -> bool:
    """Whether what Pillow has opened is only the preview in a camera's raw file (DNG, CR2, NEF, ARW and others)."""
    if picture.format != "TIFF":
        return False
    tags = getattr(picture, "tag_v2", {})
    return data[8:10] == b"CR" or _RAW_TAG in tags or bool(tags.get(254, 0) & _SMALLER_VERSION)


def is_deep(data: bytes, picture: Image.Image) -> bool:
    """Whether a file in colour, or in grey with alpha, has 16 bits a channel, of which Pillow keeps 8."""
    if picture.mode not in ("RGB", "RGBA", "LA"):
        return False
    if picture.format == "PNG":
        return data[24] == 16
    return picture.format == "TIFF" and getattr(picture, "tag_v2", {}).get(258, (8,))[0] == 16


def code_points(data: bytes, picture: Image.Image) -> CodePoints | None:
    """The colours that a PNG, an AVIF or a HEIC names by numbers, or None."""
    if picture.format == "PNG":
        place = data.find(b"cICP", 33, data.find(b"IDAT"))
        return CodePoints(data[place + 4], data[place + 5]) if place > 0 else None
    if picture.format in ("AVIF", "HEIF"):
        place = data.find(b"colrnclx")
        return CodePoints(*struct.unpack_from(">2H", data, place + 8)) if place > 0 else None
    return None


def is_adobe_rgb(picture: Image.Image) -> bool:
    """Whether EXIF names Adobe RGB, as cameras do that embed no profile."""
    interop = picture.getexif().get_ifd(ExifTags.IFD.Interop)
    return str(interop.get(ExifTags.Interop.InteropIndex, "")).startswith(_ADOBE_RGB_INTEROP)


def has_gain_map(data: bytes) -> bool:
    """Whether the file holds a second picture that brightens the first on HDR screens."""
    return any(sign in data for sign in _GAIN_MAPS)
