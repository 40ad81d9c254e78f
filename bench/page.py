"""Writes the figures as a page in Markdown."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from lab.hostile.cost import NETWORK
from lab.measuring.report import table
from reverse_personalization.method.evaluations import of_inversion, of_replay

from .batch_command import BATCH, PLAIN
from .comparison import DIFFUSERS, PACK
from .figures import Figures
from .growth import Growth
from .overhead import SIMULATED, Overhead
from .sampling import Sampling
from .setting import Setting

SEARCH = "search"
"""What the names of the parts of the search begin with."""

WIDTH = 120
"""Characters of a line."""

LARGEST_PARTS = 6
"""Parts of a run that are named; the others are added up."""


def as_page(figures: Figures, command: str, plot: str) -> str:
    """Return the page.

    Args:
        figures: to show.
        command: that measured them.
        plot: the plot's file name, beside the page.
    """
    sections = [_head(figures, command), _compared(figures), _overhead(figures), _sampling(figures.sampling)]
    return (
        "\n\n".join(
            map(_wrapped, "\n\n".join([*sections, _growth(figures.growths, plot), _batch(figures)]).split("\n\n"))
        )
        + "\n"
    )


def _wrapped(block: str) -> str:
    """A paragraph in lines of at most WIDTH; anything else as it is."""
    return block if block.startswith(("#", "|", " ", "!")) else textwrap.fill(block, WIDTH, break_on_hyphens=False)


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
            f"One evaluation takes {figures.new_photograph.bare[1]:.0f} ms on the miniature here, and 50 ms to seconds "
            "on SDXL: what is not the network weighs much more here than there, in both ways." + _fewer_steps(figures),
        ]
    )


def _fewer_steps(figures: Figures) -> str:
    """What to think of a run with fewer steps than the paper's."""
    steps = figures.setting.steps
    if steps >= Setting.steps:
        return ""
    return (
        f" And with {steps} steps, it weighs {Setting.steps / steps:g} times as much as with the paper's "
        f"{Setting.steps}: without `--quick`, the command takes these."
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
            f"{setting.steps} steps, denoise {setting.denoise:g}, scale {setting.scale:g}; the paper has "
            f"{Setting.steps} steps and a scale for SDXL. The pack runs the shipped workflow `portrait` in ComfyUI's "
            "own executor: *DPM-Solver++ Inversion* and *Reverse Identity Sampler*. The script "
            "(`bench/reference.py`) makes the authors' calls in their order. It guides the inversion too, which takes "
            "a second evaluation in each step; it decodes a picture that it throws away; and it builds its pipeline "
            "for every call, unless it is kept warm.",
            table(["time of the script over time of the pack", "on the wall", "of the processor"], rows),
            table(["median seconds", "script", "pack"], taken),
            f"Evaluations of the network, counted: {counted.diffusers} by the script, {counted.pack} by the pack, "
            f"{counted.another_scale} by the pack for another scale, because ComfyUI has kept the inversion. Both ways "
            "take their first photograph in a process that has imported its packages.",
            "Merging the LoRA is not what such scripts do, but what they could do: diffusers keeps FaceID's LoRA apart "
            "and adds it in every layer, ComfyUI adds it to the weights once.",
            "`tests/bench/test_reference.py` tests that both compute the same. With the solver's memory handled as in "
            "the paper, the script gives the authors' recorded numbers within 1e-3, and the pack's latent within 1e-4. "
            "As published, it is away from the pack's by 2e-3 at 20 steps, and by 0.1 at 6.",
        ]
    )


def _overhead(figures: Figures) -> str:
    def row(name: str, one: Overhead) -> tuple[str, ...]:
        return (
            name,
            *map(str, (one.simulated, one.simulated_processor, one.measured, one.measured_processor)),
            f"{one.beside:.2f}",
        )

    usual = of_inversion(Setting.steps) + of_replay(Setting.steps)
    simulated = f"{1000 * SIMULATED:g} ms"
    bare = ", ".join(f"{milliseconds:.1f} ms for {rows}" for rows, milliseconds in figures.new_photograph.bare.items())
    named = list(figures.parts.items())
    rest = sum(seconds for _, seconds in named[LARGEST_PARTS:])
    beside = {name: seconds for name, seconds in named if name != NETWORK}
    searched = sum(seconds for name, seconds in named if name.startswith(SEARCH)) / sum(beside.values())
    parts = [(name, f"{seconds:.2f}") for name, seconds in named[:LARGEST_PARTS]]
    return "\n\n".join(
        [
            "## Beside the network",
            "Time of a warm run over that of its evaluations alone. An evaluation alone is the host's innermost call, "
            "with adapter and patches, asked again in the middle of a run. At "
            f"{simulated}, about what a GPU needs for SDXL, the rest of the time is slept. *On the processor* leaves "
            "out waiting for other processes.",
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
            f"The search for faces is {searched:.0%} of what is not the network. It does not grow with the network: "
            "beside SDXL it takes as long. Another seed needs no search. The paper's "
            f"{Setting.steps} steps are {usual} evaluations: beside them, at {simulated} each, the seconds of a core "
            f"in the table would make the time {_times(figures.new_photograph, usual)} times that of the network for a "
            f"new photograph, and {_times(figures.same_photograph, usual)} times for another seed.",
        ]
    )


def _sampling(sampling: Sampling) -> str:
    rows = [
        (
            name,
            str(sampling.evaluations[name]),
            str(seconds),
            str(sampling.overheads[name].simulated),
            str(sampling.overheads[name].simulated_processor),
        )
        for name, seconds in sampling.seconds.items()
    ]
    return "\n\n".join(
        [
            "## The sampling alone",
            "*Change Identity* on one portrait, in both qualities at their own steps, without faces, texts, VAE and "
            f"files; overhead is time over that of the evaluations, at {1000 * SIMULATED:g} ms each.",
            table(["quality", "evaluations", "seconds on the wall", "overhead", "on the processor"], rows),
            f"*Fast* takes {sampling.ratio['wall']} of the time of *exact*, and {sampling.ratio['processor']} of its "
            "processor time.",
        ]
    )


def _times(one: Overhead, evaluations: int) -> str:
    """Time over that of so many simulated evaluations, if the processor never waits."""
    return f"{1 + one.beside / (evaluations * SIMULATED):.3f}"


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
            f"The batch command ([batch.md](batch.md)) on {cost.photographs} portraits, beside the same work on the "
            "same real server with one prompt after the other, without anything that the command does besides: "
            "journal, whole files, looking whether anything is left, contact sheet. "
            f"Ratio {cost.ratio}: {cost.seconds[BATCH]:.1f} s and {cost.seconds[PLAIN]:.1f} s. The server unloads its "
            "models after each, as the command makes it do at its end.",
        ]
    )
