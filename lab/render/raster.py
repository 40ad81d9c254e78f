"""Finds the visible triangle at each sample, with compiled z-buffers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .compiled import kernel
from .geometry import F32, I32
from .hair import HairForm, hair_there
from .soup import BEARD, CAP, EARS, LAYER, LIPS, MARGIN, REST


@kernel
def depth_map(points: F32, triangles: I32, side: int) -> F32:
    """Compute the depth map of a parallel light.

    Args:
        points: [V, 3] x and y in pixels, z larger for nearer to the light (any unit).
        triangles: [T, 3].
        side: side of the map, pixels.

    Returns:
        [side, side] largest z at each pixel, -1e9 where there is nothing.
    """
    depth = np.full((side, side), np.float32(-1e9), np.float32)
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        ax, ay, bx, by, cx, cy = points[a, 0], points[a, 1], points[b, 0], points[b, 1], points[c, 0], points[c, 1]
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if abs(area) < 1e-9:
            continue
        x0, x1 = max(int(np.floor(min(ax, bx, cx))), 0), min(int(np.ceil(max(ax, bx, cx))), side - 1)
        y0, y1 = max(int(np.floor(min(ay, by, cy))), 0), min(int(np.ceil(max(ay, by, cy))), side - 1)
        for y in range(y0, y1 + 1):
            for x in range(x0, x1 + 1):
                u = ((bx - x - 0.5) * (cy - y - 0.5) - (by - y - 0.5) * (cx - x - 0.5)) / area
                v = ((cx - x - 0.5) * (ay - y - 0.5) - (cy - y - 0.5) * (ax - x - 0.5)) / area
                w = 1.0 - u - v
                if u < 0 or v < 0 or w < 0:
                    continue
                z = u * points[a, 2] + v * points[b, 2] + w * points[c, 2]
                if z > depth[y, x]:
                    depth[y, x] = z
    return depth


@kernel
def rasterise(
    screen: F32,
    triangles: I32,
    parts: NDArray[np.uint8],
    attributes: F32,
    form: HairForm,
    height: int,
    width: int,
) -> tuple[I32, F32]:
    """Find the nearest triangle at every sample; hair counts only where its grain leaves some.

    Args:
        screen: [V, 3] x and y in samples (y down), and the inverse of the distance to the camera.
        triangles: [T, 3].
        parts: [T].
        attributes: [V, ATTRIBUTES], with the columns of `soup`.
        form: form of the hair.
        height: height in samples.
        width: width in samples.

    Returns:
        [height, width] triangle numbers, -1 for none, and [height, width, 3] perspective-correct weights of the
        triangle's corners.
    """
    seen = np.full((height, width), -1, np.int32)
    weights = np.zeros((height, width, 3), np.float32)
    near = np.zeros((height, width), np.float32)
    columns = (REST, REST + 1, REST + 2, LAYER, MARGIN, EARS, LIPS)
    at = np.zeros(7)
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        ax, ay, az = screen[a, 0], screen[a, 1], screen[a, 2]
        bx, by, bz = screen[b, 0], screen[b, 1], screen[b, 2]
        cx, cy, cz = screen[c, 0], screen[c, 1], screen[c, 2]
        if az <= 0 or bz <= 0 or cz <= 0:
            continue
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        part = parts[t]
        # Skin, what is inside it and what grows close to it are visible only from outside; the rest has two sides.
        if abs(area) < 1e-9 or (area > 0 and (part <= CAP or part == BEARD)):
            continue
        x0, x1 = max(int(np.floor(min(ax, bx, cx))), 0), min(int(np.ceil(max(ax, bx, cx))), width - 1)
        y0, y1 = max(int(np.floor(min(ay, by, cy))), 0), min(int(np.ceil(max(ay, by, cy))), height - 1)
        hairy = CAP <= part <= BEARD
        inverse = 1.0 / area
        for y in range(y0, y1 + 1):
            fy = y + 0.5
            for x in range(x0, x1 + 1):
                fx = x + 0.5
                u = ((bx - fx) * (cy - fy) - (by - fy) * (cx - fx)) * inverse
                v = ((cx - fx) * (ay - fy) - (cy - fy) * (ax - fx)) * inverse
                w = 1.0 - u - v
                if u < 0 or v < 0 or w < 0:
                    continue
                z = u * az + v * bz + w * cz
                if z <= near[y, x]:
                    continue
                p, q, r = u * az / z, v * bz / z, w * cz / z
                if hairy:
                    for i in range(7):
                        k = columns[i]
                        at[i] = p * attributes[a, k] + q * attributes[b, k] + r * attributes[c, k]
                    if not hair_there(part, at[0], at[1], at[2], at[3], at[4], at[5], at[6], form):
                        continue
                near[y, x] = z
                seen[y, x] = t
                weights[y, x, 0], weights[y, x, 1], weights[y, x, 2] = p, q, r
    return seen, weights
