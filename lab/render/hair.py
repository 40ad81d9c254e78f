"""Hair and beard: where they grow, how they are built, and where their grain leaves gaps.

Hair is drawn in shells: copies of the scalp, each further out than the last. Noise stretched along the strands cuts
more away from each, so outlines fray and tips thin out. Hair below the skull is a curtain of such shells around the
head.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .appearance import Appearance, HairStyle
from .compiled import kernel
from .geometry import F32, I32, grid_triangles
from .head_mesh import SKIN, HeadModel
from .noise import noise3, step
from .soup import BEARD, CAP, CURTAIN, EARS, LAYER, LIPS, MARGIN, REST, Soup, neck_follow, plain_attributes


class Style(NamedTuple):
    """How a hair style is built; lengths in metres.

    Attributes:
        layers: shells on the skull, 0 for none.
        top: thickness at the crown.
        side: thickness above the ears.
        curl: 0 for smooth strands, 1 for curls.
        grain: noise features around the head (curl 0) or per metre (curl 1).
        cut: share of the hair that ends between the first and the last shell.
        ragged: how far the hairline frays.
        fringe: how far hair falls over the forehead.
        lift: how far the front is brushed up and back.
        length: how far hair hangs below the eyes, 0 for none.
        wave: how far hanging hair swings from side to side.
        front: degrees from the back of the head to the front edge of hanging hair.
        bun: radius of a bun, 0 for none.
        whorl: canonical y of the place that all strands come from. At the back they are combed forwards, in front they
            are parted.
        cover: share of the scalp's skin painted with hair.
    """

    layers: int
    top: float
    side: float
    curl: float = 0.0
    grain: float = 52.0
    cut: float = 0.5
    ragged: float = 0.010
    fringe: float = 0.0
    lift: float = 0.0
    length: float = 0.0
    wave: float = 0.0
    front: float = 112.0
    bun: float = 0.0
    whorl: float = 0.025
    cover: float = 1.0


STYLES: dict[HairStyle, Style] = {
    "bald": Style(0, 0, 0, curl=1, grain=700, cover=0.10),
    "buzz": Style(2, 0.0035, 0.002, curl=1, grain=420, cut=0.75, ragged=0.006, cover=0.8),
    "short": Style(5, 0.015, 0.008),
    "swept": Style(6, 0.026, 0.009, lift=0.012),
    "fringe": Style(5, 0.015, 0.012, fringe=0.036, ragged=0.010),
    "curly": Style(7, 0.030, 0.020, curl=1, grain=110, cut=0.55, ragged=0.008),
    "afro": Style(9, 0.050, 0.042, curl=1, grain=150, cut=0.5, ragged=0.008),
    "bob": Style(4, 0.014, 0.009, length=0.095, front=116, whorl=-0.10),
    "long": Style(4, 0.012, 0.008, length=0.27, front=108, whorl=-0.10),
    "wavy": Style(4, 0.016, 0.010, length=0.24, wave=0.012, front=112, grain=36, whorl=-0.10),
    "bun": Style(4, 0.008, 0.005, bun=0.036, ragged=0.006),
}

BEARD_LAYERS = {"full": (4, 0.007), "goatee": (4, 0.006), "moustache": (3, 0.004)}
"""Shells, and thickness in metres, of beards that stand off the skin."""

BEARD_KINDS = {"none": 0, "stubble": 1, "moustache": 2, "goatee": 3, "full": 4}


class HairForm(NamedTuple):
    """Hair and beard as the kernels take them, with the fields of `Style` and `appearance.Appearance`."""

    grown: bool
    curl: float
    grain: float
    cut: float
    ragged: float
    parting: float
    whorl: float
    wave: float
    cover: float
    beard: int
    seed: float


HAIRLINE_ANGLES = (0.0, 30.0, 48.0, 60.0, 70.0, 82.0, 95.0, 115.0, 150.0, 180.0)
"""Degrees around the head from the front."""

HAIRLINE_HEIGHTS = (0.966, 0.966, 0.959, 0.938, 0.906, 0.874, 0.868, 0.834, 0.812, 0.806)
"""Height of the hairline at these angles, canonical metres."""


def smooth(low: float, high: float, x: F32) -> F32:
    """Apply a smooth step to an array."""
    t = np.clip((x - low) / (high - low), 0, 1)
    result: F32 = t * t * (3 - 2 * t)
    return result


def angle_around(places: F32) -> F32:
    """Return degrees [N] around the head of canonical places [N, 3], 0 in front and 180 behind."""
    degrees: F32 = np.degrees(np.arctan2(np.abs(places[:, 0]), -(places[:, 1] + 0.035)))
    return degrees


def above_hairline(places: F32, up: float = 0.0, fringe: float = 0.0) -> F32:
    """Return metres [N] above the hairline of canonical places [N, 3] on the scalp.

    Args:
        places: canonical, metres.
        up: metres that the hairline is moved up in front.
        fringe: metres that hair falls over the forehead.
    """
    angle = angle_around(places)
    height = np.interp(angle, HAIRLINE_ANGLES, HAIRLINE_HEIGHTS)
    height += up * smooth(70, 40, angle) - fringe * smooth(66, 42, angle)
    result: F32 = (places[:, 2] - height).astype(np.float32)
    return result


@kernel
def strands(x: float, y: float, z: float, form: HairForm, fine: float) -> float:
    """Return the hair's grain in [0, 1] at a place of rest; `fine` multiplies its frequency across the strands."""
    if form.curl > 0.5:
        f = form.grain * fine
        warp = 0.8 * noise3(x * f * 0.5 + 9, y * f * 0.5, z * f * 0.5 + form.seed)
        return noise3(x * f + warp, y * f + form.seed, z * f + warp)
    dx, dy = x - form.parting, y - form.whorl
    r = np.sqrt(dx * dx + dy * dy) + 1e-4
    swing = form.wave * 6 * np.sin(z * 75 + form.seed)
    cx, cy = dx / r, dy / r
    cx, cy = cx - swing * cy, cy + swing * cx
    k = form.grain * fine
    return noise3(cx * k, cy * k + form.seed, (r * 0.7 - z) * 13 + form.seed)


