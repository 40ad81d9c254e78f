"""Colours of skin, eyes and cloth at a place of rest: compiled functions of canonical coordinates."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .compiled import kernel
from .hair import HairForm, beard_density, strands
from .noise import bump, noise3, step

Colour = tuple[float, float, float]
F64 = NDArray[np.float64]


class Look(NamedTuple):
    """Colours as the kernels take them, each [3] in linear light.

    Attributes:
        skin: colour of the skin.
        lips: colour of the lips.
        lip_cover: in [0, 1], strength of the lips' own colour.
        lid: colour of the eye shadow.
        lid_cover: in [0, 1], strength of the eye shadow.
        blush: in [0, 1], strength of the blush.
        liner: in [0, 1], darkness of the eyelids' rims.
        age: 0 at 36 years, 1 at 80.
        gloss: in [0, 1], gloss of the skin.
        stubble: in [0, 1], darkness of hair under the skin.
        hair: colour of the hair.
        iris: colour of the irises.
        brows: [6], the fields of `identity.Brows`.
        gaze: [3] unit vector along the eyes' direction, before the head's pose.
        eyes: [2, 3] canonical centres of the eyeballs.
        clothes: colour of the upper garment.
        trousers: colour of the lower garment.
        pattern: pattern of the clothes, as in `appearance.Appearance`.
        frame: colour of the glasses.
        seed: shifts the noise.
    """

    skin: F64
    lips: F64
    lip_cover: float
    lid: F64
    lid_cover: float
    blush: float
    liner: float
    age: float
    gloss: float
    stubble: float
    hair: F64
    iris: F64
    brows: F64
    gaze: F64
    eyes: F64
    clothes: F64
    trousers: F64
    pattern: int
    frame: F64
    seed: float


@kernel
def mixed(colour: Colour, other: F64, tone: float, part: float) -> Colour:
    """Return `colour` with a share `part` replaced by `other` times `tone`."""
    rest, part = 1 - part, part * tone
    return colour[0] * rest + other[0] * part, colour[1] * rest + other[1] * part, colour[2] * rest + other[2] * part


@kernel
def scaled(colour: Colour, factor: float) -> Colour:
    """Return `colour` times `factor`."""
    return colour[0] * factor, colour[1] * factor, colour[2] * factor


@kernel
def below_neckline(x: float, y: float, z: float) -> float:
    """Return how many metres a canonical place of the skin is below a shirt's neckline, negative above."""
    return 0.722 + 0.30 * min(abs(x), 0.075) + 0.25 * max(y + 0.06, 0.0) - z


@kernel
def brow(x: float, y: float, z: float, form: F64, seed: float) -> float:
    """Return the density of the eyebrows at a canonical place, in [0, 1]."""
    if y > -0.08 or abs(z - 0.908) > 0.022:
        return 0.0
    ax = abs(x)
    thickness, arch, tilt, height, inner, outer = form[0], form[1], form[2], form[3], form[4], form[5]
    s = (ax - inner) / (outer - inner)
    s = min(max(s, 0.0), 1.0)
    middle = 0.9062 + height + (arch + 0.0035) * np.sin(np.pi * min(0.15 + 0.85 * s, 1.0)) + tilt * (ax - 0.03)
    half = thickness * (1.05 - 0.60 * s)
    hairs = noise3(x * 900 + 700 * (z - middle) * (1 if x > 0 else -1), z * 260, seed)
    d = abs(z - middle) / half + 0.5 * (hairs - 0.5)
    ends = step(inner - 0.003, inner + 0.004, ax) * step(outer + 0.003, outer - 0.005, ax)
    return step(1.25, 0.45, d) * ends * (0.75 + 0.25 * hairs)


