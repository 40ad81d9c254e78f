"""Colour profiles are converted to sRGB as LittleCMS converts them, with more precision, and clipping is told."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from reverse_personalization.photographs import colour
from reverse_personalization.photographs.colour import UnreadableProfileError, read_shaper
from reverse_personalization.photographs.reading import read_photograph
from tests import icc_profiles
from tests.icc_profiles import (
    ADOBE_RGB,
    DISPLAY_P3,
    PROPHOTO,
    SRGB,
    SRGB_CURVE,
    gamma,
    grey_profile,
    parametric,
    rgb_profile,
    table,
)
from tests.photograph_files import colours, deep, encoded, exif, levels, with_chunk

PROFILES = {
    "Display P3": rgb_profile(DISPLAY_P3, parametric(*SRGB_CURVE)),
    "Adobe RGB": rgb_profile(ADOBE_RGB, gamma(2.19921875)),
    "ProPhoto": rgb_profile(PROPHOTO, gamma(1.8)),
    "P3 by a table": rgb_profile(DISPLAY_P3, table(colour.decode_srgb)),
}


def by_littlecms(picture: Image.Image, profile: bytes) -> np.ndarray:
    """In 8 bits, relative colorimetric, [H, W, 3] in [0, 1]."""
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    target = ImageCms.createProfile("sRGB")
    intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
    converted = ImageCms.profileToProfile(picture, source, target, renderingIntent=intent, outputMode="RGB")
    return np.asarray(converted) / 255


@pytest.mark.parametrize("name", PROFILES)
def test_8_bits_are_converted_as_littlecms_does(name: str):
    photograph = read_photograph(encoded(levels(), "PNG", icc_profile=PROFILES[name]))
    expected = by_littlecms(Image.fromarray(levels()), PROFILES[name])
    assert np.abs(photograph.pixels - expected).max() < 1 / 255
    assert np.abs(photograph.pixels - colours()).max() > 10 / 255
    assert "converted to sRGB from its colour profile, relative colorimetric" in photograph.notes
    assert any("clipped" in note for note in photograph.notes)


def test_16_bits_are_converted_without_steps():
    # A dark ramp of 64 values of 65535, which fall onto one or two of 255.
    ramp = np.repeat(np.arange(8000, 8064, dtype=np.uint16)[None, :, None], 3, -1).repeat(8, 0)
    profile = chunk_of(PROFILES["ProPhoto"])
    data = with_chunk(deep("png", ramp), b"iCCP", profile)
    with Image.open(io.BytesIO(data)) as picture:
        assert len(np.unique(np.asarray(picture.convert("L")))) <= 2
    photograph = read_photograph(data)
    expected = colour.encode_srgb(((ramp / 65535) ** 1.8).astype(np.float32))
    assert np.abs(photograph.pixels - expected).max() < 2e-4
    assert len(np.unique(photograph.pixels[0, :, 1])) == 64
    assert photograph.notes[-1].startswith("converted to sRGB from its colour profile")


def chunk_of(profile: bytes) -> bytes:
    """The data of a PNG's iCCP chunk."""
    return b"profile\0\0" + zlib.compress(profile)


@pytest.mark.parametrize(("orientation", "bits"), [(1, 8), (6, 16)])
def test_grey_of_a_profile_is_converted(orientation: int, bits: int):
    grey = levels(bits)[..., 0]
    photograph = read_photograph(encoded(grey, "PNG", icc_profile=grey_profile(gamma(1.8))))
    expected = colour.encode_srgb((grey / (2**bits - 1)).astype(np.float32) ** 1.8)
    np.testing.assert_allclose(photograph.pixels, np.repeat(expected[..., None], 3, -1), atol=2e-4)


@pytest.mark.parametrize("profile", ["Pillow's", "a table", "primaries"])
def test_srgb_is_left_alone(profile: str):
    content = {
        "Pillow's": ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
        "a table": rgb_profile(SRGB, table(colour.decode_srgb)),
        "primaries": rgb_profile(SRGB, parametric(*SRGB_CURVE)),
    }[profile]
    photograph = read_photograph(encoded(levels(), "PNG", icc_profile=content))
    assert np.array_equal(photograph.pixels, levels() / np.float32(255))
    assert photograph.notes == ()


def test_how_much_was_clipped_is_told():
    picture = np.full((10, 100, 3), 128, np.uint8)
    picture[:, :7] = (0, 255, 0)
    photograph = read_photograph(encoded(picture, "PNG", icc_profile=PROFILES["Display P3"]))
    assert photograph.notes[-1].startswith("7.0% of the pixels have colours that sRGB does not hold")
    # Display P3's green by its published primaries: red far below 0.
    np.testing.assert_allclose(photograph.pixels[0, 0], (0, 1, 0), atol=1e-3)