@kernel
def beard_density(x: float, y: float, z: float, kind: int) -> float:
    """Return the density in [0, 1] of a beard at a canonical place, without regard to the lips."""
    ax = abs(x)
    if y > -0.045 or z < 0.765 or z > 0.90 or kind == 0:
        return 0.0
    below = step(0.766, 0.782, z)
    low = 0.829 - 0.25 * max(ax - 0.012, 0.0)
    moustache = step(0.034, 0.022, ax) * step(0.8455, 0.8385, z) * step(low - 0.003, low + 0.003, z)
    moustache *= 1 - step(0.006, 0.001, ax) * 0.5
    if kind == 2:
        return moustache
    goatee = step(0.036, 0.022, ax) * step(0.826, 0.812, z) * below
    if kind == 3:
        return max(moustache, goatee)
    cheek_line = 0.828 + 0.40 * max(ax - 0.028, 0.0)
    cheeks = step(0.010, -0.008, z - cheek_line) * below * step(0.024, 0.032, ax)
    jaw = step(0.822, 0.815, z) * below
    return max(moustache, max(cheeks, jaw))


@kernel
def hair_there(
    part: int, x: float, y: float, z: float, layer: float, margin: float, ears: float, lips: float, form: HairForm
) -> bool:
    """Whether a shell has hair at a place of rest; the other arguments are columns of `soup`'s attributes."""
    if part == CAP:
        if ears > 0.35 or margin < -0.5 * form.ragged:
            return False
        if layer < 0.01 and margin > form.ragged:
            return True
        grain = strands(x, y, z, form, 1.0)
        frayed = margin + (strands(x, y, z, form, 2.6) - 0.5) * form.ragged if margin < form.ragged else margin
        return frayed > 0.004 * layer and grain > layer * form.cut
    if part == CURTAIN:
        if layer < 0.01 and margin > 0.42:
            return True
        grain = strands(x, y, z, form, 1.5)
        return margin > 0.42 * grain and grain > layer * 0.45
    density = beard_density(x, y, z, form.beard) * (1 - lips)
    curl = noise3(x * 420, y * 420 + form.seed, z * 260)
    return density * (1.15 - 0.45 * layer) > 0.15 + 0.8 * curl


def hair_form(appearance: Appearance) -> HairForm:
    """Convert an appearance to what the kernels need."""
    style = STYLES[appearance.hair_style]
    return HairForm(
        grown=style.layers > 0,
        curl=float(style.curl),
        grain=float(style.grain),
        cut=style.cut,
        ragged=style.ragged,
        parting=appearance.parting,
        whorl=style.whorl,
        wave=style.wave,
        cover=style.cover,
        beard=BEARD_KINDS[appearance.beard],
        seed=float(appearance.grain % 997),
    )


