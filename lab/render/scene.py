"""Draws several people, or none, in one picture."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .background import draw_background
from .identity import Identity, draw_identity
from .nuisance import Lighting, Nuisance, draw_lighting, draw_nuisance
from .person import Person, build_person
from .portrait import similarity, to_bytes
from .seeds import Split, generator, identity_seed
from .truth import FaceTruth, face_truth

MOST_PEOPLE = 8
SMALLEST_FACE = 24
"""Face heights from hairline to chin, pixels."""

EMPTY = 0.12
"""Share of the scenes without people."""

MOST_COVERED = 0.5
"""Approximate share of a face that one nearer person may cover."""


@dataclass(frozen=True)
class Placement:
    """Position of a person.

    Attributes:
        identity: the person.
        nuisance: how the person appears.
        x: middle of the face, pixels.
        y: middle of the face, pixels.
        face_height: pixels from hairline to chin; larger faces are nearer.
    """

    identity: Identity
    nuisance: Nuisance
    x: float
    y: float
    face_height: float


@dataclass(frozen=True)
class SceneSpec:
    """Layout of a scene.

    Attributes:
        seed: seed of the layout and the background.
        height: height of the picture, pixels.
        width: width of the picture, pixels.
        horizon: height of the camera's eye as a fraction of the picture's, from the top.
        blur: radius of the background's blur as a fraction of the shorter side.
        balance: gains of red, green and blue in the camera.
        people: from the farthest to the nearest.
    """

    seed: int
    height: int
    width: int
    horizon: float
    blur: float
    balance: tuple[float, float, float]
    people: tuple[Placement, ...]


@dataclass(frozen=True, eq=False)
class Scene:
    """A picture [height, width, 3] uint8 and its faces, from the farthest to the nearest."""

    image: NDArray[np.uint8]
    truths: tuple[FaceTruth, ...]


def covered(far: tuple[float, float, float], near: tuple[float, float, float]) -> float:
    """Estimate the share in [0, 1] of a face (x, y, height) covered by the head and body of a nearer person."""
    (fx, fy, fh), (nx, ny, nh) = far, near
    left, right, top, bottom = fx - 0.4 * fh, fx + 0.4 * fh, fy - 0.5 * fh, fy + 0.5 * fh
    parts = [(0.55 * nh, ny - 0.75 * nh, ny + 0.7 * nh), (1.15 * nh, ny + 0.7 * nh, np.inf)]
    area = 0.0
    for half, high, low in parts:
        across = min(right, nx + half) - max(left, nx - half)
        area += max(across, 0) * max(min(bottom, low) - max(top, high), 0)
    return area / (0.8 * fh * fh)


def draw_places(
    rng: np.random.Generator, count: int, height: int, width: int, horizon: float
) -> list[tuple[float, float, float]]:
    """Draw middle and height in pixels of up to `count` faces, from the farthest to the nearest.

    Heads are near the horizon, as when everybody stands; sizes are uniform in their logarithm. A place that would
    cover too much of another face is redrawn a few times, then left out.
    """
    shorter = min(height, width)
    largest = max(shorter * (0.85 if count <= 1 else 0.75 / np.sqrt(count)), 1.35 * SMALLEST_FACE)
    middle = np.exp(rng.uniform(np.log(1.3 * SMALLEST_FACE), np.log(largest)))
    alike = rng.random() < 0.5
    places: list[tuple[float, float, float]] = []
    for _ in range(count):
        for _ in range(20):
            log_size = (
                np.log(middle) + 0.15 * rng.normal() if alike else rng.uniform(np.log(SMALLEST_FACE), np.log(largest))
            )
            size = float(np.clip(np.exp(log_size), SMALLEST_FACE, largest))
            x = rng.uniform(0.35 * size, width - 0.35 * size)
            y = horizon * height + size * rng.normal() * 0.8
            y = float(np.clip(y, 0.55 * size, height - 0.55 * size))
            place = (float(x), y, size)
            if all(covered(*sorted((place, other), key=lambda p: p[2])) <= MOST_COVERED for other in places):
                places.append(place)
                break
    return sorted(places, key=lambda place: place[2])


def draw_scene_spec(
    seed: int, height: int, width: int, *, split: Split = "train", people: int | None = None, widest: float = 45.0
) -> SceneSpec:
    """Lay out the scene of a seed.

    Args:
        seed: not negative.
        height: pixels, up to 1536.
        width: pixels, up to 1536.
        split: split of the people.
        people: most people; by default drawn from the seed, 0 for a share EMPTY of the seeds.
        widest: largest yaw in degrees; beyond 45 the truth is flagged extreme.
    """
    rng = generator("scene", seed)
    drawn = 0 if rng.random() < EMPTY else int(rng.integers(1, MOST_PEOPLE + 1))
    horizon = float(rng.uniform(0.28, 0.6))
    blur = float(rng.uniform(0.001, 0.012))
    light = draw_lighting(rng)
    placements = []
    for x, y, size in draw_places(rng, drawn if people is None else people, height, width, horizon):
        identity = draw_identity(identity_seed(split, int(rng.integers(1 << 30))))
        nuisance = draw_nuisance(int(rng.integers(1 << 40)), identity, widest=widest)
        placements.append(Placement(identity, replace(nuisance, lighting=_nearby(light, rng)), x, y, size))
    return SceneSpec(seed, height, width, horizon, blur, light.balance, tuple(placements))


def _nearby(light: Lighting, rng: np.random.Generator) -> Lighting:
    """Vary the scene's light as it reaches one person."""
    return replace(light, azimuth=light.azimuth + 6 * rng.normal(), key=light.key * rng.uniform(0.85, 1.1))


