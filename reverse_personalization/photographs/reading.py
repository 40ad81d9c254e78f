"""Reads a photograph's file: upright, as sRGB in floating point, and says what was converted and what was left out."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageFile

from ..errors import PackError
from . import signs
from .colour import ADOBE_RGB, DISPLAY_P3, Shaper, UnreadableProfileError, convert_with_tables, of_gamma, read_shaper

MOST_PIXELS = 1 << 28
"""Pixels of the largest photograph that is read; in floating point it takes 3.2 GB."""

_SRGB_GAMMA = 1 / 2.2

# Orientation -> (whether rows and columns change places, then the steps along rows and columns).
_TURNS = {
    2: (False, 1, -1),
    3: (False, -1, -1),
    4: (False, -1, 1),
    5: (True, 1, 1),
    6: (True, 1, -1),
    7: (True, -1, -1),
    8: (True, -1, 1),
}


class UnreadablePhotographError(PackError, ValueError):
    """A file that is no photograph, is damaged, or is of a kind that is not read; says what to do."""


@dataclass(frozen=True)
class Photograph:
    """A photograph as people see it.

    Attributes:
        pixels: sRGB, float32 [H, W, 3] in [0, 1]; grey as three equal channels.
        alpha: float32 [H, W] in [0, 1], or None if the file has none.
        notes: sentences on what was converted, lost or left out; never a name.
    """

    pixels: NDArray[np.float32]
    alpha: NDArray[np.float32] | None
    notes: tuple[str, ...]


def read_photograph(data: bytes) -> Photograph:
    """Read a photograph.

    Args:
        data: the file's bytes.

    Raises:
        UnreadablePhotographError: no photograph can be made of them; the message says why and what to do.
    """
    if not data:
        raise UnreadablePhotographError("the photograph's file is empty: copy it again from where it came")
    notes: list[str] = []
    with _strict():
        picture = _open(data)
        if signs.is_raw(data, picture):
            raise UnreadablePhotographError(
                "this is a camera's raw file, of which only the small preview could be read: develop it and save it "
                "as TIFF, PNG or JPEG"
            )
        frames, orientation = _loaded(picture)
    if frames > 1 and not signs.has_gain_map(data):
        notes.append(f"the file holds {frames} pictures; only the first was read")
    if signs.has_gain_map(data):
        notes.append("the file's HDR gain map was left out: the picture is as on an ordinary screen")
    levels, alpha = _levels(data, picture, notes)
    pixels = _to_srgb(data, picture, levels, notes)
    if orientation in _TURNS:
        pixels = _turned(pixels, orientation)
        alpha = None if alpha is None else _turned(alpha, orientation)
        notes.append(f"turned or mirrored as EXIF orientation {orientation} says")
    if alpha is not None:
        notes.append("transparency became the mask")
    return Photograph(pixels, alpha, tuple(notes))


@contextlib.contextmanager
def _strict() -> Iterator[None]:
    """Refuse files that are cut short and read large ones, whatever other packs have made of Pillow's settings."""
    before = ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS
    ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS = False, None
    try:
        yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS = before


def _open(data: bytes) -> Image.Image:
    if signs.is_heif(data):
        try:
            import pillow_heif
        except ImportError:
            raise UnreadablePhotographError(
                "this is a HEIC photograph, for which the package pillow-heif is needed: install it into ComfyUI's "
                "Python (python -m pip install pillow-heif), or save the photograph as JPEG or PNG"
            ) from None
        pillow_heif.register_heif_opener()
    try:
        picture = Image.open(io.BytesIO(data))
    except (OSError, ValueError, SyntaxError) as error:
        raise UnreadablePhotographError(
            "the file is no picture of a known kind, or its beginning is damaged: copy it again, or save it as JPEG, "
            "PNG, WebP or TIFF"
        ) from error
    if picture.width * picture.height > MOST_PIXELS:
        raise UnreadablePhotographError(
            f"the photograph has {picture.width} x {picture.height} pixels; expected at most {MOST_PIXELS}: make it "
            "smaller"
        )
    return picture


def _loaded(picture: Image.Image) -> tuple[int, int]:
    """Decode a file's first picture; returns how many there are, and the orientation that is still to be applied."""
    try:
        frames = getattr(picture, "n_frames", 1)
        # A TIFF forgets its orientation when it loads, because Pillow has then applied it.
        orientation = 1 if picture.format == "TIFF" else picture.getexif().get(ExifTags.Base.Orientation, 1)
        picture.load()
    # Decoders raise nearly anything on damaged data.
    except Exception as error:
        raise UnreadablePhotographError(
            "the photograph's file is cut short or damaged, so a part of the picture is missing: copy it again from "
            "where it came"
        ) from error
    return frames, orientation


def _levels(data: bytes, picture: Image.Image, notes: list[str]) -> tuple[NDArray[Any], NDArray[np.float32] | None]:
    """The pixels as they are stored, and alpha.

    Returns:
        uint8 or uint16 [H, W, C], where C is 1 for grey, 3 for RGB and Lab, 4 for CMYK; alpha as in `Photograph`.
    """
    if signs.is_deep(data, picture):
        stored = _deep_levels(data, picture)
        if stored is not None:
            notes.append("all 16 bits a channel were read")
            return stored[..., :3], (_scaled(stored[..., 3]) if stored.shape[2] == 4 else None)
        notes.append("of 16 bits a channel 8 were read")
    mode = picture.mode
    if mode.startswith("I"):
        grey = np.asarray(picture)
        if mode == "I" and (picture.format != "PNG" or grey.max() > 65535):
            raise _unlimited()
        notes.append("all 16 bits of grey were read")
        transparent = picture.info.get("transparency")
        alpha = None if transparent is None else (grey != transparent).astype(np.float32)
        return grey.astype(np.uint16)[..., None], alpha
    if mode == "F":
        raise _unlimited()
    if picture.has_transparency_data:
        plain = picture.convert("LA" if mode in ("L", "LA", "1") else "RGBA")
        return np.asarray(plain)[..., :-1], _scaled(np.asarray(plain.getchannel("A")))
    if mode == "1":
        picture = picture.convert("L")
    elif mode not in ("L", "RGB", "CMYK", "LAB"):
        picture = picture.convert("RGB")
    levels = np.asarray(picture)
    return (levels[..., None] if levels.ndim == 2 else levels), None


