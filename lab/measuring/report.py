"""Writes the figures into a document as Markdown tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from miniature.files import whole_file

from .targets import Figures, scale_key

BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
"""Lines that enclose the tables in a document."""

RECOGNITION = {
    "similarity": "cosine",
    "reid": "re-identified",
    "reid_gallery": "by another photo",
    "rank1": "rank 1",
    "similarity_grey": "cosine, grey",
    "reid_grey": "re-identified, grey",
    "rank1_grey": "rank 1, grey",
    "guide_similarity": "cosine, guide",
    "unmeasurable": "no face",
}
SHARES = ("reid", "reid_gallery", "rank1", "reid_grey", "rank1_grey", "unmeasurable")
CHANGES = {
    "yaw": "yaw, degrees",
    "pitch": "pitch",
    "roll": "roll",
    "gaze": "gaze",
    "landmarks": "landmarks, eye distances",
    "age": "age, years",
}
AGREEMENT = {
    "sex": "sex",
    "ethnicity": "ethnicity",
    "glasses": "glasses",
    "beard": "beard",
    "smile": "smile",
    "open_mouth": "open mouth",
    "expression": "expression",
}


def number(value: float | None, digits: int = 2) -> str:
    """Format a number; a dash stands for what could not be measured."""
    return "-" if value is None else f"{value:.{digits}f}"


def percent(value: float | None) -> str:
    """Format a share in percent; a dash stands for what could not be measured."""
    return "-" if value is None else f"{100 * value:.1f} %"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table with padded columns."""
    every = [list(header), *(list(row) for row in rows)]
    widths = [max(len(row[column]) for row in every) for column in range(len(header))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in every
    ]
    lines.insert(1, "| " + " | ".join("-" * width for width in widths) + " |")
    return "\n".join(lines)


def tables(figures: Figures) -> str:
    """Return all figures as Markdown tables, each under a heading."""
    parts = {
        "Whether the person is still recognised": _recognition(figures["guidance"]),
        "Control: guided by somebody else's embedding": _recognition(figures["control"]),
        "Pasted back into the picture": _recognition({scale_key(figures["default_scale"]): figures["pasted"]}),
        "What changes with the person": _changes(figures),
        "Agreement with the original": _agreement(figures["guidance"], "agreement"),
        "Agreement with the picture at g = 0": _agreement(figures["guidance"], "agreement_from_zero"),
        "Attributes": _attributes(figures["attributes"]["shares"]),
        "Keeping age and sex": _keep(figures["keep"]),
        "Other figures": _rest(figures),
        "Targets": _targets(figures["targets"]),
    }
    head = (
        f"Seed {figures['seed']}, {figures['faces']} people, {figures['steps']} steps, denoise {figures['denoise']:g}, "
        f"default scale {figures['default_scale']:g}; the attributes of {figures['attributes']['faces']} people."
    )
    return "\n\n".join([head, *(f"### {title}\n\n{content}" for title, content in parts.items())]) + "\n"


def write_tables(document: Path, content: str) -> None:
    """Replace the tables between BEGIN and END in a document; a missing document is created.

    Raises:
        ValueError: the document does not contain both lines exactly once, in this order.
    """
    text = document.read_text(encoding="utf-8") if document.exists() else f"{BEGIN}\n{END}\n"
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in rest or END in after:
        raise ValueError(f"{document} has no place for the tables; expected the lines {BEGIN} and {END}, each once")
    with whole_file(document) as stream:
        stream.write(f"{before}{BEGIN}\n\n{content}\n{END}{after}".encode())


def _recognition(by_scale: Figures) -> str:
    return table(
        ["g", *RECOGNITION.values()],
        [
            [scale, *((percent if name in SHARES else number)(entry[name]) for name in RECOGNITION)]
            for scale, entry in by_scale.items()
        ],
    )


def _changes(figures: Figures) -> str:
    before = figures["before"]
    rows = [["original", *("-" for _ in CHANGES), "-", "-", number(before["saturation"]), percent(before["clipped"])]]
    for scale, entry in [*figures["guidance"].items(), ("pasted", figures["pasted"])]:
        rows.append(
            [
                scale,
                *(number(entry["change"][name]) for name in CHANGES),
                number(entry["background"], 1),
                number(entry["outside_person"], 1),
                number(entry["colour"]["saturation"]),
                percent(entry["colour"]["clipped"]),
            ]
        )
    return table(["g", *CHANGES.values(), "outside face, /255", "outside person", "saturation", "clipped"], rows)


def _agreement(guidance: Figures, name: str) -> str:
    rows = [[scale, *(percent(entry[name][attribute]) for attribute in AGREEMENT)] for scale, entry in guidance.items()]
    return table(["g", *AGREEMENT.values()], rows)


def _attributes(shares: Figures) -> str:
    cases = {
        "before": "before",
        "unasked": "anonymised",
        "asked": "anonymised, asked for",
        "text_only": "g = 0, asked for",
    }
    rows = [[name, *(percent(entry[case]) for case in cases)] for name, entry in shares.items()]
    return table(["attribute", *cases.values()], rows)


def _keep(keep: Figures) -> str:
    titles = {"zero": "g = 0", "unasked": "anonymised", "kept": "anonymised, both kept"}
    rows = [
        [
            title,
            percent(keep[case]["sex_agreement"]),
            number(keep[case]["age_change"], 1),
            percent(keep[case]["sex_agreement_of_truth"]),
            number(keep[case]["age_error"], 1),
        ]
        for case, title in titles.items()
    ]
    header = ["", "sex as before", "age change, years", "sex as drawn", "age error, years"]
    return table(header, rows)


def _targets(targets: Figures) -> str:
    rows = [
        [
            name,
            number(entry["value"], 3),
            f"{entry['bound']} {number(entry['limit'], 3)}",
            "yes" if entry["met"] else "no",
        ]
        for name, entry in targets.items()
    ]
    return table(["figure", "reached", "target", "met"], rows)


def _rest(figures: Figures) -> str:
    judge, back, made = figures["judge"], figures["reconstruction"], figures["generation"]
    rate = judge["false_match_rate"]
    lines: list[tuple[str, Any]] = [
        (f"judge's threshold at a false-match rate of {rate:g}", number(judge["threshold"], 3)),
        ("judge's threshold in grey", number(judge["threshold_grey"], 3)),
        ("people recognised in another picture", percent(judge["known_again"])),
        ("people recognised in another picture, in grey", percent(judge["known_again_grey"])),
        ("cosine of two pictures of one person", number(judge["genuine"])),
        ("cosine of different people", number(judge["impostor"])),
        ("similarity falls at every step to the default scale", "yes" if figures["monotone"] else "no"),
        ("g = 0: largest difference of a latent", f"{back['latent_difference']:.1e}"),
        ("g = 0: PSNR against the VAE alone, dB (100: equal)", number(back["psnr_round_trip"], 1)),
        ("g = 0: PSNR against the original, dB", number(back["psnr_original"], 1)),
        ("originals in which no face was detected", str(back["missed_originals"])),
        (f"pictures from noise and text with a face, of {made['tries']}", percent(made["found"])),
    ]
    for side, vae in figures["vae"].items():
        lines.append((f"VAE at {side} px: PSNR, dB", number(vae["psnr"], 1)))
        lines.append((f"VAE at {side} px: cosine by the judge", number(vae["similarity"], 3)))
    return table(["figure", "value"], lines)
