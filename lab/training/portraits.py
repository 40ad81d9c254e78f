"""Portraits on disk, from which most parts of the miniature learn: rendered once, in shards that survive a stop.

A set is a folder of shards. A shard depends only on the set's parameters and its own number, so rendering resumes
where it stopped, in any number of processes, with the same bytes.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from miniature.files import whole_file

from ..render.appearance import BEARDS, GLASSES, HAIR_COLOURS, HAIR_STYLES
from ..render.identity import ETHNICITIES
from ..render.nuisance import EXPRESSIONS
from ..render.portrait import Portrait, portrait
from ..render.seeds import Split, identity_seed

SHARD = 400
"""Portraits per shard."""

WIDE, USUAL = 45.0, 30.0
"""Largest yaw in degrees of every second picture of a person, and of the others."""

EXPRESSION_NAMES = tuple(EXPRESSIONS)
HAIR_COLOUR_NAMES = tuple(HAIR_COLOURS)

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class PortraitSet:
    """A set of portraits.

    Attributes:
        split: split of the people, from `render.seeds`.
        first: number of the first person within the split.
        people: number of people.
        each: portraits per person, at least 1.
        side: side of a portrait in pixels.
    """

    split: Split
    first: int
    people: int
    each: int
    side: int = 128

    @property
    def name(self) -> str:
        """Folder of the set."""
        return f"portraits-{self.split}-{self.first}-{self.people}x{self.each}-{self.side}"

    @property
    def count(self) -> int:
        """Number of portraits."""
        return self.people * self.each

    @property
    def shards(self) -> int:
        """Number of shards."""
        return -(-self.count // SHARD)

    def shard(self, number: int) -> Arrays:
        """Render one shard: `image` [n, side, side, 3] uint8 and the columns of `facts`."""
        rows = [self.portrait(i) for i in range(number * SHARD, min(self.count, (number + 1) * SHARD))]
        arrays = {"image": np.stack([row.image for row in rows])}
        columns = [facts(row) for row in rows]
        return arrays | {name: np.stack([column[name] for column in columns]) for name in columns[0]}

    def portrait(self, index: int) -> Portrait:
        """Draw the portrait of an index below `count`; those of one person are consecutive."""
        person, which = divmod(index, self.each)
        seed = identity_seed(self.split, self.first + person)
        return portrait(seed, seed * 64 + which, self.side, widest=WIDE if which % 2 else USUAL)

    def render(self, directory: Path, processes: int = 1, shards: int | None = None) -> None:
        """Render the missing shards, of all or of the first `shards`."""
        folder = directory / self.name
        wanted = self.shards if shards is None else min(shards, self.shards)
        missing = [n for n in range(wanted) if not shard_file(folder, n).exists()]
        jobs = [(self, folder, n) for n in missing]
        if processes == 1 or len(jobs) < 2:
            for job in jobs:
                _write(job)
            return
        with multiprocessing.get_context("spawn").Pool(processes) as pool:
            for _ in pool.imap_unordered(_write, jobs):
                pass

    def load(self, directory: Path, *, images: bool = True) -> Arrays:
        """Load all shards as one: `facts` of every portrait and, if requested, `image`.

        Raises:
            FileNotFoundError: a shard is missing.
        """
        return load_shards(directory / self.name, self.shards, images=images)


def load_shards(folder: Path, shards: int, *, images: bool = True) -> Arrays:
    """Load the first shards of a set as one.

    Args:
        folder: folder of the set.
        shards: number of shards, at least 1.
        images: whether to load `image`, too.

    Raises:
        FileNotFoundError: a shard is missing.
    """
    names: list[str] = []
    parts: list[Arrays] = []
    for number in range(shards):
        with np.load(shard_file(folder, number)) as stored:
            names = [name for name in stored.files if images or name != "image"]
            parts.append({name: stored[name] for name in names})
    return {name: np.concatenate([part[name] for part in parts]) for name in names}


def write_shard(folder: Path, number: int, arrays: Arrays) -> None:
    """Write a shard, whole or not at all."""
    with whole_file(shard_file(folder, number)) as stream:
        np.savez(stream, allow_pickle=False, **arrays)


def shard_file(folder: Path, number: int) -> Path:
    """Return the path of a shard."""
    return folder / f"{number:05d}.npz"


def _write(job: tuple[PortraitSet, Path, int]) -> None:
    portraits, folder, number = job
    write_shard(folder, number, portraits.shard(number))


def facts(drawn: Portrait) -> Arrays:
    """Return the ground truth of a portrait as numbers.

    Returns:
        `identity`, `nuisance` int64; `landmarks` [5, 2], `box` [4], `pose` [5] (yaw, pitch, roll, gaze yaw, gaze
        pitch, degrees), `age` (years), `intensity`, `make_up` float32; `sex` (0 female, 1 male), `ethnicity`,
        `smile`, `open_mouth`, `glasses`, `beard`, `hair_style`, `hair_colour`, `expression` uint8, indices into
        this module's tuples; `mask` [side, side // 8] uint8, packed bits.
    """
    truth = drawn.truth
    looks = truth.attributes
    numbers = {
        "sex": looks.sex == "male",
        "ethnicity": ETHNICITIES.index(looks.ethnicity),
        "smile": looks.smile,
        "open_mouth": looks.open_mouth,
        "glasses": GLASSES.index(looks.glasses),
        "beard": BEARDS.index(looks.beard),
        "hair_style": HAIR_STYLES.index(looks.hair_style),
        "hair_colour": HAIR_COLOUR_NAMES.index(looks.hair_colour),
        "expression": EXPRESSION_NAMES.index(truth.expression),
    }
    pose = (truth.yaw, truth.pitch, truth.roll, truth.gaze_yaw, truth.gaze_pitch)
    values = {
        "landmarks": truth.landmarks,
        "box": truth.box,
        "pose": pose,
        "age": looks.age,
        "intensity": truth.intensity,
        "make_up": looks.make_up,
    }
    return {
        "identity": np.array(truth.identity, np.int64),
        "nuisance": np.array(truth.nuisance, np.int64),
        "mask": np.packbits(truth.mask, axis=1),
        **{name: np.array(number, np.uint8) for name, number in numbers.items()},
        **{name: np.asarray(value, np.float32) for name, value in values.items()},
    }


def batches(count: int, size: int, generator: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """Yield indices below `count` in random order, `size` at a time, forever."""
    while True:
        order = generator.permutation(count)
        for start in range(0, count - size + 1, size):
            yield order[start : start + size]
