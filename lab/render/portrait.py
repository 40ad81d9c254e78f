"""Draws one person in a square picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .background import draw_background
from .geometry import F32
from .identity import Identity, draw_identity
from .nuisance import Framing, Nuisance, draw_nuisance
from .person import Person, build_person
from .truth import FaceTruth, face_truth

FREE_FACE = 0.5
"""Height of a face as a fraction of the picture's, in the framing "free" at scale 1."""


@dataclass(frozen=True, eq=False)
class Portrait:
    """A picture [side, side, 3] uint8 and its face."""

    image: NDArray[np.uint8]
    truth: FaceTruth


def similarity(factor: complex, shift: complex) -> NDArray[np.float64]:
    """Return the affine map [2, 3] of z -> factor * z + shift, where z = x + iy."""
    return np.array([[factor.real, -factor.imag, shift.real], [factor.imag, factor.real, shift.imag]])


def portrait_view(person: Person, framing: Framing, side: int) -> NDArray[np.float64]:
    """Return the map [2, 3] from the person's projected metres to a picture of `side` pixels.

    "ffhq" is the rule of the FFHQ data set, as in `reverse_personalization.geometry.template.ffhq_fractions`.
    """
    points = person.projected(person.landmarks).astype(np.float64) @ np.array([1, 1j])
    if framing.kind == "ffhq":
        eyes = (points[0] + points[1]) / 2
        across = points[1] - points[0]
        down = (points[3] + points[4]) / 2 - eyes
        right = across - 1j * down
        half = right / abs(right) * max(2.0 * abs(across), 1.8 * abs(down))
        centre = eyes + 0.1 * down
        factor = side / (2 * half)
    else:
        outline = person.projected(person.outline)
        low, high = outline.min(0).tolist(), outline.max(0).tolist()
        centre = complex(low[0] + high[0], low[1] + high[1]) / 2
        factor = complex(FREE_FACE * side / (high[1] - low[1]))
    factor *= framing.scale * np.exp(1j * np.radians(framing.turn))
    middle = side * complex(0.5 + framing.shift_x, 0.5 + framing.shift_y)
    return similarity(complex(factor), complex(middle - factor * centre))


def to_bytes(image: F32) -> NDArray[np.uint8]:
    """Convert colours in [0, 1] to uint8."""
    return (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)


def draw_portrait(
    identity: Identity, nuisance: Nuisance, side: int = 128, *, background: F32 | None = None, samples: int = 2
) -> Portrait:
    """Draw a person.

    Args:
        identity: the person.
        nuisance: how the person appears.
        side: side of the picture in pixels, up to about 512; beyond that, the mesh shows.
        background: [side, side, 3] in [0, 1]; by default drawn from the nuisance's seed.
        samples: samples per side of a pixel, for smooth edges.
    """
    person = build_person(identity, nuisance)
    view = portrait_view(person, nuisance.framing, side)
    drawing = person.draw(view, side, side, samples)
    if background is None:
        blur = 0.01 + 0.03 * np.random.default_rng(nuisance.seed).random()
        background = draw_background(nuisance.seed, side, side, blur=blur)
        background = background * np.array(nuisance.lighting.balance, np.float32)
    image = drawing[..., :3] + background * (1 - drawing[..., 3:4])
    return Portrait(to_bytes(image), face_truth(identity, nuisance, person, view, drawing[..., 4] > 0.5))


def portrait(identity: int, nuisance: int, side: int = 128, *, widest: float = 30.0) -> Portrait:
    """Draw the portrait of two seeds, who and how; `widest` is the largest yaw in degrees."""
    person = draw_identity(identity)
    return draw_portrait(person, draw_nuisance(nuisance, person, widest=widest), side)
