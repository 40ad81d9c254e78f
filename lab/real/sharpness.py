"""What is left of real photographs' sharpness where unchanged crops are pasted back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from lab.sharpness import SIZES, Pasted, paste_back

from . import host
from .pictures import Picture
from .searching import embed, matched


def paste_back_real(pictures: Iterable[Picture], live: bool) -> list[Pasted]:
    """Crop and paste every annotated face that is found, one at a time."""
    results: list[Pasted] = []
    for picture in pictures:
        known = [face for face in picture.faces if not face.note and face.side >= SIZES[0]]
        if not known:
            continue
        faces = embed(picture, live)
        matches = matched([face.box for face in known], [one.box for one in faces.images[0]])
        image = host.image(picture.pixels())
        for face, match in zip(known, matches, strict=True):
            if match is not None:
                alone = replace(faces, images=((faces.images[0][match],),), left_out=((),))
                results += paste_back(image, alone, face.side)
    return results
