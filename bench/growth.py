"""How the time of a run grows with steps, faces, pixels and photographs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from harness.workflow import Workflow
from lab.evaluations import counted_evaluations
from miniature.workflow import SIDE
from reverse_personalization.method.quality import FAST, QUALITIES

from .pack import Pack, group_workflow, portrait_workflow
from .photographs import COLUMNS, ROWS, Pixels, Portraits, group, in_other_light, on_wall
from .setting import Setting
from .timing import Spread, alternately, in_words, line_through, seconds_of

FEW_STEPS = Setting(steps=QUALITIES[FAST].steps)
"""Of the runs that do not vary the steps."""


@dataclass(frozen=True)
class Sizes:
    """Which sizes are measured.

    Attributes:
        steps: N of a portrait.
        faces: people in a photograph.
        megapixels: of a photograph with one person, whose face is always as large.
        sides: of the crops, in pixels.
        photographs: portraits, one after the other.
    """

    steps: Sequence[int]
    faces: Sequence[int]
    megapixels: Sequence[float]
    sides: Sequence[int]
    photographs: Sequence[int]


FULL = Sizes(
    steps=(10, 25, 50, 75, 100),
    faces=(1, 2, 4, 6, COLUMNS * ROWS),
    megapixels=(0.5, 1, 3, 6, 12),
    sides=(SIDE, 192, 256, 384),
    photographs=(1, 2, 4, 8),
)
QUICK = Sizes(steps=(4, 8, 16), faces=(1, 2, 4), megapixels=(0.5, 2), sides=(SIDE, 192), photographs=(1, 2))


@dataclass(frozen=True)
class Growth:
    """The time of runs of several sizes.

    Attributes:
        name: of what grows.
        unit: of its size, in the singular.
        sizes: measured.
        seconds: of a run of each size, on the wall's clock.
        processor: median seconds of a core that a run of each size takes.
        evaluations: of the network in a run of each size.
        words: how the processor time grows.
    """

    name: str
    unit: str
    sizes: tuple[float, ...]
    seconds: tuple[Spread, ...]
    processor: tuple[float, ...]
    evaluations: tuple[int, ...]
    words: str


class _Runs:
    """Makes runs of any size, each on a photograph that the pack has not seen."""

    def __init__(self, pack: Pack, portraits: Portraits, folder: Path) -> None:
        self._pack = pack
        self._portraits = portraits
        self._folder = folder
        self._made = 0
        self._drawn: dict[tuple[int, float], Pixels] = {}

    def steps(self, count: float) -> Callable[[], None]:
        return self._portrait(Setting(steps=int(count)))

    def faces(self, count: float) -> Callable[[], None]:
        return lambda: self._group(int(count), 0.0)

    def megapixels(self, size: float) -> Callable[[], None]:
        return lambda: self._group(1, size)

    def side(self, size: float) -> Callable[[], None]:
        return lambda: self._group(1, 0.0, ReverseIdentityFaceCrop={"side": int(size)})

    def photographs(self, count: float) -> Callable[[], None]:
        one = self._portrait(FEW_STEPS)

        def several() -> None:
            for _ in range(int(count)):
                one()

        return several

    def _portrait(self, setting: Setting) -> Callable[[], None]:
        def run() -> None:
            self._run(portrait_workflow(self._pack.give(self._portraits.new()), setting))

        return run

    def _group(self, people: int, megapixels: float, **inputs: dict[str, Any]) -> None:
        if (people, megapixels) not in self._drawn:
            self._drawn[people, megapixels] = on_wall(group(people), megapixels)
        self._made += 1
        file = self._folder / f"group-{self._made}.png"
        Image.fromarray(in_other_light(self._drawn[people, megapixels], self._made)).save(file, compress_level=1)
        self._run(group_workflow(self._pack.give(file), **inputs))

    def _run(self, workflow: Workflow) -> None:
        self._pack.run(workflow)


def measure(pack: Pack, portraits: Portraits, folder: Path, sizes: Sizes, rounds: int) -> list[Growth]:
    """Time runs of all sizes, those of one kind in turns.

    Args:
        pack: that runs.
        portraits: to anonymise.
        folder: for photographs of groups.
        sizes: to measure.
        rounds: of each kind.
    """
    runs = _Runs(pack, portraits, folder)
    kinds: list[tuple[str, str, Sequence[float], Callable[[float], Callable[[], None]]]] = [
        ("Steps of a portrait", "step", sizes.steps, runs.steps),
        ("Faces in a photograph", "face", sizes.faces, runs.faces),
        ("Pixels of a photograph with one face", "megapixel", sizes.megapixels, runs.megapixels),
        ("Pixels of a crop, by its side", "pixel of the side", sizes.sides, runs.side),
        ("Photographs, one after the other", "photograph", sizes.photographs, runs.photographs),
    ]
    return [_grown(name, unit, tuple(chosen), make, rounds) for name, unit, chosen, make in kinds]


def _grown(
    name: str, unit: str, sizes: tuple[float, ...], make: Callable[[float], Callable[[], None]], rounds: int
) -> Growth:
    evaluations = []
    for size in sizes:
        # Draws the photograph and opens the models, so that neither is timed.
        with counted_evaluations() as counted:
            make(size)()
        evaluations.append(counted.count)
    times = alternately({str(number): make(size) for number, size in enumerate(sizes)}, rounds)
    seconds = tuple(seconds_of(times, str(number)) for number in range(len(sizes)))
    processor = tuple(seconds_of(times, str(number), "processor").median for number in range(len(sizes)))
    return Growth(
        name, unit, sizes, seconds, processor, tuple(evaluations), in_words(line_through(sizes, processor), unit)
    )
