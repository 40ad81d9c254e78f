"""Sets of scenes on disk: pictures of several people, or of nobody, for training and measuring the detector.

A set is a folder of shards, as in `portraits`; drawing it can be interrupted and continued.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..render.identity import draw_identity
from ..render.nuisance import draw_nuisance
from ..render.scene import MOST_PEOPLE, Placement, Scene, SceneSpec, covered, draw_scene, draw_scene_spec
from ..render.seeds import Split, identity_seed
from .portraits import Arrays, load_shards, shard_file, write_shard

SHARD = 50
"""Scenes per shard."""

TURNED = 0.5
"""Share of the people whose pose is uniform over all poses that the detector must find."""

WIDEST_YAW, WIDEST_ROLL = 45.0, 30.0
"""Degrees."""

TURNS = 3
"""First number of the seeds of `turned`, which sets its generators apart from all others."""

CROWDING = 8
"""First number of the seeds of `with_neighbours`."""

NEIGHBOURS = 0.7
"""Share of the people in a crowded scene who are partly covered by a nearer person."""

BEHIND = (0.2, 0.7)
"""About the least and largest share of a face that the neighbour covers; `render.scene.covered` overestimates it."""


@dataclass(frozen=True)
class SceneSet:
    """A set of scenes.

    Attributes:
        split: split of the people, from `render.seeds`; scenes of different splits also differ in their seeds.
        first: number of the first scene within the split.
        count: number of scenes.
        height: height in pixels.
        width: width in pixels.
        crowded: whether most faces are partly covered by a nearer person.
    """

    split: Split
    first: int
    count: int
    height: int = 320
    width: int = 480
    crowded: bool = False

    @property
    def name(self) -> str:
        """Folder of the set."""
        kind = "crowds" if self.crowded else "scenes"
        return f"{kind}-{self.split}-{self.first}-{self.count}-{self.height}x{self.width}"

    @property
    def shards(self) -> int:
        """Number of shards."""
        return -(-self.count // SHARD)

    def spec(self, index: int) -> SceneSpec:
        """Return the layout of the scene with an index below `count`, with some people turned further."""
        seed = identity_seed(self.split, self.first + index)
        spec = draw_scene_spec(seed, self.height, self.width, split=self.split, widest=WIDEST_YAW)
        rng = np.random.default_rng([TURNS, seed])
        spec = replace(spec, people=tuple(turned(place, rng) for place in spec.people))
        return with_neighbours(spec, self.split) if self.crowded else spec

    def shard(self, number: int) -> Arrays:
        """Draw one shard: `image` [n, height, width, 3] uint8 and the columns of `facts`."""
        drawn = [draw_scene(self.spec(i)) for i in range(number * SHARD, min(self.count, (number + 1) * SHARD))]
        columns = [facts(scene) for scene in drawn]
        arrays = {name: np.stack([column[name] for column in columns]) for name in columns[0]}
        return {"image": np.stack([scene.image for scene in drawn])} | arrays

    def render(self, directory: Path) -> None:
        """Draw the missing shards."""
        for number in range(self.shards):
            if not shard_file(directory / self.name, number).exists():
                write_shard(directory / self.name, number, self.shard(number))

    def load(self, directory: Path) -> Arrays:
        """Load all shards as one.

        Raises:
            FileNotFoundError: a shard is missing.
        """
        return load_shards(directory / self.name, self.shards)


def turned(place: Placement, rng: np.random.Generator) -> Placement:
    """Return the same person, turned to another yaw and roll in a share TURNED of all cases."""
    further, yaw, roll = rng.random(), rng.uniform(-WIDEST_YAW, WIDEST_YAW), rng.uniform(-WIDEST_ROLL, WIDEST_ROLL)
    if further >= TURNED:
        return place
    pose = replace(place.nuisance.pose, yaw=float(yaw), roll=float(roll))
    return replace(place, nuisance=replace(place.nuisance, pose=pose))


def with_neighbours(spec: SceneSpec, split: Split) -> SceneSpec:
    """Add people to a scene, up to MOST_PEOPLE: one each in front of a share NEIGHBOURS of those in it.

    Args:
        spec: layout of the scene.
        split: split of the added people.
    """
    rng = np.random.default_rng([CROWDING, spec.seed])
    people = list(spec.people)
    for far in spec.people:
        if len(people) == MOST_PEOPLE:
            break
        if rng.random() < NEIGHBOURS:
            people.append(_neighbour(far, split, rng))
    return replace(spec, people=tuple(sorted(people, key=lambda place: place.face_height)))


def _neighbour(far: Placement, split: Split, rng: np.random.Generator) -> Placement:
    """Place a person slightly nearer, far enough to the side to leave part of the other's face visible."""
    size = far.face_height * rng.uniform(1.05, 1.7)
    wanted = rng.uniform(*BEHIND)
    y = far.y + far.face_height * rng.uniform(-0.2, 0.9)
    side = rng.choice([-1.0, 1.0])
    places = ((far.x + side * step * size, y, size) for step in np.arange(0.0, 2.0, 0.05))
    behind = (far.x, far.y, far.face_height)
    x, y, size = next(place for place in places if covered(behind, place) <= wanted)
    identity = draw_identity(identity_seed(split, int(rng.integers(1 << 30))))
    nuisance = draw_nuisance(int(rng.integers(1 << 40)), identity, widest=WIDEST_YAW)
    lit = replace(nuisance, lighting=far.nuisance.lighting)
    return turned(Placement(identity, lit, float(x), float(y), float(size)), rng)


def facts(scene: Scene) -> dict[str, NDArray[Any]]:
    """Return the ground truth of a scene's faces in MOST_PEOPLE rows, of which the first `people` are faces.

    Returns:
        `people` uint8; `box` [rows, 4], `landmarks` [rows, 5, 2] (pixels), `visible` [rows], `inside` [rows] (in
        [0, 1]), `angles` [rows, 2] (yaw, roll in degrees), float32.
    """
    truths = scene.truths
    arrays = {
        "box": np.zeros((MOST_PEOPLE, 4), np.float32),
        "landmarks": np.zeros((MOST_PEOPLE, 5, 2), np.float32),
        "visible": np.zeros(MOST_PEOPLE, np.float32),
        "inside": np.zeros(MOST_PEOPLE, np.float32),
        "angles": np.zeros((MOST_PEOPLE, 2), np.float32),
    }
    for row, truth in enumerate(truths):
        arrays["box"][row] = truth.box
        arrays["landmarks"][row] = truth.landmarks
        arrays["visible"][row] = truth.visible
        arrays["inside"][row] = truth.inside
        arrays["angles"][row] = truth.yaw, truth.roll
    return arrays | {"people": np.array(len(truths), np.uint8)}