def _unlimited() -> UnreadablePhotographError:
    return UnreadablePhotographError(
        "the picture has 32 bits a channel, of which nobody knows which value is white: save it with 16 or 8 bits a "
        "channel"
    )


def _deep_levels(data: bytes, picture: Image.Image) -> NDArray[np.uint16] | None:
    """All 16 bits, read by OpenCV, as Pillow keeps 8; None unless both see the same picture.

    Returns:
        uint16 [H, W, 3 or 4], RGB and alpha.
    """
    import cv2

    stored: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if stored is None or stored.dtype != np.uint16 or stored.ndim != 3:
        return None
    stored = cv2.cvtColor(stored, cv2.COLOR_BGRA2RGBA if stored.shape[2] == 4 else cv2.COLOR_BGR2RGB)
    shallow = np.asarray(picture.convert("RGB"))
    if stored.shape[:2] != shallow.shape[:2]:
        return None
    return stored if np.abs((stored[..., :3] >> 8).astype(np.int16) - shallow).max() <= 1 else None


def _to_srgb(data: bytes, picture: Image.Image, levels: NDArray[Any], notes: list[str]) -> NDArray[np.float32]:
    """The pixels as sRGB, float32 [H, W, 3]."""
    profile = picture.info.get("icc_profile")
    try:
        if levels.shape[2] == 4 or picture.mode == "LAB":
            return _through_tables(picture.mode, levels, profile, notes)
        shaper = read_shaper(profile) if profile else _without_profile(data, picture, notes)
        if profile and shaper is None:
            return _through_tables("L" if levels.shape[2] == 1 else "RGB", levels, profile, notes)
        if profile and profile[16:20] == b"GRAY" and levels.shape[2] == 3:
            raise UnreadableProfileError("the colour profile is one for grey")
    except UnreadableProfileError as error:
        notes.append(f"{error}: the colours were taken as sRGB and may be off")
        shaper = None
        if levels.shape[2] == 4:
            return _scaled(np.asarray(Image.fromarray(levels, "CMYK").convert("RGB")))
    colours = np.broadcast_to(levels, (*levels.shape[:2], 3))
    if shaper is None or shaper.is_srgb():
        return _scaled(colours)
    pixels, outside = shaper.to_srgb(colours)
    what = "its colour profile" if profile else "the colours that it names"
    notes.append(f"converted to sRGB from {what}, relative colorimetric")
    if outside:
        share = f"{outside:.1%}" if outside >= 0.001 else "less than 0.1%"
        notes.append(f"{share} of the pixels have colours that sRGB does not hold: they were clipped")
    return pixels


def _through_tables(mode: str, levels: NDArray[Any], profile: bytes | None, notes: list[str]) -> NDArray[np.float32]:
    """Pixels of a profile with tables, or of none, as sRGB; 8 bits a channel."""
    if levels.dtype == np.uint16:
        levels = (levels / 257).round().astype(np.uint8)
        notes.append("of 16 bits a channel 8 were converted, because the colour profile has tables")
    if mode == "CMYK" and not profile:
        notes.append("CMYK without a colour profile: the colours are approximate")
        return _scaled(np.asarray(Image.fromarray(levels, mode).convert("RGB")))
    own = Image.fromarray(levels[..., 0] if levels.shape[2] == 1 else levels, mode)
    converted = convert_with_tables(own, None if mode == "LAB" else profile)
    notes.append(
        "converted to sRGB from its colour profile, relative colorimetric; what sRGB does not hold was clipped"
    )
    return _scaled(np.asarray(converted))


def _without_profile(data: bytes, picture: Image.Image, notes: list[str]) -> Shaper | None:
    """The colours that a file without a profile names in another way; None for sRGB."""
    points = signs.code_points(data, picture)
    if points is not None and points.is_display_p3:
        return DISPLAY_P3
    if points is not None and not points.is_srgb:
        notes.append(f"the colours are {points}, which is not converted: they were taken as sRGB and are off")
        return None
    if signs.is_adobe_rgb(picture):
        return ADOBE_RGB
    gamma = picture.info.get("gamma")
    if gamma and "srgb" not in picture.info and abs(gamma - _SRGB_GAMMA) > 0.02:
        return of_gamma(gamma)
    return None


def _scaled(levels: NDArray[Any]) -> NDArray[np.float32]:
    return np.divide(levels, np.iinfo(levels.dtype).max, dtype=np.float32)


def _turned(pixels: NDArray[np.float32], orientation: int) -> NDArray[np.float32]:
    """Pixels turned or mirrored as an EXIF orientation from 2 to 8 asks."""
    exchanged, down, right = _TURNS[orientation]
    return np.ascontiguousarray((pixels.swapaxes(0, 1) if exchanged else pixels)[::down, ::right])
