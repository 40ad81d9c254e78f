"""Photographs of every kind are read as people see them, or refused, and what is lost is said."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from PIL import Image, ImageFile

from reverse_personalization.photographs import reading
from reverse_personalization.photographs.reading import UnreadablePhotographError, read_photograph
from tests.photograph_files import (
    colours,
    deep,
    deep_grey_with_alpha,
    detailed,
    encoded,
    exif,
    levels,
    stored,
    with_chunk,
)

GREY = levels(16)[..., 0]

LOSSY = {"JPEG": {"quality": 98, "subsampling": 0}, "AVIF": {"quality": 100, "subsampling": "4:4:4"}}
LOSSLESS = {"PNG": {}, "WEBP": {"lossless": True}, "TIFF": {}}


def furthest(pixels: np.ndarray, expected: np.ndarray) -> float:
    """Largest difference in levels of 255."""
    assert pixels.dtype == np.float32
    assert pixels.shape == expected.shape
    return float(np.abs(pixels - expected).max() * 255)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", [*LOSSY, *LOSSLESS])
def test_every_orientation_is_applied_in_every_format(kind: str, orientation: int):
    options = {**LOSSY, **LOSSLESS}[kind]
    photograph = read_photograph(encoded(stored(orientation), kind, exif=exif(orientation), **options))
    assert furthest(photograph.pixels, colours()) < (5 if kind in LOSSY else 0.51)
    assert photograph.alpha is None


@pytest.mark.parametrize("orientation", [1, 2, 5, 6])
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bits_of_grey_are_kept(kind: str, orientation: int):
    data = encoded(stored(orientation, Image.fromarray(GREY)), kind, exif=exif(orientation))
    photograph = read_photograph(data)
    assert furthest(photograph.pixels, np.repeat(GREY[..., None] / 65535, 3, -1)) < 1e-3
    assert "all 16 bits of grey were read" in photograph.notes


@pytest.mark.parametrize("kind", ["png", "tiff"])
@pytest.mark.parametrize("alpha", [None, 12345])
def test_16_bits_of_colour_are_kept(kind: str, alpha: int | None):
    pixels = levels(16)
    if alpha is not None:
        pixels = np.dstack([pixels, np.full(pixels.shape[:2], alpha, np.uint16)])
    photograph = read_photograph(deep(kind, pixels))
    assert furthest(photograph.pixels, pixels[..., :3] / 65535) < 1e-3
    if alpha is None:
        assert photograph.alpha is None
    else:
        np.testing.assert_allclose(photograph.alpha, alpha / 65535, atol=1e-6)
    assert "all 16 bits a channel were read" in photograph.notes


def test_16_bits_of_grey_and_alpha_are_kept():
    photograph = read_photograph(deep_grey_with_alpha(GREY, np.full_like(GREY, 30000)))
    assert furthest(photograph.pixels, np.repeat(GREY[..., None] / 65535, 3, -1)) < 1e-3
    np.testing.assert_allclose(photograph.alpha, 30000 / 65535, atol=1e-6)


def test_transparency_of_every_form_is_read():
    picture = Image.fromarray(levels())
    half = Image.new("L", picture.size, 128)
    grey = picture.convert("L")
    palette = picture.quantize(16)
    seen = np.asarray(palette) != 3
    for data, expected in (
        (encoded(Image.merge("RGBA", (*picture.split(), half)), "PNG"), 128 / 255),
        (encoded(Image.merge("LA", (grey, half)), "PNG"), 128 / 255),
        (encoded(palette, "PNG", transparency=3), seen),
        (
            encoded(picture, "PNG", transparency=tuple(levels()[20, 30].tolist())),
            (levels() != levels()[20, 30]).any(-1),
        ),
        (encoded(Image.fromarray(GREY), "PNG"), None),
    ):
        photograph = read_photograph(data)
        if expected is None:
            assert photograph.alpha is None
        else:
            assert photograph.alpha is not None
            np.testing.assert_allclose(photograph.alpha, np.broadcast_to(expected, seen.shape), atol=1e-6)
            assert "transparency became the mask" in photograph.notes


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_pixels_of_other_modes_are_those_that_pillow_shows(mode: str):
    picture = Image.fromarray(levels()).convert(mode)
    photograph = read_photograph(encoded(picture, "PNG"))
    assert furthest(photograph.pixels, np.asarray(picture.convert("RGB")) / 255) < 1e-3
    assert photograph.notes == ()


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF", "MPO"])
def test_the_first_of_several_pictures_is_read_and_the_others_are_told(kind: str):
    first = Image.new("RGB", (80, 48), (10, 200, 30))
    data = encoded(first, kind, save_all=True, append_images=[Image.new("RGB", (80, 48), (200, 10, 30))])
    photograph = read_photograph(data)
    assert furthest(photograph.pixels, np.broadcast_to(np.array([10, 200, 30]) / 255, (48, 80, 3))) < 12
    assert photograph.notes[0] == "the file holds 2 pictures; only the first was read"


def test_a_gain_map_is_told():
    xmp = b'<x xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/"/>'
    photograph = read_photograph(encoded(levels(), "JPEG", xmp=xmp))
    assert any("gain map was left out" in note for note in photograph.notes)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "progressive"])
@pytest.mark.parametrize("part", [0.3, 0.9])
@pytest.mark.parametrize("lax", [False, True], ids=["as Pillow is", "as other packs set Pillow"])
def test_a_file_that_is_cut_short_is_refused(kind: str, part: float, lax: bool, monkeypatch: pytest.MonkeyPatch):
    options = {"TIFF": {"compression": "tiff_lzw"}, "progressive": {"progressive": True}}.get(kind, {})
    data = encoded(detailed(), "JPEG" if kind == "progressive" else kind, **options)
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", lax)
    assert read_photograph(data).pixels.shape == (300, 400, 3)
    with pytest.raises(UnreadablePhotographError, match="copy it again"):
        read_photograph(data[: int(len(data) * part)])
    assert ImageFile.LOAD_TRUNCATED_IMAGES is lax


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b"no picture" * 99, "no picture of a known kind"),
        (b"\xff\xd8\xff\xe0" + bytes(200), "known kind|cut short"),
        (encoded(np.ones((4, 4), np.float32), "TIFF"), "32 bits a channel"),
        (encoded(np.full((4, 4), 70000, np.int32), "TIFF"), "32 bits a channel"),
        (encoded(levels(), "TIFF", tiffinfo={50706: b"\1\4\0\0"}), "raw file"),
        (encoded(levels(), "TIFF", tiffinfo={254: 1}), "raw file"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99), "pillow-heif|known kind"),
    ],
)
def test_what_is_no_whole_photograph_is_refused(data: bytes, message: str):
    with pytest.raises(UnreadablePhotographError, match=message):
        read_photograph(data)


def test_a_photograph_that_is_too_large_is_refused_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(reading, "MOST_PIXELS", 1000)
    with pytest.raises(UnreadablePhotographError, match="80 x 48 pixels; expected at most 1000"):
        read_photograph(encoded(levels(), "PNG"))


def test_large_photographs_are_not_taken_for_attacks(monkeypatch: pytest.MonkeyPatch):
    # Pillow refuses more than twice this number.
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    assert read_photograph(encoded(levels(), "PNG")).pixels.shape == (48, 80, 3)
    assert Image.MAX_IMAGE_PIXELS == 1000


def test_the_notes_say_nothing_that_the_file_says_about_people():
    tags = exif(6)
    tags[0x013B] = tags[0x010E] = "Ada-Quillfeather"
    data = encoded(stored(6), "JPEG", exif=tags, comment=b"Ada-Quillfeather")
    assert b"Ada-Quillfeather" in data
    assert "Ada" not in " ".join(read_photograph(data).notes)


def test_colours_that_are_only_named_are_converted_or_told():
    png = encoded(levels(), "PNG")
    plain = read_photograph(png).pixels
    for kind, data, note in (
        (b"cICP", bytes([12, 13, 0, 1]), "converted to sRGB from the colours that it names"),
        (b"gAMA", struct.pack(">I", 100000), "converted to sRGB from the colours that it names"),
        (b"cICP", bytes([9, 16, 0, 1]), "the colours are Rec. 2020 PQ, which is not converted"),
        (b"cICP", bytes([12, 18, 0, 1]), "the colours are Display P3 HLG, which is not converted"),
    ):
        photograph = read_photograph(with_chunk(png, kind, data))
        assert any(note in one for one in photograph.notes)
        assert ("converted to" in note) != np.array_equal(photograph.pixels, plain)
    for kind, data in ((b"cICP", bytes([1, 13, 0, 1])), (b"gAMA", struct.pack(">I", 45455))):
        photograph = read_photograph(with_chunk(png, kind, data))
        assert np.array_equal(photograph.pixels, plain)
        assert photograph.notes == ()


def test_an_avif_that_is_hdr_is_told():
    data = bytearray(encoded(levels(), "AVIF", quality=95))
    place = data.find(b"colrnclx") + len(b"colrnclx")
    data[place : place + 4] = struct.pack(">2H", 9, 16)
    assert any("Rec. 2020 PQ" in note for note in read_photograph(bytes(data)).notes)