@kernel
def wrinkles(x: float, y: float, z: float, seed: float) -> float:
    """Return the depth of an old face's wrinkles at a canonical place, in [0, 1]."""
    if y > -0.07:
        return 0.0
    ax = abs(x)
    depth = 0.0
    if 0.918 < z < 0.962:
        wave = (z + 0.004 * noise3(x * 45, seed, z * 20)) * 2 * np.pi / 0.0105
        lines = max(np.sin(wave) - 0.35, 0.0) * 1.5
        depth += 0.6 * lines * bump(z - 0.939, 0.015) * bump(x, 0.042) * (0.4 + noise3(x * 70, z * 100, seed))
    fold = ax - (0.0225 + (0.850 - z) * 0.42)
    depth += 0.9 * bump(fold, 0.0028) * step(0.812, 0.824, z) * step(0.858, 0.848, z)
    bag = z - (0.8765 + 6.0 * (ax - 0.031) ** 2)
    depth += 0.6 * bump(bag, 0.0022) * bump(ax - 0.031, 0.017)
    if ax > 0.045 and y < -0.09:
        rays = np.sin((np.arctan2(z - 0.8915, ax - 0.036)) * 16 + 2 * noise3(x * 90, z * 90, seed))
        depth += 0.5 * max(rays - 0.2, 0.0) * bump(ax - 0.056, 0.008) * bump(z - 0.890, 0.014)
    marionette = bump(ax - 0.031 - 0.1 * (0.82 - z), 0.0025) * step(0.796, 0.804, z) * step(0.822, 0.815, z)
    return min(depth + 0.6 * marionette, 1.0)


@kernel
def skin_colour(
    x: float, y: float, z: float, masks: F64, look: Look, form: HairForm
) -> tuple[float, float, float, float]:
    """Return colour and gloss of the skin, with everything on it.

    Args:
        x: canonical, metres.
        y: canonical, metres.
        z: canonical, metres.
        masks: [6], lips, eyelids, ears, inside of the mouth in [0, 1]; metres above the hairline; rims of the eyelids
            in [0, 1]: the columns of a vertex's attributes from `soup.LIPS` on.
        look: colours.
        form: form of the hair.
    """
    ax, seed = abs(x), look.seed
    lips, lids, ears, inner, rims = masks[0], masks[1], masks[2], masks[3], masks[5]
    colour = (look.skin[0], look.skin[1], look.skin[2])
    gloss = 0.25 + 0.75 * look.gloss
    blotch = noise3(x * 55, y * 55, z * 55 + seed) + 0.6 * noise3(x * 140 + seed, y * 140, z * 140) - 0.8
    # Turn the noise against the axes, or the flat forehead would show its lattice.
    pores = noise3(x * 520 + y * 310 + z * 270, z * 560 - x * 290 + seed, y * 540 + x * 260 - z * 300)
    colour = scaled(colour, 1 + 0.12 * blotch + 0.08 * (pores - 0.5))
    warm = bump(ax - 0.043, 0.022) * bump(z - 0.852, 0.020) * step(-0.07, -0.10, y)
    warm += 0.8 * bump(x, 0.016) * bump(z - 0.853, 0.015) * step(-0.13, -0.15, y) + 0.5 * ears
    warm *= 0.35 + 0.65 * look.blush
    colour = colour[0] * (1 - 0.03 * warm), colour[1] * (1 - 0.24 * warm), colour[2] * (1 - 0.22 * warm)
    # Skin around the eyes is thin and therefore darker.
    socket = bump(ax - 0.029, 0.016) * bump(z - 0.884, 0.011) * step(-0.09, -0.11, y)
    colour = colour[0] * (1 - 0.16 * socket), colour[1] * (1 - 0.22 * socket), colour[2] * (1 - 0.18 * socket)
    if look.age > 0.05:
        colour = scaled(colour, 1 - 0.55 * look.age * wrinkles(x, y, z, seed))
        spots = step(0.62, 0.95, noise3(x * 150 + z * 80, y * 150 + 3 * seed, z * 150 - x * 80))
        colour = mixed(colour, look.skin, 0.55, 0.35 * look.age**2 * spots)
    colour = mixed(colour, look.lid, 1.0, look.lid_cover * step(0.2, 0.9, lids))
    lip = step(0.25, 0.75, lips)
    if lip > 0:
        furrow = 0.88 + 0.24 * noise3(x * 700, z * 90, seed)
        colour = mixed(colour, look.lips, furrow, look.lip_cover * lip)
        gloss += 0.9 * lip
    colour = mixed(colour, look.skin, 0.07, 0.95 * step(0.3, 0.9, inner))
    colour = mixed(colour, look.skin, 0.06, look.liner * rims)
    density = beard_density(x, y, z, 4) * (1 - lip)
    if density > 0:
        dots = 0.65 + 0.7 * (noise3(x * 1100, y * 1100, z * 1100) - 0.2)
        colour = mixed(colour, look.hair, 0.6, look.stubble * density * dots)
        if form.beard >= 2:
            colour = mixed(colour, look.hair, 0.7, 0.75 * beard_density(x, y, z, form.beard) * (1 - lip))
            gloss *= 1 - 0.7 * density
    brows = brow(x, y, z, look.brows, seed)
    colour = mixed(colour, look.hair, 0.55, 0.88 * brows)
    if masks[4] > -0.006 and ears < 0.5:
        edge = masks[4] + (strands(x, y, z, form, 2.6) - 0.5) * form.ragged
        grown = step(-0.002, 0.006, edge) * form.cover * (1 - step(0.2, 0.5, ears))
        if not form.grown or form.cover < 1:
            grown *= 0.6 + 0.8 * (noise3(x * 800, y * 800, z * 800) - 0.25)
        colour = mixed(colour, look.hair, 0.8, min(max(grown, 0.0), 1.0))
        gloss *= 1 - 0.8 * max(grown, 0.0)
    return colour[0], colour[1], colour[2], gloss


