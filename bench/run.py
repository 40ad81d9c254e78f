"""Measures everything, one thing after the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from lab.hostile.cost import Clock, timed_parts
from miniature.layout import WEIGHTS

from . import batch_command, growth, sampling
from .comparison import compare, files_for_script
from .figures import Figures
from .growth import FULL, QUICK, Sizes
from .overhead import overhead
from .pack import Pack, portrait_workflow, running_pack
from .photographs import Portraits
from .setting import Setting


@dataclass(frozen=True)
class Extent:
    """How much is measured.

    Attributes:
        steps: of the portraits.
        rounds: of each comparison.
        sizes: of the growth.
        batch: photographs of a batch.
    """

    steps: int
    rounds: int
    sizes: Sizes
    batch: int


WHOLE = Extent(Setting.steps, 5, FULL, 4)
BRIEF = Extent(10, 2, QUICK, 2)


def measure(folder: Path, extent: Extent, say: Callable[[str], None], models: Path = WEIGHTS) -> Figures:
    """Measure everything with the miniature.

    Args:
        folder: empty, for files.
        extent: how much.
        say: is told what is measured next.
        models: folder in ComfyUI's layout.
    """
    setting = Setting(steps=extent.steps)
    for name in ("portraits", "results", "batch", "pipeline"):
        (folder / name).mkdir()
    portraits = Portraits(folder / "portraits")
    say("the batch command")
    batch = batch_command.measure(portraits, folder / "batch", extent.batch, extent.rounds)
    with running_pack(models) as pack:
        say("the plain script")
        files = files_for_script(models, folder / "pipeline")
        comparison = compare(pack, files, portraits, folder / "results", setting, extent.rounds)
        say("the overhead")
        new, again = _on_new(pack, portraits, setting), _again(pack, portraits, setting)
        new()
        new_photograph = overhead(new, extent.rounds)
        again()
        same_photograph = overhead(again, extent.rounds)
        clock = Clock()
        with timed_parts(clock), clock.counting("everything else"):
            new()
        say("the sampling")
        sampled = sampling.measure(models, extent.rounds)
        say("the growth")
        growths = growth.measure(pack, portraits, folder / "portraits", extent.sizes, extent.rounds)
    parts = dict(sorted(clock.seconds.items(), key=lambda part: -part[1]))
    return Figures(setting, extent.rounds, comparison, new_photograph, same_photograph, sampled, parts, growths, batch)


def _on_new(pack: Pack, portraits: Portraits, setting: Setting) -> Callable[[], object]:
    """A run on a photograph that the pack has not seen."""
    return lambda: pack.run(portrait_workflow(pack.give(portraits.new()), setting))


def _again(pack: Pack, portraits: Portraits, setting: Setting) -> Callable[[], object]:
    """A run with another seed on the same photograph."""
    photograph = pack.give(portraits.new())
    seed = iter(range(1, 10**6))
    return lambda: pack.run(portrait_workflow(photograph, replace(setting, seed=next(seed))))
