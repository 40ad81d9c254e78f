"""Recognisers that see one person in everything: how they show themselves, and why they do.

A network that is damaged, or fed with pixels in another range than it was trained on, may give every picture nearly the
same embedding. Its cosines look like certainty. Such a network does not tell a photographed face from a pattern that
shows nobody, which a recogniser of faces does: docs/thresholds.md has the figures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..geometry.faces import Detection
from ..geometry.template import ARCFACE_LANDMARKS, ARCFACE_SIDE
from .comparison import unit_of

if TYPE_CHECKING:
    from .recogniser import FaceRecogniser

SAME_EVERYWHERE = 0.9
"""Cosine at or above which different faces, or a face and a pattern, are the same to a recogniser."""

PROBE_FACE = Detection(
    box=(0.0, 0.0, float(ARCFACE_SIDE), float(ARCFACE_SIDE)),
    landmarks=tuple((float(x), float(y)) for x, y in ARCFACE_LANDMARKS),
    score=1.0,
)
"""Where the face of a probe would be: the recogniser's crop is the whole probe."""


def probes() -> list[NDArray[np.uint8]]:
    """Patterns that show nobody and are unlike each other: two opposite gradients, stripes, and noise.

    Returns:
        uint8 [S, S, 3] each, S the side of the recogniser's crops.
    """
    side = int(ARCFACE_SIDE)
    across = np.linspace(0.0, 1.0, side)
    columns = [across, 1 - across, 0.5 + 0.4 * np.sin(20 * across)]
    patterns = [np.broadcast_to(255 * column[None, :, None], (side, side, 3)) for column in columns]
    patterns.append(np.random.default_rng(0).uniform(0, 255, (side, side, 3)))
    return [pattern.round().astype(np.uint8) for pattern in patterns]


def least_cosine(recogniser: FaceRecogniser, picture: NDArray[np.uint8], face: Detection) -> float | None:
    """The least cosine of a face and the `probes`; None if the face or all probes have no embedding.

    Args:
        recogniser: of faces.
        picture: uint8 [H, W, 3], BGR.
        face: in it.
    """
    places = [(picture, face), *((probe, PROBE_FACE) for probe in probes())]
    units = [unit_of(recogniser.embedding(pixels, place)) for pixels, place in places]
    cosines = [float(units[0] @ unit) for unit in units[1:] if units[0] is not None and unit is not None]
    return min(cosines, default=None)


def all_alike(name: str, recogniser: FaceRecogniser, picture: NDArray[np.uint8], face: Detection) -> str:
    """The message for a recogniser that says `SAME_EVERYWHERE` or more of a face and of every probe.

    Args:
        name: of its pack or file.
        recogniser: it.
        picture: uint8 [H, W, 3], BGR.
        face: in it.
    """
    said = (
        f'the recogniser "{name}" says {SAME_EVERYWHERE:g} or more of a photographed face and of patterns that show '
        "nobody, so it cannot tell whether people are recognisable"
    )
    other = recogniser.rescaled()
    least = None if other is None else least_cosine(other, picture, face)
    if least is not None and least < SAME_EVERYWHERE:
        return f"{said}. {WRONG_SCALE}"
    return f"{said}; the file is damaged or was converted wrongly: choose another checker"


WRONG_SCALE = (
    "With its input scaled in the other usual way it does better: InsightFace guesses the scaling from the names of a "
    "file's first nodes, and guessed wrongly. Export the file again with its own first nodes named Sub and Mul if it "
    "scales pixels from 0 to 255 by itself, and with other names if it expects -1 to 1; or choose another checker"
)
"""What to do about a file whose input InsightFace scales wrongly."""