def scene_view(person: Person, place: Placement) -> NDArray[np.float64]:
    """Return the map [2, 3] from the person's projected metres to the picture's pixels."""
    outline = person.projected(person.outline)
    low, high = outline.min(0).tolist(), outline.max(0).tolist()
    factor = place.face_height / (high[1] - low[1])
    centre = complex(low[0] + high[0], low[1] + high[1]) / 2
    return similarity(complex(factor), complex(place.x, place.y) - factor * centre)


def draw_scene(spec: SceneSpec, *, samples: int = 2) -> Scene:
    """Draw a scene; nearer people are in front of farther ones.

    Args:
        spec: layout of the scene.
        samples: samples per side of a pixel, for smooth edges.
    """
    height, width = spec.height, spec.width
    image = draw_background(spec.seed, height, width, blur=spec.blur, horizon=spec.horizon)
    image = image * np.array(spec.balance, np.float32)
    drawn: list[tuple[Placement, Person, NDArray[np.float64]]] = []
    faces: list[NDArray[np.float32]] = []
    whole: list[float] = []
    for place in spec.people:
        person = build_person(place.identity, place.nuisance)
        view = scene_view(person, place)
        points = person.projected(person.posed) @ view[:, :2].T + view[:, 2]
        x0, y0 = np.clip(np.floor(points.min(0)).astype(int) - 1, 0, [width, height]).tolist()
        x1, y1 = np.clip(np.ceil(points.max(0)).astype(int) + 1, 0, [width, height]).tolist()
        tile_view = view - np.array([[0, 0, x0], [0, 0, y0]])
        tile = person.draw(tile_view, y1 - y0, x1 - x0, samples)
        window = np.s_[y0:y1, x0:x1]
        through = 1 - tile[..., 3]
        image[window] = image[window] * through[..., None] + tile[..., :3]
        for other in faces:
            other[window] *= through
        face = np.zeros((height, width), np.float32)
        face[window] = tile[..., 4]
        faces.append(face)
        whole.append(float(face.sum()))
        drawn.append((place, person, view))
    truths = tuple(
        face_truth(
            place.identity, place.nuisance, person, view, face > 0.5, float(face.sum()) / total if total > 0 else 0.0
        )
        for (place, person, view), face, total in zip(drawn, faces, whole, strict=True)
    )
    return Scene(to_bytes(image), truths)


def scene(seed: int, height: int = 512, width: int = 768, *, split: Split = "train") -> Scene:
    """Draw the scene of a seed."""
    return draw_scene(draw_scene_spec(seed, height, width, split=split))
