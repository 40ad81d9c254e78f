"""Writes the figures as a page in Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from lab.measuring.report import table

from .batch_command import BATCH, PLAIN
from .comparison import DIFFUSERS, PACK
from .figures import Figures
from .growth import Growth
from .overhead import SIMULATED, Overhead

LARGEST_PARTS = 6
"""Parts of a run that are named; the others are added up."""


def as_page(figures: Figures, command: str, plot: str) -> str:
    """Return the page.

    Args:
        figures: to show.
        command: that measured them.
        plot: the plot's file name, beside the page.
    """
    sections = [_head(figures, command), _compared(figures), _overhead(figures), _growth(figures.growths, plot)]
    return "\n\n".join([*sections, _batch(figures)]) + "\n"


def _head(figures: Figures, command: str) -> str:
    evaluations = figures.comparison.evaluations
    ratios = figures.comparison.ratios
    rows = [
        ("`warm_ratio`", str(ratios["warm"]), "a further photograph: time of the plain script over time of the pack"),
        ("`cold_ratio`", str(ratios["cold"]), "the first photograph: models are loaded"),
        ("`variation_ratio`", str(ratios["variation"]), "another scale on the same photograph"),
        (
            "`overhead`",
            str(figures.new_photograph.simulated),
            f"time over that of the evaluations, at {1000 * SIMULATED:g} ms each",
        ),
        ("`evaluations`", str(evaluations.pack), f"counted; the plain script takes {evaluations.diffusers}"),
        ("`batch_ratio`", str(figures.batch.ratio), "batch command over the same photographs one after the other"),
    ]
    return "\n\n".join(
        [
            "# Benchmarks",
            f"    {command}",
            "made this page: it measures the pack on the [miniature](miniature.md), on one core, beside a plain "
            "diffusers script of the same method with the same weights. Both take turns in one run, "
            f"{figures.rounds} rounds; a figure is the median, with the smallest and the largest in parentheses. The "
            "machine was doing other work: only ratios mean anything, and where processor times are given, they are "
            "the surer figures. Needs `bench/requirements.txt`.",
            table(["figure", "measured", "what it is"], rows),
            "The miniature's network takes some 10 ms for what SDXL's takes 50 ms to seconds. What is not the network "
            "weighs much more here than there, in both ways.",
        ]
    )


def _compared(figures: Figures) -> str:
    comparison, setting = figures.comparison, figures.setting
    names = {
        "warm": "a further photograph",
        "warm_fused": "a further photograph, the script's LoRA merged into its weights",
        "cold": "the first photograph",
        "variation": "another scale",
    }
    rows = [
        (what, str(comparison.ratios[name]), str(comparison.processor_ratios[name])) for name, what in names.items()
    ]
    taken = [
        (what, *(f"{comparison.seconds[name].get(way, float('nan')):.1f}" for way in (DIFFUSERS, PACK)))
        for name, what in names.items()
        if name in comparison.seconds
    ]
    counted = comparison.evaluations
    return "\n\n".join(
        [
            "## Beside a plain script",
            f"Settings of the paper: {setting.steps} steps, denoise {setting.denoise:g}; the scale is "
            f"{setting.scale:g}, which suits the miniature. The pack runs the shipped workflow `portrait` in ComfyUI's "
            "own executor: *DPM-Solver++ Inversion* and *Reverse Identity Sampler*. The script "
            "(`bench/reference.py`) makes the authors' calls in their order: it guides the inversion too, although "
            "that changes nothing for an empty text but rounding, decodes a picture that it throws away, and builds "
            "its pipeline for every call; kept warm, it keeps the pipeline.",
            table(["time of the script over time of the pack", "on the wall", "of the processor"], rows),
            table(["median seconds", "script", "pack"], taken),
            f"Evaluations of the network, counted: {counted.diffusers} by the script, {counted.pack} by the pack, "
            f"{counted.another_scale} by the pack for another scale, because ComfyUI has kept the inversion. *The first "
            "photograph* is in one process: neither counts what Python takes to import its packages.",
            "Merging the LoRA is not what such scripts do, but what they could do: diffusers keeps the LoRA of FaceID apart "
            "and adds it at every layer, ComfyUI adds it to the weights once.",
            "That both compute the same is tested (`tests/bench/test_reference.py`): with the memory of the solver "
            "handled as in the paper, the script gives the authors' numbers within 1e-3 and the pack's latent within "
            "1e-3. As published, it differs from both by about 0.1.",
        ]
    )


def _overhead(figures: Figures) -> str:
    def row(name: str, one: Overhead) -> tuple[str, ...]:
        return (
            name,
            *map(str, (one.simulated, one.simulated_processor, one.measured, one.measured_processor)),
            f"{one.beside:.2f}",
        )

    simulated = f"{1000 * SIMULATED:g} ms"
    bare = ", ".join(f"{milliseconds:.1f} ms for {rows}" for rows, milliseconds in figures.new_photograph.bare.items())
    named = list(figures.parts.items())
    rest = sum(seconds for _, seconds in named[LARGEST_PARTS:])
    parts = [(name, f"{seconds:.2f}") for name, seconds in named[:LARGEST_PARTS]]
    return "\n\n".join(
        [
            "## Beside the network",
            "Time of a warm run over that of its evaluations alone: the host's innermost call, with adapter and patches, "
            "asked again in the middle of a run. *Simulated* lets each evaluation take "
            f"{simulated}, about what a GPU needs for SDXL. *On the processor* leaves out waiting for other "
            "processes; at the simulated time, it is what a quiet machine with one core would give.",
            table(
                [
                    "",
                    f"{simulated} an evaluation",
                    "on the processor",
                    "own time",
                    "on the processor",
                    "seconds of a core beside it",
                ],
                [row("new photograph", figures.new_photograph), row("another seed", figures.same_photograph)],
            ),
            f"One call alone, by its rows: {bare}. Where a new photograph's processor time goes:",
            table(["part", "seconds of a core"], [*parts, ("all others", f"{rest:.2f}")]),
            "So the search for faces is nearly all of what a new photograph takes beside the network. It does not "
            "grow with the network: it takes as long beside SDXL.",
        ]
    )


def _growth(growths: Sequence[Growth], plot: str) -> str:
    parts = ["## Growth", f"![Seconds against steps, faces, pixels and photographs]({plot})"]
    for growth in growths:
        rows = [
            (f"{size:g}", str(wall), f"{processor:.2f}", str(evaluations))
            for size, wall, processor, evaluations in zip(
                growth.sizes, growth.seconds, growth.processor, growth.evaluations, strict=True
            )
        ]
        header = [growth.unit, "seconds on the wall", "of a core", "evaluations"]
        parts += [f"### {growth.name}", table(header, rows), f"Processor time: {_lowered(growth.words)}"]
    return "\n\n".join(parts)


def _lowered(words: str) -> str:
    return words[:1].lower() + words[1:]


def _batch(figures: Figures) -> str:
    cost = figures.batch
    return "\n\n".join(
        [
            "## Many photographs",
            f"The batch command ([batch.md](batch.md)) on {cost.photographs} portraits, beside the same work on the same "
            "real server with one prompt after the other and without anything that the command does besides: journal, "
            f"whole files, looking whether anything is left, contact sheet. Ratio {cost.ratio}; "
            f"{cost.seconds[BATCH]:.1f} s and {cost.seconds[PLAIN]:.1f} s. The server unloads its models after each, as "
            "the command makes it do at its end.",
        ]
    )
