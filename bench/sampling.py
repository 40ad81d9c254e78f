"""The sampling alone: *Change Identity* on one portrait, in both qualities at the steps that each has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lab.evaluations import counted_evaluations
from lab.measure.running import changed
from lab.measure.ways import NAMED, Way
from lab.measuring.host_run import Workflow
from lab.measuring.people import draw_people
from miniature.workflow import SIDE
from reverse_personalization.method.quality import EXACT, FAST

from .overhead import Overhead, overhead
from .timing import Clock, Spread, alternately, ratio, seconds_of

WAYS = (NAMED[EXACT], NAMED[FAST])

CLOCKS: tuple[Clock, ...] = ("wall", "processor")


@dataclass(frozen=True)
class Sampling:
    """What the node takes, by way, without faces, texts, VAE and files.

    Attributes:
        evaluations: of the network.
        seconds: on the wall.
        ratio: time of the fast way over that of the exact one, by clock.
        overheads: time over that of the evaluations.
    """

    evaluations: Mapping[str, int]
    seconds: Mapping[str, Spread]
    ratio: Mapping[Clock, Spread]
    overheads: Mapping[str, Overhead]


def measure(models: Path, rounds: int, ways: tuple[Way, Way] = WAYS) -> Sampling:
    """Measure both ways on one portrait.

    Args:
        models: models folder in ComfyUI's layout.
        rounds: 1 or more.
        ways: the exact one and the fast one.
    """
    workflow = Workflow(models)
    picture = draw_people(0, 1, SIDE).pictures
    latent, faces = workflow.encode(picture), workflow.embed(picture)

    def running(way: Way) -> Callable[[], object]:
        return lambda: changed(workflow, way, latent, faces, 0, None)

    runs = {way.name: running(way) for way in ways}
    evaluations = {}
    for name, run in runs.items():
        with counted_evaluations() as counted:
            run()
        evaluations[name] = counted.count
    times = alternately(runs, rounds)
    exact, fast = (way.name for way in ways)
    return Sampling(
        evaluations,
        {name: seconds_of(times, name) for name in runs},
        {clock: ratio(times, fast, exact, clock) for clock in CLOCKS},
        {name: overhead(run, rounds) for name, run in runs.items()},
    )
