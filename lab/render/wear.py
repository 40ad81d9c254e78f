"""Builds a body in clothes, and glasses."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from .appearance import Appearance
from .geometry import F32, I32, tube
from .head_mesh import SKIN, HeadModel
from .soup import CLOTH, GLASSES, LIMB, Soup, neck_follow, plain_attributes

TORSO = np.array(
    [
        [0.715, 0.040, 0.030, -0.034],
        [0.726, 0.070, 0.040, -0.032],
        [0.727, 0.100, 0.050, -0.030],
        [0.719, 0.142, 0.064, -0.024],
        [0.702, 0.176, 0.080, -0.018],
        [0.675, 0.192, 0.088, -0.016],
        [0.640, 0.196, 0.098, -0.020],
        [0.580, 0.190, 0.112, -0.024],
        [0.450, 0.172, 0.116, -0.020],
        [0.300, 0.155, 0.106, -0.015],
        [0.150, 0.165, 0.112, -0.010],
        [0.000, 0.176, 0.118, -0.010],
        [-0.080, 0.168, 0.110, -0.010],
    ]
)
"""Height, half width, half depth and middle (y) of a standing body's cross-sections, metres."""

ARM = np.array(
    [
        [0.150, -0.018, 0.690, 0.026],
        [0.168, -0.018, 0.672, 0.046],
        [0.195, -0.018, 0.600, 0.052],
        [0.218, -0.012, 0.480, 0.045],
        [0.228, -0.010, 0.360, 0.040],
        [0.232, -0.030, 0.220, 0.036],
        [0.230, -0.055, 0.090, 0.030],
    ]
)
HAND = np.array([[0.230, -0.055, 0.095, 0.024], [0.228, -0.065, 0.040, 0.034], [0.222, -0.075, -0.06, 0.020]])
LEG = np.array(
    [
        [0.085, -0.010, -0.040, 0.092],
        [0.090, -0.010, -0.250, 0.080],
        [0.093, -0.012, -0.440, 0.062],
        [0.095, 0.000, -0.650, 0.056],
        [0.097, 0.005, -0.830, 0.046],
    ]
)
SHOE = np.array([[0.098, 0.030, -0.825, 0.040], [0.100, -0.030, -0.835, 0.045], [0.105, -0.130, -0.848, 0.030]])
"""Points and radius of the person's left limbs, metres."""

GROUND = -0.86
"""Height of the ground in metres."""

RIMS = {"round": (0.0235, 0.0225, 2.0), "rectangle": (0.0270, 0.0165, 4.5), "oval": (0.0265, 0.0190, 2.6)}
"""Half width, half height (metres) and exponent of the outline of a lens."""


@cache
def body_mesh() -> tuple[F32, F32, F32, I32, NDArray[np.uint8], NDArray[np.bool_]]:
    """Build the average body.

    Returns:
        The middle of the cross-section of each vertex [V, 3], the offset from it [V, 3], attributes
        [V, ATTRIBUTES], triangles [T, 3], parts [T], and which vertices [V] are the torso's.
    """
    torso = np.stack([np.zeros(len(TORSO)), TORSO[:, 3], TORSO[:, 0]], 1)
    pieces = [(torso, TORSO[:, 1:3], 24, CLOTH, 0.0)]
    for side in (-1.0, 1.0):
        for limb, part, layer in ((ARM, CLOTH, 0.0), (HAND, LIMB, 0.0), (LEG, CLOTH, 1.0), (SHOE, CLOTH, 2.0)):
            pieces.append((limb[:, :3] * np.array([side, 1, 1]), np.repeat(limb[:, 3:], 2, 1), 10, part, layer))
    middles, offsets, attributes, meshes, parts, torsos = [], [], [], [], [], []
    count = 0
    for path, radii, segments, part, layer in pieces:
        vertices, triangles = tube(path.astype(np.float32), radii.astype(np.float32), segments)
        middles.append(np.repeat(path, segments, 0).astype(np.float32))
        offsets.append(vertices - middles[-1])
        attributes.append(plain_attributes(vertices, layer=layer))
        meshes.append(triangles + np.int32(count))
        parts.append(np.full(len(triangles), part, np.uint8))
        torsos.append(np.full(len(vertices), path is torso))
        count += len(vertices)
    cat = np.concatenate
    return cat(middles), cat(offsets), cat(attributes), cat(meshes), cat(parts), cat(torsos)


