"""Writes the table of patches as a page in Markdown."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence

from .bench import Failure, Look, Size
from .known import FILES
from .promises import ALLOWED, Judged
from .sweep import Row

_LONGEST = 160
"""Longest error text in the table, in characters."""

_HEADS = {
    "holds": ("These can be used", "Connect the patched model to the inversion and to the sampler."),
    "own guidance": (
        "These add a guidance of their own",
        "They change the result of the guidance's two branches, so scale 0 is no longer a plain prediction.",
    ),
    "destroys": ("These destroy the picture", "Scale 0 still gives it back; other scales do not."),
    "stops": ("These stop the run", "The error is shown."),
    "changes nothing": ("These change nothing here", ""),
    "cannot be applied": ("These could not be tried here", ""),
}

_KINDS = {
    "model": "Models",
    "text": "Texts: areas, masks, timesteps, controls",
    "clip": "Text encoders",
    "hooks": "Hooks on a text",
    "guider": "The host's guiders, with the pack's sampler",
    "sampler": "The host's samplers, with the pack's guider",
    "sigmas": "Noise levels other than the recorded ones, with the pack's sampler and guider",
}


def as_page(judged: Sequence[Judged], models: Row, texts: Row, size: Size, command: str, release: str) -> str:
    """Return the page.

    Args:
        judged: all rows with their verdicts.
        models: the row without a patch.
        texts: the same row, with the text that text patches act on.
        size: of the measurement.
        command: that made it.
        release: of the host.
    """
    people = "one person" if size.people == 1 else f"{size.people} people"
    assert models.look is not None
    assert texts.look is not None
    measured = (
        f"made this page. It tries every node of ComfyUI {release} that changes a model, a text, a text encoder, a "
        f"sampler, a guider or noise levels, as the host lists them, on the miniature: {people}, {size.steps} steps, "
        f"denoise {size.denoise:g}. Inputs have the node's defaults or, where those do nothing, the values shown. A "
        "node that takes a model was tried both before and after *Load Identity Adapter*."
    )
    columns = (
        f"*Scale 0* is the largest difference from the inverted latent; up to {ALLOWED:g} it counts as restored. "
        f"*Similarity* is the judge's cosine with the original at scale {size.scale:g}: {models.look.similarity:.2f} "
        f"without a patch, {texts.look.similarity:.2f} with the text that text patches act on. *Background* is the "
        f"mean change outside the person, in 1/255: {models.look.background:.1f} without a patch. *Time* is the "
        "sampling time, as a multiple of the time without a patch."
    )
    sides = "A patch on only the inversion or only the sampler is refused wherever it would change the result."
    lines = ["# Patches of the host", "", f"    {command}", ""]
    for paragraph in (measured, columns, sides):
        lines += [*textwrap.wrap(paragraph, 118), ""]
    for kind, title in _KINDS.items():
        of_kind = [each for each in judged if each.row.kind == kind]
        if of_kind:
            lines += [f"## {title}", "", *_of_kind(of_kind)]
    broken = [f"- {each.row.name}: {text}" for each in judged for text in each.broken]
    lines += ["## Broken promises", "", *(broken or ["None."]), ""]
    return "\n".join(lines)


def _of_kind(judged: Sequence[Judged]) -> list[str]:
    lines: list[str] = []
    for verdict, (title, remark) in _HEADS.items():
        of_verdict = [each for each in judged if each.verdict == verdict]
        if not of_verdict:
            continue
        lines += [f"### {title}", "", *([remark, ""] if remark else [])]
        if verdict == "cannot be applied":
            lines += ["| node | why |", "|---|---|"]
            lines += [f"| {_named(each.row)} | {_cell(_why_not(each))} |" for each in of_verdict]
        elif verdict == "stops":
            lines += ["| node | stops at | error |", "|---|---|---|"]
            lines += [f"| {_named(each.row)} | {each.row.stage} | {_stopped(each)} |" for each in of_verdict]
        elif verdict == "changes nothing":
            lines += ["| node | why |", "|---|---|"]
            lines += [f"| {_named(each.row)} | {_cell(each.known.why if each.known else '')} |" for each in of_verdict]
        else:
            lines += ["| node | scale 0 | similarity | background | time | remarks |", "|---|---|---|---|---|---|"]
            lines += [_figures(each) for each in of_verdict]
        lines.append("")
    return lines


def _named(row: Row) -> str:
    inputs = ", ".join(row.inputs)
    if len(inputs) > 60:
        inputs = f"{row.inputs[0]}, ... {row.inputs[-1]}"
    label = f" ({row.label})" if row.label else ""
    return f"`{row.node}`{label}" + (f" {_cell(inputs)}" if inputs and not row.label else "")


def _why_not(judged: Judged) -> str:
    if judged.known:
        return judged.known.why
    return "; ".join(dict.fromkeys(FILES.get(need, f"needs {need}") for need in judged.row.needs))


def _stopped(judged: Judged) -> str:
    text = str(judged.row.failure)
    text = text if len(text) <= _LONGEST else f"{text[:_LONGEST].rsplit(' ', 1)[0]} ..."
    if judged.row.host_stops:
        text += " (so does the host's own KSampler)"
    return _cell(f"{text} {judged.known.why if judged.known else ''}".strip())


def _figures(judged: Judged) -> str:
    row, look = judged.row, judged.row.look
    remarks = [judged.known.why] if judged.known else []
    if isinstance(row.as_attributes, Look):
        remarks.append(f"as attributes: {_similarity(row.as_attributes)}")
    elif isinstance(row.as_attributes, Failure):
        remarks.append(f"as attributes: {row.as_attributes}")
    cells = (
        _number(row.error),
        "not measured" if look is None else _similarity(look),
        "" if look is None else f"{look.background:.1f}",
        "" if math.isnan(row.time) else f"{row.time:.1f}",
        _cell("; ".join(remarks)),
    )
    return f"| {_named(row)} | {' | '.join(cells)} |"


def _similarity(look: Look) -> str:
    return f"{look.similarity:.2f}" if look.faces else "no face found"


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.1g}" if value < 1e-2 else f"{value:.2g}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
