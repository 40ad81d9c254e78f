"""Writes input files like those of users: full of metadata that must not reach the output."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, PngImagePlugin

from .cases import Case
from .photographs import Pixels

PERSON = "Ada-Quillfeather"
"""Part of the name of every input file."""

EXIF_NOTE, XMP_NOTE, COMMENT, PROMPT = "exif-Brontallo-17", "xmp-Vexmoor-23", "comment-Tullagh-31", "prompt-Ogmore-47"
"""Secrets in the inputs and in the graph. A saved file must contain none of these words."""

SECRETS = (PERSON, EXIF_NOTE, XMP_NOTE, COMMENT, PROMPT)

ORIENTATIONS = {1: 0, 3: 2, 6: 1, 8: 3}
"""EXIF orientation -> clockwise quarter turns by which a viewer rotates the stored picture."""

EXIF_ORIENTATION, EXIF_DESCRIPTION, EXIF_ARTIST = 0x0112, 0x010E, 0x013B

TENSORS = ".npz"


def write_input(case: Case, folder: Path) -> str:
    """Write a case's pictures into the host's input folder and return the file's name."""
    name = f"{PERSON}-{case.number:05d}{_suffix(case)}"
    path, pixels = folder / name, case.photographs[0].pixels
    if case.form == "tensor":
        arrays: dict[str, Any] = {f"p{i}": one.pixels for i, one in enumerate(case.photographs)}
        np.savez(path, listed=case.listed, **arrays)
    elif case.form.startswith("16-bit"):
        _write_deep(path, pixels)
    elif case.form == "jpeg":
        _write_jpeg(path, pixels, list(ORIENTATIONS)[case.number % len(ORIENTATIONS)])
    else:
        notes = PngImagePlugin.PngInfo()
        notes.add_text("Description", COMMENT)
        notes.add_itxt("XML:com.adobe.xmp", _xmp())
        _image(pixels).save(path, pnginfo=notes, exif=_exif(1))
    return name


def read_tensors(path: Path) -> tuple[list[Pixels], bool]:
    """Read the tensors that `write_input` wrote; also return whether they form a list."""
    with np.load(path) as stored:
        return [stored[name] for name in sorted(stored.files) if name != "listed"], bool(stored["listed"])


def read_saved(path: Path) -> NDArray[np.uint8]:
    """Return the levels of a saved picture, [H, W, C]."""
    with Image.open(path) as image:
        levels = np.asarray(image)
    return levels[..., None] if levels.ndim == 2 else levels


def leaks(path: Path) -> list[str]:
    """Return the secrets that a file contains in any common encoding, and all chunks of a PNG that are not pixels."""
    content = path.read_bytes()
    found = [
        word
        for word in SECRETS
        if any(word.encode(encoding) in content for encoding in ("utf-8", "utf-16-le", "utf-16-be"))
    ]
    if path.suffix == ".png":
        found += [f"chunk {kind}" for kind in _chunks(content) if kind not in ("IHDR", "PLTE", "IDAT", "IEND")]
    return found


def _chunks(content: bytes) -> list[str]:
    kinds, place = [], 8
    while place < len(content):
        length = int.from_bytes(content[place : place + 4], "big")
        kinds.append(content[place + 4 : place + 8].decode("latin-1"))
        place += 12 + length
    return kinds


def _suffix(case: Case) -> str:
    return {"tensor": TENSORS, "jpeg": ".jpg"}.get(case.form, ".png")


def _image(pixels: Pixels) -> Image.Image:
    levels = np.round(pixels * 255).astype(np.uint8)
    return Image.fromarray(levels[..., 0] if levels.shape[2] == 1 else levels)


def _write_deep(path: Path, pixels: Pixels) -> None:
    levels = np.round(pixels * 65535).astype(np.uint16)
    encoded, content = cv2.imencode(".png", np.ascontiguousarray(levels[..., ::-1]))
    if not encoded:
        raise OSError(f"OpenCV cannot write {path.name}")
    path.write_bytes(content.tobytes())


def _write_jpeg(path: Path, pixels: Pixels, orientation: int) -> None:
    stored = np.ascontiguousarray(np.rot90(pixels, ORIENTATIONS[orientation]))
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    _image(stored).save(
        path,
        quality=95,
        exif=_exif(orientation),
        icc_profile=profile,
        comment=COMMENT.encode(),
        xmp=_xmp().encode(),
    )


def _exif(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = orientation
    exif[EXIF_DESCRIPTION] = EXIF_NOTE
    exif[EXIF_ARTIST] = PERSON
    return exif


def _xmp() -> str:
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/" dc:title="{XMP_NOTE}"/></rdf:RDF></x:xmpmeta>'
    )