def add_body(soup: Soup, weight: float, masculinity: float) -> None:
    """Add a clothed body below the neck.

    Args:
        soup: to add to.
        weight: -1 lean to 1 heavy.
        masculinity: 0 for narrow shoulders, 1 for wide ones.
    """
    middles, offsets, attributes, triangles, parts, torso = body_mesh()
    girth = np.float32(1 + 0.10 * weight) * np.ones(len(middles), np.float32)
    # The collar follows the neck, whose girth comes from the head's mesh.
    girth[torso & (middles[:, 2] > 0.66)] = 1
    vertices = middles + offsets * girth[:, None]
    vertices[torso, 0] *= np.float32(0.94 + 0.06 * masculinity)
    soup.add(vertices, attributes, triangles, parts, neck_follow(vertices[:, 2]))


def add_glasses(soup: Soup, model: HeadModel, vertices: F32, appearance: Appearance) -> None:
    """Add glasses to a head [V, 3], if the person wears any."""
    if appearance.glasses == "none":
        return
    half_width, half_height, power = RIMS[appearance.glasses]
    centres, _ = model.eye_balls(vertices)
    skin = model.vertex_parts == SKIN
    around = skin & (np.abs(model.mean[:, 2] - 0.892) < 0.018) & (np.abs(model.mean[:, 0]) < 0.06)
    front = float(vertices[around & (np.abs(model.mean[:, 0]) > 0.012)][:, 1].min()) - 0.004
    temple = skin & (np.abs(model.mean[:, 2] - 0.893) < 0.012) & (np.abs(model.mean[:, 1] + 0.07) < 0.02)
    head = float(np.abs(vertices[temple & (model.masks[2] < 0.2)][:, 0]).max()) + 0.002
    turn = np.arange(40) / 40 * 2 * np.pi
    outline = np.stack([np.cos(turn), np.sin(turn)])
    outline = np.sign(outline) * np.abs(outline) ** (2 / power)
    height = float(centres[:, 2].mean()) - 0.003
    pieces = []
    for side in (-1.0, 1.0):
        middle = side * max(float(np.abs(centres[:, 0]).mean()) + 0.001, half_width + 0.0075)
        x = middle + half_width * outline[0]
        # Frames curve around the face.
        y = front + 0.35 * np.maximum(np.abs(x) - 0.03, 0) ** 1.3
        rim = np.stack([x, y, height + half_height * outline[1]], 1)
        pieces.append(tube(rim.astype(np.float32), np.full((40, 2), 0.0014, np.float32), 6, closed=True))
        hinge = side * (abs(middle) + half_width)
        ends = np.array([[hinge, float(y.max()), 0.006], [side * head, -0.085, 0.007], [side * head, -0.03, 0.005]])
        ends[:, 2] += height
        pieces.append(tube(ends.astype(np.float32), np.full((3, 2), 0.0018, np.float32), 6))
    inner = max(float(np.abs(centres[:, 0]).mean()) + 0.001, half_width + 0.0075) - half_width
    arc = np.linspace(-1, 1, 7)
    bridge = np.stack([arc * inner, front - 0.004 * (1 - arc**2), height + 0.004 + 0.003 * (1 - arc**2)], 1)
    pieces.append(tube(bridge.astype(np.float32), np.full((7, 2), 0.0014, np.float32), 6))
    for place, triangles in pieces:
        soup.add(place, plain_attributes(place), triangles, GLASSES, np.ones(len(place), np.float32))