def _compact(triangles: I32) -> tuple[NDArray[np.int64], I32]:
    used, mesh = np.unique(triangles, return_inverse=True)
    return used.astype(np.int64), mesh.reshape(-1, 3).astype(np.int32)


@cache
def scalp(model: HeadModel) -> tuple[NDArray[np.int64], I32]:
    """Return the vertices of skin where hair may grow, and the triangles [T, 3] between them."""
    hairy = (above_hairline(model.mean, fringe=0.045) > -0.02) & (model.masks[2] < 0.5) & (model.vertex_parts == SKIN)
    return _compact(model.triangles[hairy[model.triangles].any(1) & (model.parts == SKIN)])


@cache
def beard_ground(model: HeadModel) -> tuple[NDArray[np.int64], I32]:
    """Return the vertices of skin where a beard may grow, and the triangles [T, 3] between them."""
    dense = np.array([beard_density(*place, 4) for place in model.mean.tolist()])
    return _compact(model.triangles[(dense > 0.02)[model.triangles].any(1) & (model.parts == SKIN)])


def _shells(
    soup: Soup,
    model: HeadModel,
    ground: tuple[NDArray[np.int64], I32],
    vertices: F32,
    offset: F32,
    layers: int,
    attributes: F32,
    part: int,
) -> None:
    used, mesh = ground
    follow = neck_follow(model.mean[used, 2])
    # The outermost first, so that what it hides is skipped.
    for layer in reversed(range(layers)):
        height = (layer + 0.35) / (layers - 0.65) if layers > 1 else 1.0
        shell = attributes[used].copy()
        shell[:, LAYER] = layer / max(layers - 1, 1)
        soup.add(vertices[used] + offset[used] * np.float32(height), shell, mesh, part, follow)


def hair_margin(model: HeadModel, appearance: Appearance) -> F32:
    """Return metres [V] of the head's vertices above this person's hairline."""
    return above_hairline(model.mean, appearance.hairline, STYLES[appearance.hair_style].fringe)


def add_cap(soup: Soup, model: HeadModel, vertices: F32, normals: F32, attributes: F32, appearance: Appearance) -> None:
    """Add the hair on the skull of a head [V, 3], given normals and attributes of its vertices."""
    style = STYLES[appearance.hair_style]
    if not style.layers:
        return
    x, y, z = model.mean.T
    rng = np.random.default_rng(appearance.grain)
    waves = rng.normal(size=(3, 4))
    lumps = sum(np.sin(28 * (a * x + b * y + c * z) + 6 * d) for a, b, c, d in waves) / 3
    thick = style.side + (style.top - style.side) * smooth(0.925, 0.985, z)
    front = smooth(-0.07, -0.12, y)
    from_edge = attributes[:, MARGIN]
    thick = thick * appearance.volume * (1 + 0.22 * lumps) * (0.3 + 0.7 * smooth(0.0, 0.03, from_edge))
    offset = normals * thick[:, None]
    offset += style.lift * front[:, None] * smooth(0.0, 0.02, from_edge)[:, None] * np.array([0, 0.3, 1.0])
    _shells(soup, model, scalp(model), vertices, offset.astype(np.float32), style.layers, attributes, CAP)


def add_beard(
    soup: Soup, model: HeadModel, vertices: F32, normals: F32, attributes: F32, appearance: Appearance
) -> None:
    """Add the beard, if it is one that stands off the skin."""
    if appearance.beard not in BEARD_LAYERS:
        return
    layers, thickness = BEARD_LAYERS[appearance.beard]
    off = thickness * (0.4 + 0.6 * smooth(0.83, 0.80, model.mean[:, 2])) * (1 - attributes[:, LIPS])
    down = np.array([0, 0, -0.35], np.float32)
    _shells(soup, model, beard_ground(model), vertices, (normals + down) * off[:, None], layers, attributes, BEARD)


def skull(model: HeadModel, vertices: F32) -> tuple[float, float, float]:
    """Return half width, rearmost y and top of a head's skull, metres."""
    bone = (
        (model.mean[:, 2] > 0.90) & (model.masks[2] < 0.2) & (model.vertex_parts == SKIN) & (model.mean[:, 1] > -0.13)
    )
    place = vertices[bone]
    return float(np.abs(place[:, 0]).max()), float(place[:, 1].max()), float(place[:, 2].max())


