"""The photographs of a run, and what must become of each."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from batch.codes import BLOCKED, COVERED, FAILED
from lab.render.portrait import portrait

SIDE = 96
"""Side of a photograph in pixels: as small as a face that the detector finds."""

EMPTY_EVERY, DAMAGED_EVERY, AGAIN_EVERY = 9, 11, 10
"""Of so many photographs one shows nobody, one is cut short, and one is a copy of another under another name."""


def write_photographs(folder: Path, seed: int, count: int) -> dict[str, str]:
    """Write the photographs into a new folder.

    Args:
        folder: is made.
        seed: of the people.
        count: of photographs.

    Returns:
        By each file's name the status that it must end with.
    """
    folder.mkdir(parents=True)
    expected: dict[str, str] = {}
    last = b""
    for number in range(count):
        name = f"person {number:04}.jpg"
        content, status = _person(1000 * seed + number), COVERED
        if number % EMPTY_EVERY == EMPTY_EVERY - 1:
            content, status = _nobody(number), BLOCKED
        elif number % DAMAGED_EVERY == DAMAGED_EVERY - 1:
            # Another length each time, so that no two are one photograph.
            content, status = content[: 400 + number], FAILED
        elif number % AGAIN_EVERY == AGAIN_EVERY - 1:
            content = last
        else:
            last = content
        (folder / name).write_bytes(content)
        expected[name] = status
    return expected


def _person(seed: int) -> bytes:
    return _jpeg(Image.fromarray(portrait(seed, seed, SIDE).image))


def _nobody(seed: int) -> bytes:
    colours = np.random.default_rng(seed).integers(60, 200, (2, 3)).astype(np.float32)
    ramp = np.linspace(0, 1, SIDE, dtype=np.float32)[:, None, None]
    picture = colours[0] * (1 - ramp) + colours[1] * ramp
    return _jpeg(Image.fromarray(np.broadcast_to(picture, (SIDE, SIDE, 3)).astype(np.uint8)))


def _jpeg(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "jpeg", quality=92)
    return file.getvalue()
