"""Colours every sample and averages samples to pixels, with compiled kernels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .compiled import kernel
from .geometry import F32, I32
from .hair import HairForm, strands
from .head_mesh import EYE_LEFT, EYE_RIGHT, SKIN, TEETH, TONGUE
from .noise import step
from .skin import F64, Look, below_neckline, cloth_colour, eye_colour, scaled, skin_colour
from .soup import BEARD, CAP, CLOTH, CURTAIN, FACE, GLASSES, LAYER, LIPS, OPEN

CHANNELS = 5
"""Channels of a drawing: red, green, blue (sRGB in [0, 1], times cover), cover, and cover by the face."""

SHADOW_SIDE = 144
"""Side of the shadow map in pixels."""

SHADOW_REACH = 0.44
"""Metres around the head that the shadow map spans."""


class Lights(NamedTuple):
    """Lights as the kernels take them.

    Attributes:
        direction: [3] unit vector towards the main light.
        key: [3] strength of the main light in red, green and blue.
        sky: [3] light from above.
        ground: [3] light from below.
        gain: [3] gains of the camera.
        to_map: [3, 3], maps posed metres to the shadow map's axes: x, y, nearness to the light.
    """

    direction: F64
    key: F64
    sky: F64
    ground: F64
    gain: F64
    to_map: F64


TONE_STEPS = 4096
TONE_TOP = 4.0


def tone_curve() -> F32:
    """Tabulate sRGB values in [0, 1] for linear light from 0 to TONE_TOP, with a camera's roll-off of highlights.

    The steps are even in the square root of the light, as perception is.
    """
    light = np.linspace(0, np.sqrt(TONE_TOP), TONE_STEPS) ** 2
    light = np.where(light > 0.6, 0.6 + 0.4 * (1 - np.exp(-(light - 0.6) / 0.4)), light)
    return np.where(light < 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055).astype(np.float32)


TONES = tone_curve()


@kernel
def display(light: float) -> float:
    """Convert linear light to an sRGB value in [0, 1] by `tone_curve`."""
    light = min(max(light, 0.0), TONE_TOP)
    return float(TONES[int(np.sqrt(light / TONE_TOP) * (TONE_STEPS - 1) + 0.5)])


@kernel
def lit(x: float, y: float, z: float, slope: float, lights: Lights, shadow: F32) -> float:
    """Return the share in [0, 1] of the main light that reaches a posed place, with soft shadow edges.

    Args:
        x: posed, metres.
        y: posed, metres.
        z: posed, metres.
        slope: cosine between the surface's normal and the light.
        lights: the light.
        shadow: [SHADOW_SIDE, SHADOW_SIDE], shadow map.
    """
    scale = SHADOW_SIDE / SHADOW_REACH
    m = lights.to_map
    mx = (m[0, 0] * x + m[0, 1] * y + m[0, 2] * z) * scale + SHADOW_SIDE / 2
    my = (m[1, 0] * x + m[1, 1] * y + m[1, 2] * z) * scale + SHADOW_SIDE / 2
    mz = m[2, 0] * x + m[2, 1] * y + m[2, 2] * z
    # A pixel of the map holds a single depth, so a slanting surface needs a larger tolerance to not shade itself.
    free = 0.004 + 0.012 * (1 - max(slope, 0.0))
    total = 0.0
    for dx, dy in ((0.0, 0.0), (1.3, 0.5), (-0.5, 1.3), (-1.3, -0.5), (0.5, -1.3), (2.2, -2.2), (-2.2, 2.2)):
        column, row = int(mx + dx), int(my + dy)
        if row < 0 or column < 0 or row >= SHADOW_SIDE or column >= SHADOW_SIDE:
            total += 1.0
        else:
            behind = shadow[row, column] - mz
            total += min(max((free + 0.010 - behind) / 0.010, 0.0), 1.0)
    return total / 7


@kernel
def shade(
    seen: I32,
    weights: F32,
    triangles: I32,
    parts: NDArray[np.uint8],
    posed: F32,
    normals: F32,
    attributes: F32,
    look: Look,
    form: HairForm,
    lights: Lights,
    shadow: F32,
    eye: F64,
    samples: int,
) -> F32:
    """Colour the samples of `raster.rasterise`.

    Args:
        seen: [H * samples, W * samples] triangle numbers.
        weights: [H * samples, W * samples, 3] weights of the corners.
        triangles: [T, 3].
        parts: [T].
        posed: [V, 3] metres.
        normals: [V, 3].
        attributes: [V, ATTRIBUTES].
        look: colours.
        form: form of the hair.
        lights: the light.
        shadow: [SHADOW_SIDE, SHADOW_SIDE] metres of nearness to the light.
        eye: [3] position of the camera, metres.
        samples: samples per side of a pixel.

    Returns:
        [H, W, CHANNELS].
    """
    height, width = seen.shape[0] // samples, seen.shape[1] // samples
    out = np.zeros((height, width, CHANNELS), np.float32)
    masks = np.zeros(6)
    one = 1.0 / (samples * samples)
    paired = samples % 2 == 0
    light = lights.direction
    for row in range(height * samples):
        for column in range(width * samples):
            t = seen[row, column]
            if t < 0:
                continue
            part = parts[t]
            share = one
            if paired and part in (SKIN, CLOTH, CAP, CURTAIN):
                # These areas are large, so one of two adjacent samples in a pixel stands for both.
                other = seen[row, column ^ 1]
                if other >= 0 and parts[other] == part:
                    if (row + column) % 2:
                        continue
                    share = 2 * one
            a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
            p, q, r = weights[row, column, 0], weights[row, column, 1], weights[row, column, 2]
            x = p * attributes[a, 0] + q * attributes[b, 0] + r * attributes[c, 0]
            y = p * attributes[a, 1] + q * attributes[b, 1] + r * attributes[c, 1]
            z = p * attributes[a, 2] + q * attributes[b, 2] + r * attributes[c, 2]
            layer = p * attributes[a, LAYER] + q * attributes[b, LAYER] + r * attributes[c, LAYER]
            sky = p * attributes[a, OPEN] + q * attributes[b, OPEN] + r * attributes[c, OPEN]
            wx = p * posed[a, 0] + q * posed[b, 0] + r * posed[c, 0]
            wy = p * posed[a, 1] + q * posed[b, 1] + r * posed[c, 1]
            wz = p * posed[a, 2] + q * posed[b, 2] + r * posed[c, 2]
            nx = p * normals[a, 0] + q * normals[b, 0] + r * normals[c, 0]
            ny = p * normals[a, 1] + q * normals[b, 1] + r * normals[c, 1]
            nz = p * normals[a, 2] + q * normals[b, 2] + r * normals[c, 2]
            vx, vy, vz = eye[0] - wx, eye[1] - wy, eye[2] - wz
            length = np.sqrt(vx * vx + vy * vy + vz * vz)
            vx, vy, vz = vx / length, vy / length, vz / length
            length = np.sqrt(nx * nx + ny * ny + nz * nz) + 1e-9
            nx, ny, nz = nx / length, ny / length, nz / length
            facing = nx * vx + ny * vy + nz * vz
            if facing < 0 and part > TONGUE:
                nx, ny, nz, facing = -nx, -ny, -nz, -facing

            face, gloss, tight, wrap = False, 0.0, 24.0, 0.15
            red_wrap = wrap
            if part == SKIN:
                if below_neckline(x, y, z) > 0:
                    colour = cloth_colour(x, y, z, 0.0, look)
                else:
                    for i in range(6):
                        k = LIPS + i
                        masks[i] = p * attributes[a, k] + q * attributes[b, k] + r * attributes[c, k]
                    cr, cg, cb, gloss = skin_colour(x, y, z, masks, look, form)
                    colour = (cr, cg, cb)
                    face = p * attributes[a, FACE] + q * attributes[b, FACE] + r * attributes[c, FACE] > 0
                    wrap, red_wrap = 0.18, 0.36
            elif part in (EYE_LEFT, EYE_RIGHT):
                colour = eye_colour(x, y, z, part - EYE_LEFT, look)
                face, gloss, tight = True, 16.0, 250.0
            elif part == TEETH:
                # The mouth is a cave, darker further in.
                colour = scaled((0.60, 0.55, 0.47), 1 - 0.85 * step(0.008, 0.024, abs(x)))
                sky *= 0.6
                face = True
            elif part == TONGUE:
                colour = scaled((0.22, 0.055, 0.055), 1 - 0.8 * step(-0.135, -0.115, y))
                sky *= 0.4
                face = True
            elif part in (CAP, CURTAIN, BEARD):
                lock = strands(x, y, z, form, 0.45)
                strand = strands(x, y, z, form, 1.7)
                tone = (0.62 + 0.34 * lock + 0.30 * strand) * (0.50 + 0.45 * layer)
                colour = scaled((look.hair[0], look.hair[1], look.hair[2]), tone)
                face = part == BEARD and attributes[a, FACE] > 0
                wrap = red_wrap = 0.4
                # Strands run down the surface, so their highlight is a band across them.
                down = nz
                tx, ty, tz = -nx * down, -ny * down, 1 - nz * down
                length = np.sqrt(tx * tx + ty * ty + tz * tz) + 1e-6
                hx, hy, hz = light[0] + vx, light[1] + vy, light[2] + vz
                along = (tx * hx + ty * hy + tz * hz) / (length * np.sqrt(hx * hx + hy * hy + hz * hz))
                shine = max(1 - along * along, 0.0) ** 14 * (0.3 + 0.7 * strand) * (1 - 0.8 * form.curl)
                gloss = 0.0
                colour = scaled(colour, 1 + 0.7 * shine)
            elif part == GLASSES:
                colour = (look.frame[0], look.frame[1], look.frame[2])
                gloss, tight = 4.0, 60.0
                # Hinges stand out beyond the face.
                face = y < -0.10 and abs(x) < 0.054
            elif part == CLOTH:
                colour = cloth_colour(x, y, z, layer, look)
            else:
                colour = (look.skin[0], look.skin[1], look.skin[2])

            slope = nx * light[0] + ny * light[1] + nz * light[2]
            reach = lit(wx, wy, wz, slope, lights, shadow) if wz > -0.2 else 1.0
            diffuse = max((slope + wrap) / (1 + wrap), 0.0)
            red = max((slope + red_wrap) / (1 + red_wrap), 0.0)
            up = 0.5 + 0.5 * nz
            shine = 0.0
            if gloss > 0:
                hx, hy, hz = light[0] + vx, light[1] + vy, light[2] + vz
                length = np.sqrt(hx * hx + hy * hy + hz * hz)
                half = max((nx * hx + ny * hy + nz * hz) / length, 0.0)
                edge = (1 - max(facing, 0.0)) ** 5
                shine = gloss * (0.05 + 0.3 * edge) * (half**tight + (0.12 * half**6 if tight < 100 else 0.0)) * reach
                shine *= 0.15 if slope < 0 else 1.0
            ambient = sky**1.8
            pixel = out[row // samples, column // samples]
            for i in range(3):
                base = lights.ground[i] + (lights.sky[i] - lights.ground[i]) * up
                direct = (red if i == 0 else diffuse) * reach
                value = colour[i] * (base * ambient + lights.key[i] * direct) + shine * lights.key[i]
                pixel[i] += share * display(value * lights.gain[i])
            pixel[3] += share
            if face:
                pixel[4] += share
    return out
