"""Writes the figures of a run as a page in Markdown."""

from __future__ import annotations

from typing import Any

from .cases import WIDEST_ROLL, WIDEST_YAW
from .judging import COVERED, NEAR, SEEN
from .summary import ANGLES, PROMISED_SIZE, SMALL_MISSES, SMALL_SIZE, Figures, class_names

HOSTILE_PHOTOS = 500
COVERED_PROMISED, FALSE_FINDS, FALSE_AREA = 0.15, 0.1, 0.001
"""What is allowed at most in so many hostile photographs: the fraction of promised faces covered, finds per photograph
that are nobody who was drawn, and the fraction of the pixels that is hidden where nobody is."""

COUNTED = {
    "saved": "photographs saved",
    "blocked": "photographs blocked by an error, nothing saved",
    "refused": "broken photographs, refused as intended",
    "faces": "faces drawn",
    "found_first": "faces found by the first search",
    "found_second": "faces found only by the second search",
    "false_finds": "finds that are nobody who was drawn",
    "false_finds_second": "of them found by the second search alone, which also sees the changed faces",
    "false_finds_on_people": "of them on somebody's head: a part of a face, or one find of two people",
    "anonymised": "faces anonymised, according to the check",
    "anonymised_under_others_covers": "of them under another find's cover",
    "covered_faces": "faces covered because of what became of themselves",
    "bare_seen_share": "fraction of the faces at least half visible that end anonymised and uncovered",
    "scale_needed": "mean scale of those",
    "evaluations_a_face": "evaluations of the denoiser per face, a comparison's included",
    "unhandled_of_all_seen": "faces missed by both searches, of any size and angle",
    "missed_mostly_hidden": "faces missed by both searches and more than half hidden: not counted above",
    "processor_seconds_a_photo": "seconds of one processor core per photograph",
}
"""Figures without a promise, with their names."""


def as_page(figures: Figures, command: str) -> str:
    """The page with all figures of `summarise`.

    Args:
        figures: of the run.
        command: the command that repeats the run.
    """
    lines = [
        "# Hostile photographs",
        "",
        f"    {command}",
        "",
        "made this page. The miniature's renderer draws photographs with all the difficulties of users' pictures,",
        "showing people that no training saw. Each photograph goes through the whole graph in ComfyUI's own executor,",
        "with few steps. A recogniser, told by the renderer where the faces are, judges what was saved, at its",
        f"threshold for one false match in a thousand: `{figures['judge']}` at {figures['threshold']:.4g}. The",
        "miniature has only two trained recognisers, and one of them guides, so the judge is also the",
        "checker; but it does not have to find the faces.",
        "",
        "## Promises",
        "",
        f"| {figures['photos']} photographs | measured | allowed |",
        "|---|---|---|",
        *_promises(figures),
        "",
        f"Misses count faces within {WIDEST_YAW:g} degrees of yaw and {WIDEST_ROLL:g} of roll that are at least",
        f"{SEEN:.0%} visible. A face counts as covered if a cover hides {COVERED:.0%} or more of it.",
        "",
        "## Counts",
        "",
        "| | |",
        "|---|---|",
        *(f"| {name} | {shown(figures[key])} |" for key, name in COUNTED.items()),
        "",
        "## Usefulness",
        "",
        f"What a cover costs the user. The limits hold for {HOSTILE_PHOTOS} hostile photographs. Nobody is where a",
        f"pixel lies outside every drawn head, enlarged by {NEAR:.0%}.",
        "",
        "| | measured | allowed |",
        "|---|---|---|",
        *_usefulness(figures),
        "",
        "Why covers were laid:",
        "",
        "| | covers |",
        "|---|---|",
        *(f"| {reason} | {count} |" for reason, count in figures["cover_reasons"].items()),
        "",
        "## Similarity",
        "",
        f"The judge's cosines for found faces of {PROMISED_SIZE:g} px or more. *Recognised* is the fraction at or",
        "above the threshold. *Another picture* shows the same person in another light and pose.",
        "",
        "| | faces | median | 95th percentile | recognised |",
        "|---|---|---|---|---|",
        *(
            f"| {name} | {row['faces']} | {shown(row['median'])} | {shown(row['p95'])} | {shown(row['recognised'])} |"
            for name, row in figures["similarity"].items()
        ),
        "",
        "## Misses",
        "",
        "Faces that both searches missed, out of all that were at least half visible, by size (longer side of the box)",
        "and by the larger of yaw and roll in degrees:",
        "",
        "| size | " + " | ".join(class_names(ANGLES)) + " |",
        "|---" * len(ANGLES) + "|",
        *(_size_row(figures, size) for size in figures["seen"]),
        "",
        "Each missed face:",
        "",
        "| case | kind | pixels | yaw | roll | visible, % |",
        "|---|---|---|---|---|---|",
        *("| " + " | ".join(map(str, miss)) + " |" for miss in figures["listed_misses"]),
        "",
        "## Errors",
        "",
        *([f"- {count} x {error}" for error, count in figures["errors"].items()] or ["none"]),
    ]
    return "\n".join(lines) + "\n"