@kernel
def eye_colour(x: float, y: float, z: float, right: int, look: Look) -> Colour:
    """Return the colour of an eyeball at a canonical place; `right` is 1 for the person's right eye."""
    px, py, pz = x - look.eyes[right, 0], y - look.eyes[right, 1], z - look.eyes[right, 2]
    length = np.sqrt(px * px + py * py + pz * pz) + 1e-9
    px, py, pz = px / length, py / length, pz / length
    cosine = px * look.gaze[0] + py * look.gaze[1] + pz * look.gaze[2]
    angle = np.arccos(min(max(cosine, -1.0), 1.0))
    white = (0.70, 0.66, 0.62)
    redder = step(0.55, 1.1, angle)
    colour = (white[0], white[1] * (1 - 0.16 * redder), white[2] * (1 - 0.18 * redder))
    if angle < 0.56:
        turn = np.arctan2(pz - look.gaze[2], px - look.gaze[0])
        fibres = 0.75 + 0.5 * noise3(np.cos(turn) * 9, np.sin(turn) * 9, angle * 6 + look.seed)
        ring = 1 - 0.65 * step(0.36, 0.47, angle)
        colour = mixed(colour, look.iris, fibres * ring, step(0.50, 0.45, angle))
        colour = mixed(colour, look.iris, 0.02, step(0.215, 0.185, angle))
    # The upper lid shades the eyeball.
    return scaled(colour, 1 - 0.62 * step(0.10, 0.42, pz) - 0.15 * step(0.0, -0.4, pz))


@kernel
def cloth_colour(x: float, y: float, z: float, layer: float, look: Look) -> Colour:
    """Return the colour of the clothes; `layer` is 1 on legs, 2 on shoes, else 0."""
    if layer > 1.5:
        return scaled((look.trousers[0], look.trousers[1], look.trousers[2]), 0.4)
    if layer > 0.5 or z < -0.01:
        colour = (look.trousers[0], look.trousers[1], look.trousers[2])
        return scaled(colour, 0.85 + 0.3 * noise3(x * 30, y * 30, z * 12 + look.seed))
    colour = (look.clothes[0], look.clothes[1], look.clothes[2])
    folds = noise3(x * 16 + look.seed, y * 16, z * 9) - 0.5
    colour = scaled(colour, 1 + 0.30 * folds)
    if look.pattern == 1:
        colour = scaled(colour, 0.85 + 0.3 * noise3(x * 420, y * 420, z * 420))
    elif look.pattern == 2:
        colour = scaled(colour, 1 - 0.30 * step(0.1, 0.4, np.sin(z * 2 * np.pi / 0.034)))
    return colour
