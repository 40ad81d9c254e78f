"""Smooth pseudo-random fields for compiled kernels: the grain of skin, hair and cloth.

Pure functions of position: no state and no generator, so the same point always has the same value.
"""

from __future__ import annotations

import numpy as np

from .compiled import kernel

SIDE = 32
"""Period of the noise in features, a power of two."""

LATTICE = np.random.default_rng(20240613).random((SIDE, SIDE, SIDE)).astype(np.float32)
"""Values at the lattice points, in [0, 1)."""


@kernel
def noise3(x: float, y: float, z: float) -> float:
    """Value noise in [0, 1] with continuous value and slope; one feature per unit, period SIDE."""
    fx, fy, fz = np.floor(x), np.floor(y), np.floor(z)
    u, v, w = x - fx, y - fy, z - fz
    i, j, k = int(fx) & (SIDE - 1), int(fy) & (SIDE - 1), int(fz) & (SIDE - 1)
    i2, j2, k2 = (i + 1) & (SIDE - 1), (j + 1) & (SIDE - 1), (k + 1) & (SIDE - 1)
    u, v, w = u * u * (3 - 2 * u), v * v * (3 - 2 * v), w * w * (3 - 2 * w)
    a = LATTICE[i, j, k] * (1 - w) + LATTICE[i, j, k2] * w
    b = LATTICE[i, j2, k] * (1 - w) + LATTICE[i, j2, k2] * w
    c = LATTICE[i2, j, k] * (1 - w) + LATTICE[i2, j, k2] * w
    d = LATTICE[i2, j2, k] * (1 - w) + LATTICE[i2, j2, k2] * w
    return (a * (1 - v) + b * v) * (1 - u) + (c * (1 - v) + d * v) * u


@kernel
def step(low: float, high: float, x: float) -> float:
    """Smooth step from 0 at `low` to 1 at `high`; `low` may be larger than `high`."""
    t = (x - low) / (high - low)
    t = 0.0 if t < 0 else (1.0 if t > 1 else t)
    return t * t * (3 - 2 * t)


@kernel
def bump(x: float, width: float) -> float:
    """Bell curve of height 1 at 0 that falls like exp(-(x / width) ** 2) and is 0 beyond 2.45 * `width`."""
    t = 1 - (x / width) ** 2 / 6
    return t**6 if t > 0 else 0.0
