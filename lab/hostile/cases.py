"""Hostile photographs: rendered pictures with every defect that users' pictures have, and their ground truth.

The people come from the split "hostile" of `lab.render.seeds`, which no training and no other measurement uses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from lab.render.identity import draw_identity
from lab.render.nuisance import draw_nuisance
from lab.render.scene import Placement, covered, draw_scene, draw_scene_spec
from lab.render.seeds import identity_seed

from .photographs import Photograph, deeper, grey, photograph_of

Format = Literal["png", "grey png", "rgba png", "16-bit png", "16-bit grey png", "jpeg", "tensor"]
"""How a picture reaches the graph: as a file for the host's Load Image, or as a tensor from another pack's node."""

SHORTEST, LONGEST = 384, 1024
"""Sides of a typical photograph, in pixels."""

SMALLEST_FACE = 16.0
WIDEST_YAW, WIDEST_ROLL = 45.0, 30.0
"""Angles within which every face must be found; some people are turned further."""

FURTHER = 0.15
"""Share of the people who are turned further than those angles."""

MOST_OVERLAP = 0.45
"""Share of a face that a person in front may hide where overlaps are wanted; elsewhere it is half."""

CROWD_EVERY = 3
"""Every how many rounds through the schedule there is a class photograph."""

HUGE = 8
"""Factor by which the rare huge photograph is enlarged from 1000 x 750 pixels."""

HUGE_EVERY = 240
"""Every how many cases one is huge and takes minutes; it comes in the second half, so that short runs stay short."""

FAR, FAR_EVERY, FAR_PLACE = (4000, 6000), 60, 43
"""Height and width of pictures of people far away, and every how many cases one is such a picture."""


@dataclass(frozen=True, eq=False)
class Case:
    """The input of one run of the graph.

    Attributes:
        number: number of the case within its seed.
        kind: a key of `SCHEDULE` or `RARE`.
        photographs: one, or several as a batch of one size or as a list.
        form: how they reach the graph.
        listed: whether several photographs are a list instead of a batch.
        refused: whether an error is expected.
    """

    number: int
    kind: str
    photographs: tuple[Photograph, ...]
    form: Format = "png"
    listed: bool = False
    refused: bool = False


class Painter:
    """Draws the photographs of one case, which depend only on the seed and the number of the case."""

    def __init__(self, seed: int, number: int) -> None:
        self.rng = np.random.default_rng([seed, number])

    def size(self) -> tuple[int, int]:
        """Return height and width of a typical photograph; half of them are no larger than the detector's input."""
        long = int(SHORTEST * 1.25 * (LONGEST / SHORTEST / 1.25) ** (self.rng.random() ** 1.5))
        short = max(int(long * self.rng.uniform(0.62, 1.0)), SHORTEST)
        return (short, long) if self.rng.random() < 0.7 else (long, short)

    def scene(
        self,
        places: Sequence[tuple[float, float, float]],
        height: int,
        width: int,
        widest: float | None = None,
        widest_roll: float | None = None,
    ) -> Photograph:
        """Draw people at given places.

        Args:
            places: for each person, x and y of the face's middle and its height from hairline to chin, in pixels.
            height: pixels.
            width: pixels.
            widest: largest yaw and roll in degrees; by default a share FURTHER of the people exceeds the promised ones.
            widest_roll: largest roll in degrees, if it is another.
        """
        rng = self.rng
        empty = draw_scene_spec(int(rng.integers(1 << 40)), height, width, split="hostile", people=0)
        people = []
        for x, y, size in sorted(places, key=lambda place: place[2]):
            identity = draw_identity(identity_seed("hostile", int(rng.integers(1 << 30))))
            nuisance = draw_nuisance(int(rng.integers(1 << 40)), identity, widest=WIDEST_YAW)
            yaw, roll = (WIDEST_YAW, WIDEST_ROLL) if widest is None else (widest, widest_roll or widest)
            if widest is None and rng.random() < FURTHER:
                yaw, roll = 75.0, 60.0
            pose = replace(
                nuisance.pose,
                yaw=float(np.clip(rng.normal() * yaw / 2, -yaw, yaw)),
                roll=float(np.clip(rng.normal() * roll / 2, -roll, roll)),
            )
            people.append(Placement(identity, replace(nuisance, pose=pose), x, y, size))
        return photograph_of(draw_scene(replace(empty, people=tuple(people))))

    def places(
        self, count: int, height: int, width: int, smallest: float, largest: float
    ) -> list[tuple[float, float, float]]:
        """Choose up to `count` places whose faces hide at most half of one another, with uniform log sizes."""
        rng = self.rng
        places: list[tuple[float, float, float]] = []
        for _ in range(count):
            for _ in range(30):
                size = float(np.exp(rng.uniform(np.log(smallest), np.log(largest))))
                x = rng.uniform(0.5 * size, max(width - 0.5 * size, 0.6 * size))
                y = rng.uniform(0.6 * size, max(min(0.75 * height, height - 0.6 * size), 0.7 * size))
                place = (float(x), float(y), size)
                if all(covered(*sorted((place, other), key=lambda p: p[2])) <= 0.5 for other in places):
                    places.append(place)
                    break
        return places

    def group(
        self,
        smallest: float = 40.0,
        most: int = 8,
        widest: float | None = None,
        widest_roll: float | None = None,
    ) -> Photograph:
        """Draw one to eight people; the angles are those of `scene`."""
        height, width = self.size()
        count = int(self.rng.integers(1, most + 1))
        largest = max(min(height, width) * 0.75 / np.sqrt(count), smallest * 1.3)
        return self.scene(self.places(count, height, width, smallest, largest), height, width, widest, widest_roll)

    def turned(self, quarters: Sequence[int]) -> Photograph:
        """Draw people who lie or hang upside down."""
        return self.group(smallest=56.0, most=4).turned(int(self.rng.choice(list(quarters))))

    def border(self) -> Photograph:
        """Draw a person cut off by an edge of the picture."""
        whole = self.group(smallest=80.0, most=3)
        height, width = whole.pixels.shape[:2]
        x0, y0, x1, y1 = whole.faces[-1].box
        part = self.rng.uniform(0.3, 0.6)
        edge = int(self.rng.integers(4))
        across, down = int(x0 + part * (x1 - x0)), int(y0 + part * (y1 - y0))
        windows = [(across, 0, width, height), (0, 0, across, height), (0, down, width, height), (0, 0, width, down)]
        window = windows[edge]
        if min(window[2] - window[0], window[3] - window[1]) < 64:
            window = windows[(edge + 1) % 2 + 2 * (edge // 2)]
        return whole.cut(*window)

    def close_up(self) -> Photograph:
        """Draw a face larger than the picture."""
        height, width = self.size()
        face = max(height, width) * self.rng.uniform(1.05, 1.5)
        middle = (width * self.rng.uniform(0.4, 0.6), height * self.rng.uniform(0.4, 0.6), face)
        return self.scene([middle], height, width, widest=20.0)

    def tiny(self) -> Photograph:
        """Draw faces of 16 to 40 pixels, and one nearer person."""
        height, width = self.size()
        places = self.places(int(self.rng.integers(4, 9)), height, width, SMALLEST_FACE, 40.0)
        return self.scene(places, height, width)

    def thirty(self) -> Photograph:
        """Draw a class photograph."""
        height, width, rows, columns = 768, 1024, 5, 6
        cell_y, cell_x = height / (rows + 0.6), width / (columns + 0.5)
        # People lower in the picture are nearer and so larger: no body hides a face.
        places = [
            (
                cell_x * (column + 0.5 + 0.5 * (row % 2)),
                cell_y * (row + 0.6) + self.rng.uniform(-0.05, 0.05) * cell_y,
                cell_y * (0.42 + 0.03 * row + self.rng.uniform(0, 0.02)),
            )
            for row in range(rows)
            for column in range(columns)
        ]
        return self.scene(places, height, width)

    def overlap(self) -> Photograph:
        """Draw two heads, one partly in front of the other."""
        height, width = self.size()
        near = min(height, width) * self.rng.uniform(0.3, 0.45)
        far = near * self.rng.uniform(0.7, 0.95)
        x, y = width / 2, height * 0.45
        side = self.rng.choice([-1.0, 1.0])
        place = (x, y, near)
        shift = next(
            step
            for step in np.arange(0.3, 2.0, 0.05)
            if covered((x + side * step * near, y - 0.1 * near, far), place) <= MOST_OVERLAP
        )
        return self.scene([(x + side * shift * near, y - 0.1 * near, far), place], height, width)

    def landscape(self) -> Photograph:
        """Nobody."""
        return self.scene([], *self.size())

    def with_alpha(self, photograph: Photograph) -> Photograph:
        """Return the photograph with an alpha channel of varying values."""
        height, width = photograph.pixels.shape[:2]
        wave = np.linspace(0, 1, width, dtype=np.float32)[None] * np.linspace(1, 0.2, height, dtype=np.float32)[:, None]
        return replace(photograph, pixels=np.dstack([photograph.pixels, np.round(wave * 255) / 255]))

    def not_finite(self, photograph: Photograph) -> Photograph:
        """Return the photograph with a few pixels that are NaN or infinite."""
        pixels = photograph.pixels.copy()
        rows, columns = (self.rng.integers(0, limit, 5) for limit in pixels.shape[:2])
        pixels[rows, columns] = self.rng.choice([np.nan, np.inf, -np.inf])
        return replace(photograph, pixels=pixels)


def _one(paint: Callable[[Painter], Photograph], form: Format = "png", **facts: bool) -> Callable[..., Case]:
    def make(kind: str, number: int, painter: Painter, left: int) -> Case:
        return Case(number, kind, (paint(painter),), form, **facts)

    return make


def _in_turn(*kinds: tuple[Callable[[Painter], Photograph], Format]) -> Callable[..., Case]:
    """Use one of these kinds per round through the schedule, in turn."""

    def make(kind: str, number: int, painter: Painter, left: int) -> Case:
        paint, form = kinds[number // len(SCHEDULE) % len(kinds)]
        return Case(number, kind, (paint(painter),), form)

    return make


def _four_channels(painter: Painter) -> Photograph:
    return painter.with_alpha(painter.group(most=4))


def _several(listed: bool) -> Callable[..., Case]:
    def make(kind: str, number: int, painter: Painter, left: int) -> Case:
        first = painter.group(most=3)
        others = [painter.group(most=3)] if left > 1 else []
        if not listed:
            # Pictures in a batch have the same size, so the second is the first, mirrored.
            others = [first.moved(first.pixels * np.float32(0.9), np.eye(2, 3), 0.0, np.copy)] if left > 1 else []
        return Case(number, kind, (first, *others), "tensor", listed)

    return make


def _broken(kind: str, number: int, painter: Painter, left: int) -> Case:
    if number // len(SCHEDULE) % 3 == 2:
        empty = replace(painter.landscape(), pixels=np.zeros((0, 64, 64, 3), np.float32))
        return Case(number, "empty batch", (empty,), "tensor", refused=True)
    return Case(number, kind, (painter.not_finite(painter.group(most=2)),), "tensor", refused=True)


def _crowd(kind: str, number: int, painter: Painter, left: int) -> Case:
    # Thirty people take as long as ten groups.
    if number // len(SCHEDULE) % CROWD_EVERY:
        return Case(number, "group", (painter.group(),))
    return Case(number, kind, (painter.thirty(),))


def _single_pixel(painter: Painter) -> Photograph:
    return Photograph(np.round(painter.rng.random((1, 1, 3)) * 255).astype(np.float32) / np.float32(255), ())


def _huge(painter: Painter) -> Photograph:
    return painter.scene(painter.places(3, 750, 1000, 60.0, 200.0), 750, 1000).enlarged(HUGE)


def _far_away(painter: Painter) -> Photograph:
    height, width = FAR
    return painter.scene(painter.places(6, height, width, 48.0, 120.0), height, width)


HUGE_KIND, CROWD_KIND, FAR_KIND = "huge", "thirty people", "far away"
SLOW_KINDS = (HUGE_KIND, CROWD_KIND, FAR_KIND)

SCHEDULE: dict[str, Callable[..., Case]] = {
    "group": _one(Painter.group),
    "JPEG with everything in it": _one(Painter.group, "jpeg"),
    "one channel": _one(lambda painter: grey(painter.group(most=4)), "tensor"),
    "sideways": _one(lambda painter: painter.turned((1, 3))),
    "four channels": _in_turn((_four_channels, "tensor"), (_four_channels, "rgba png")),
    CROWD_KIND: _crowd,
    "cut by the border": _one(Painter.border),
    "larger than the picture": _one(Painter.close_up),
    "tiny": _one(Painter.tiny),
    "upside down": _one(lambda painter: painter.turned((2,))),
    "overlap": _one(Painter.overlap),
    "nobody": _one(Painter.landscape),
    "one pixel": _one(_single_pixel, "tensor"),
    "not finite": _broken,
    "16 bits": _in_turn(
        (lambda painter: deeper(painter.group(most=4), painter.rng), "16-bit png"),
        (lambda painter: deeper(grey(painter.group(most=4)), painter.rng), "16-bit grey png"),
    ),
    "list of two sizes": _several(True),
    "grey file": _one(lambda painter: grey(painter.group(most=4)), "grey png"),
    "batch": _several(False),
}
"""Kinds in order, repeated; one round has 20 pictures."""

RARE: dict[str, Callable[[Painter], Photograph]] = {HUGE_KIND: _huge, FAR_KIND: _far_away}
"""Kinds that occasionally replace a scheduled one; `kind_of` says when."""


def kind_of(number: int) -> str:
    """Return the kind of the case with this number."""
    if number % FAR_EVERY == FAR_PLACE:
        return FAR_KIND
    return HUGE_KIND if number % HUGE_EVERY == HUGE_EVERY // 2 else list(SCHEDULE)[number % len(SCHEDULE)]


def cases(photographs: int) -> Iterator[tuple[int, int]]:
    """Yield the cases that make up so many photographs: number of the case, and how many photographs it may draw."""
    left, number = photographs, 0
    while left > 0:
        yield number, left
        left -= 2 if kind_of(number) in ("list of two sizes", "batch") and left > 1 else 1
        number += 1


def draw_case(seed: int, number: int, left: int) -> Case:
    """Draw the case with this number, with at most `left` photographs."""
    painter, kind = Painter(seed, number), kind_of(number)
    if kind in RARE:
        return Case(number, kind, (RARE[kind](painter),), "tensor")
    return SCHEDULE[kind](kind, number, painter, left)