def test_a_red_of_display_p3_is_the_published_one():
    # CSS Color 4: color(display-p3 0.5 0.25 0.25) lies within sRGB, at about (0.539, 0.232, 0.239).
    [[pixel]], outside = colour.DISPLAY_P3.to_srgb(np.array([[[0.5, 0.25, 0.25]]]))
    linear = colour.decode_srgb(np.array([0.5, 0.25, 0.25]))
    p3_to_srgb = np.array([[1.22494, -0.22494, 0.0], [-0.04206, 1.04206, 0.0], [-0.01964, -0.07864, 1.09828]])
    np.testing.assert_allclose(pixel, colour.encode_srgb((p3_to_srgb @ linear).astype(np.float32)), atol=5e-4)
    assert outside == 0


@pytest.mark.parametrize(
    ("own", "primaries"), [(colour.DISPLAY_P3, DISPLAY_P3), (colour.ADOBE_RGB, ADOBE_RGB), (colour.of_gamma(0.5), SRGB)]
)
def test_built_in_colours_have_their_published_primaries(own: colour.Shaper, primaries):
    np.testing.assert_allclose(own.matrix, icc_profiles.to_d50(primaries), atol=4e-4)


def test_adobe_rgb_of_a_camera_without_a_profile_is_converted():
    named = read_photograph(encoded(levels(), "JPEG", quality=98, subsampling=0, exif=exif(1, "R03")))
    stated = read_photograph(encoded(levels(), "JPEG", quality=98, subsampling=0, icc_profile=PROFILES["Adobe RGB"]))
    assert np.abs(named.pixels - stated.pixels).max() < 1 / 255
    plain = read_photograph(encoded(levels(), "JPEG", quality=98, subsampling=0, exif=exif(1, "R98")))
    assert np.abs(named.pixels - plain.pixels).max() > 10 / 255
    assert plain.notes == ()


@pytest.mark.parametrize(
    ("mode", "profile"),
    [
        ("RGB", b"rubbish" * 40),
        ("RGB", PROFILES["Adobe RGB"][:300]),
        ("RGB", grey_profile(gamma(2.2))),
        ("CMYK", PROFILES["Adobe RGB"]),
    ],
    ids=["no profile", "cut short", "of grey", "of other pixels"],
)
def test_a_profile_that_does_not_serve_is_told(mode: str, profile: bytes):
    picture = Image.fromarray(levels()).convert(mode)
    kind = "TIFF" if mode == "CMYK" else "PNG"
    photograph = read_photograph(encoded(picture, kind, icc_profile=profile))
    assert np.abs(photograph.pixels - colours()).max() < 1 / 255
    assert any("taken as sRGB and may be off" in note for note in photograph.notes)


def test_cmyk_and_lab_are_converted():
    picture = Image.fromarray(levels())
    photograph = read_photograph(encoded(picture.convert("CMYK"), "JPEG", quality=98))
    assert np.abs(photograph.pixels - colours()).max() < 5 / 255
    assert any("CMYK without a colour profile" in note for note in photograph.notes)
    soft = Image.fromarray((levels() // 4 + 96).astype(np.uint8))
    lab = ImageCms.profileToProfile(
        soft, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    photograph = read_photograph(encoded(lab, "TIFF"))
    assert np.abs(photograph.pixels - np.asarray(soft) / 255).max() < 4 / 255


def test_profiles_with_tables_are_not_read_as_curves():
    profile = PROFILES["Adobe RGB"]
    assert read_shaper(profile.replace(b"cprt", b"A2B0", 1)) is None
    with pytest.raises(UnreadableProfileError):
        read_shaper(profile.replace(b"rTRC", b"xTRC", 1))


@pytest.mark.parametrize("kind", range(5))
def test_parametric_curves_of_every_type(kind: int):
    g, a, b, c, d, e, f = 2.0, 0.8, 0.2, 0.3, 0.1, 0.02, 0.01
    numbers = {0: (g,), 1: (g, a, b), 2: (g, a, b, c), 3: (g, a, b, c, d), 4: (g, a, b, c, d, e, f)}[kind]
    tag = (
        b"para"
        + struct.pack(">IHH", 0, kind, 0)
        + struct.pack(f">{len(numbers)}i", *(round(n * 65536) for n in numbers))
    )
    shaper = read_shaper(grey_profile(tag))
    assert shaper is not None
    x = np.array([0.0, 0.05, 0.5, 0.9])
    power = (a * x + b) ** g
    expected = {
        0: x**g,
        1: power,
        2: power + c,
        3: np.where(x >= d, power, c * x),
        4: np.where(x >= d, power + e, c * x + f),
    }[kind].clip(0, 1)
    np.testing.assert_allclose(shaper.curves[0](x), expected, atol=1e-4)