def add_curtain(soup: Soup, model: HeadModel, vertices: F32, appearance: Appearance) -> None:
    """Add hanging hair, if the style has any."""
    style = STYLES[appearance.hair_style]
    if not style.length:
        return
    columns, dome, fall = 31, 7, 11
    half, back, top = skull(model, vertices)
    rng = np.random.default_rng(appearance.grain)
    phases = rng.uniform(0, 2 * np.pi, 3)
    centre, equator, tip = -0.045, 0.915, 0.89 - style.length * (0.9 + 0.2 * rng.random())
    across = np.linspace(-1, 1, columns)[None]
    lean = np.concatenate([np.linspace(0.12, 1, dome), np.ones(fall)])[:, None]
    hang = np.concatenate([np.zeros(dome), np.linspace(1 / fall, 1, fall)])[:, None]
    front = np.radians(172 + (style.front - 172) * lean**2)
    turn = across * front
    layers = 3
    triangles = grid_triangles(dome + fall, columns)
    for layer in reversed(range(layers)):
        out = (0.004 + 0.006 * layer) * appearance.volume
        round_ = np.sin(lean * np.pi / 2)
        lump = 1 + 0.02 * np.sin(turn * 5 + phases[0]) + 0.015 * np.sin(turn * 11 + phases[1] + 3 * hang)
        width = (half + out + 0.006 * np.sin(hang * np.pi)) * lump
        depth = np.where(np.cos(turn) > 0, back - centre + out, 0.085 + 0.5 * out) * lump
        narrow = 1 - 0.10 * smooth(0.35, 1.0, hang) * (style.length > 0.15)
        x = width * round_ * np.sin(turn) * narrow
        y = centre + depth * round_ * np.cos(turn) + 0.02 * hang * np.cos(turn)
        z = equator + (top + out - equator) * np.cos(lean * np.pi / 2) - hang * (equator - tip)
        swing = style.wave * np.sin(z * 75 + phases[2] + 1.5 * np.sin(turn * 2)) * smooth(0.0, 0.3, hang)
        x, y = x + swing * np.cos(turn), y - swing * np.sin(turn)
        place = np.stack(np.broadcast_arrays(x, y, z), -1).reshape(-1, 3).astype(np.float32)
        attributes = plain_attributes(place, layer=layer / (layers - 1), sky=0.85)
        edge = np.minimum((1 - np.abs(across)) / 0.10, (1 - hang) / 0.16 * np.ones_like(across))
        attributes[:, MARGIN] = np.clip(edge, 0, 1).reshape(-1)
        # Strands keep their direction down to the tips, however narrow the hair gets.
        strand = 0.09 * np.sin(turn) + appearance.parting, style.whorl + 0.09 * np.cos(turn), z
        rest = np.stack(np.broadcast_arrays(*strand), -1)
        attributes[:, REST : REST + 3] = rest.reshape(-1, 3)
        soup.add(place, attributes, triangles, CURTAIN, neck_follow(place[:, 2], 0.60, 0.80))


def add_bun(soup: Soup, model: HeadModel, vertices: F32, appearance: Appearance) -> None:
    """Add a bun on the crown, if the style has one."""
    radius = STYLES[appearance.hair_style].bun * appearance.volume
    if not radius:
        return
    _, back, top = skull(model, vertices)
    rows, columns = 9, 18
    polar, turn = np.meshgrid(
        np.linspace(0.05, np.pi - 0.05, rows), np.arange(columns) / columns * 2 * np.pi, indexing="ij"
    )
    ball = np.stack([np.sin(polar) * np.cos(turn), np.sin(polar) * np.sin(turn), np.cos(polar) * 0.85], -1)
    triangles = grid_triangles(rows, columns, wrap_columns=True)
    for layer in (1.0, 0.0):
        place = ball.reshape(-1, 3) * (radius + 0.003 * layer) + np.array([0, back - 0.065, top + 0.4 * radius])
        attributes = plain_attributes(place.astype(np.float32), layer=layer)
        attributes[:, EARS] = 0
        soup.add(place, attributes, triangles, CURTAIN, np.ones(len(place), np.float32))