def _promises(figures: Figures) -> list[str]:
    large, small = f"{PROMISED_SIZE:g} px or more", f"{SMALL_SIZE:g} to {PROMISED_SIZE:g} px"
    rows = [
        ("found, still recognisable, not covered: faces", figures["unprotected_faces"], 0),
        (
            f"missed by both searches: faces of {large}",
            f"{figures['unhandled_faces']} of {figures['faces_promised']}",
            0,
        ),
        (
            f"missed by both searches: faces of {small}",
            f"{figures['unhandled_small_faces']} of {figures['faces_promised_small']}",
            f"{SMALL_MISSES:.1%}",
        ),
        ("pixels changed outside all masks", figures["outside_pixels_changed"], 0),
        (
            f"mean change at the rim of the masks at scale 0, in 1/255 ({figures['seam_photos']} photographs)",
            f"{shown(figures['seam'])}, worst photograph {shown(figures['seam_worst_photo'])}",
            "below 1",
        ),
        ("words from inputs, file names or the graph in saved files", shown(figures["leaks"]), "none"),
        ("photographs neither saved nor refused with an error", figures["lost"], 0),
        ("broken photographs saved", figures["accepted"], 0),
    ]
    return [f"| {name} | {measured} | {allowed} |" for name, measured, allowed in rows]


def _usefulness(figures: Figures) -> list[str]:
    promised = f"{figures['faces_promised']} faces of {PROMISED_SIZE:g} px or more"
    rows = [
        (
            f"covered, of {promised}",
            shown(figures["covered_promised_share"]),
            f"{COVERED_PROMISED:.0%}",
        ),
        (f"hidden by any cover, of {promised}", shown(figures["hidden_promised_share"]), "-"),
        ("finds that are nobody who was drawn, per photograph", shown(figures["false_finds_a_photo"]), FALSE_FINDS),
        ("hidden where nobody is, of all pixels", shown(figures["false_area"]), f"{FALSE_AREA:.1%}"),
        ("the same, mean of the photographs", shown(figures["false_area_a_photo"]), "-"),
    ]
    return [f"| {name} | {measured} | {allowed} |" for name, measured, allowed in rows]


def _size_row(figures: Figures, size: str) -> str:
    seen, missed = figures["seen"][size], figures["misses"].get(size, {})
    cells = [f"{missed.get(angle, 0)} of {seen[angle]}" if angle in seen else "" for angle in class_names(ANGLES)]
    return f"| {size} | " + " | ".join(cells) + " |"


def shown(value: Any) -> str:
    """A figure, rounded for reading."""
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, list):
        return ", ".join(value) or "none"
    return "-" if value is None else str(value)
