"""The pack beside the plain diffusers script: a further photograph, a first one, and another scale."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lab.evaluations import counted_evaluations
from miniature.config import MINIATURE, ModelSizes
from miniature.layout import ADAPTER, CHECKPOINT, FACE_PACK

from .conversion import pipeline_of
from .pack import Pack, portrait_workflow
from .photographs import Portraits
from .reference import Files, Script
from .setting import Setting
from .timing import Spread, alternately, ratio, seconds_of

DIFFUSERS, FUSED, PACK = "diffusers", "diffusers, LoRA fused", "pack"
"""Names of the ways."""

OTHER_SCALE = 0.01
"""How far one scale is from the next: any other value is new to the cache."""


@dataclass(frozen=True)
class Counted:
    """Evaluations of the network for one photograph, counted at the network.

    Attributes:
        pack: by the workflow.
        another_scale: by the workflow for another scale on the same photograph.
        diffusers: by the script.
    """

    pack: int
    another_scale: int
    diffusers: int


@dataclass(frozen=True)
class Comparison:
    """What both ways take.

    Attributes:
        ratios: time of the script over time of the pack: "warm", "warm_fused" (the script with its LoRA merged into
            the weights), "cold" and "variation".
        processor_ratios: the same of processor times.
        seconds: median seconds by way, of each of "warm", "cold" and "variation".
        evaluations: counted.
    """

    ratios: dict[str, Spread]
    processor_ratios: dict[str, Spread]
    seconds: dict[str, dict[str, float]]
    evaluations: Counted

    def as_json(self) -> dict[str, Any]:
        """By attribute."""
        return asdict(self)


def files_for_script(models: Path, folder: Path, sizes: ModelSizes = MINIATURE) -> Files:
    """Write a checkpoint as diffusers has it on disk, so that the script loads it as it loads any other.

    Args:
        models: folder in ComfyUI's layout, with the miniature's file names.
        folder: for the pipeline.
        sizes: of the checkpoint.
    """
    pipeline_of(models / CHECKPOINT, sizes).save_pretrained(folder)
    return Files(folder, models / ADAPTER, models / FACE_PACK)


def compare(pack: Pack, files: Files, portraits: Portraits, results: Path, setting: Setting, rounds: int) -> Comparison:
    """Measure both ways in turns.

    Args:
        pack: that runs.
        files: of the script.
        portraits: to anonymise.
        results: folder for the script's pictures.
        setting: of both.
        rounds: of each comparison.
    """
    scripts = {DIFFUSERS: Script(files), FUSED: Script(files)}
    scripts[FUSED].pipeline.fuse_lora()
    scripts[FUSED].pipeline.unload_lora_weights()
    scales = (setting.scale - OTHER_SCALE * number for number in range(1, 10**6))

    def with_pack(photograph: Path, scale: float = setting.scale) -> None:
        pack.run(portrait_workflow(pack.give(photograph), _at(setting, scale)))

    def with_script(made: Script, photograph: Path, scale: float = setting.scale) -> None:
        made.anonymise(photograph, results / photograph.name, _at(setting, scale))

    counted = _counted(scripts[DIFFUSERS], with_pack, with_script, portraits, next(scales))
    # The fused one has its first photograph behind it as well.
    with_script(scripts[FUSED], portraits.new())
    warm = alternately(
        {
            DIFFUSERS: lambda: with_script(scripts[DIFFUSERS], portraits.new()),
            PACK: lambda: with_pack(portraits.new()),
            FUSED: lambda: with_script(scripts[FUSED], portraits.new()),
        },
        rounds,
    )
    same = portraits.new()
    with_pack(same)
    variation = alternately(
        {
            DIFFUSERS: lambda: with_script(scripts[DIFFUSERS], same, next(scales)),
            PACK: lambda: with_pack(same, next(scales)),
        },
        rounds,
    )
    # What the first runs are compared with must not be in memory.
    scripts.clear()

    def first_with_pack() -> None:
        pack.forget()
        with_pack(portraits.new())

    cold = alternately(
        {DIFFUSERS: lambda: with_script(Script(files), portraits.new()), PACK: first_with_pack},
        rounds,
    )
    pairs = {
        "warm": (warm, DIFFUSERS),
        "warm_fused": (warm, FUSED),
        "cold": (cold, DIFFUSERS),
        "variation": (variation, DIFFUSERS),
    }
    return Comparison(
        {name: ratio(times, way, PACK) for name, (times, way) in pairs.items()},
        {name: ratio(times, way, PACK, "processor") for name, (times, way) in pairs.items()},
        {
            name: {way: seconds_of(times, way).median for way in times}
            for name, times in (("warm", warm), ("cold", cold), ("variation", variation))
        },
        counted,
    )


def _counted(
    script: Script,
    with_pack: Callable[..., None],
    with_script: Callable[..., None],
    portraits: Portraits,
    scale: float,
) -> Counted:
    """Count the evaluations, on runs that also leave everything warm."""
    photograph = portraits.new()
    with counted_evaluations() as first:
        with_pack(photograph)
    with counted_evaluations() as other:
        with_pack(photograph, scale)
    with counted_rows(script.pipeline.unet) as rows:
        with_script(script, photograph)
    return Counted(first.count, other.count, sum(rows))


@contextmanager
def counted_rows(network: Any) -> Iterator[list[int]]:
    """The rows of every call of a module while the `with` block lasts."""
    rows: list[int] = []
    handle = network.register_forward_pre_hook(lambda module, arguments: rows.append(len(arguments[0])))
    try:
        yield rows
    finally:
        handle.remove()


def _at(setting: Setting, scale: float) -> Setting:
    return Setting(setting.steps, setting.denoise, scale, setting.seed, setting.attributes)
