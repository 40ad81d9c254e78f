"""Writes the figures of a run as a page in Markdown."""

from __future__ import annotations

from typing import Any

from .cases import WIDEST_ROLL, WIDEST_YAW
from .judging import COVERED, SEEN
from .summary import ANGLES, PROMISED_SIZE, SMALL_MISSES, SMALL_SIZE, Figures, class_names

COUNTED = {
    "saved": "photographs saved",
    "blocked": "photographs blocked by an error, nothing saved",
    "refused": "photographs refused as they should be: broken ones",
    "faces": "faces drawn",
    "found_first": "faces that the first search found",
    "found_second": "faces that only the second search found",
    "false_finds": "finds where nobody was drawn",
    "anonymised": "faces anonymised, says the check",
    "covered": "faces covered",
    "anonymised_under_others_covers": "faces anonymised, but under the cover of another find",
    "unhandled_of_all_seen": "faces that both searches missed, of any size and angle",
    "missed_mostly_hidden": "faces that both missed and of which less than half was to be seen: not counted above",
    "processor_seconds_a_photo": "seconds of one processor core for a photograph",
}
"""Figures about which nothing is promised, with their names."""


def as_page(figures: Figures, command: str) -> str:
    """All figures of `summarise`.

    Args:
        figures: the run's.
        command: the command that repeats the run.
    """
    lines = [
        "# Hostile photographs",
        "",
        f"    {command}",
        "",
        "made this page: photographs from the miniature's renderer with everything that users' pictures have and do,",
        "of people whom no training saw. Each went through the whole graph in the host's own executor, with few steps.",
        "What was saved is judged with the places that the renderer knows, by a recogniser at its threshold for one",
        f"false match in a thousand: `{figures['judge']}` at {figures['threshold']:.4g}. The miniature has two trained",
        "recognisers, and one of them guides: the judge is also the checker, told where the faces are instead of",
        "having to find them.",
        "",
        "## Promises",
        "",
        f"| {figures['photos']} photographs | measured | allowed |",
        "|---|---|---|",
        *_promises(figures),
        "",
        f"Counted as missed are faces within {WIDEST_YAW:g} degrees of yaw and {WIDEST_ROLL:g} of roll of which at",
        f"least {SEEN:.0%} is to be seen. Covered is a face of which a cover hides {COVERED:.0%} or more.",
        "",
        "## Counts",
        "",
        "| | |",
        "|---|---|",
        *(f"| {name} | {shown(figures[key])} |" for key, name in COUNTED.items()),
        "",
        "## Similarity",
        "",
        f"Cosines, by the judge, of faces of {PROMISED_SIZE:g} px or more that were found. *Recognised* is the part at",
        "the threshold or above. *Another picture* shows the same person in another light and pose.",
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
        "Faces that both searches missed, of all of which half or more was to be seen, by size (longer side of the",
        "box) and by the larger of yaw and roll in degrees:",
        "",
        "| size | " + " | ".join(class_names(ANGLES)) + " |",
        "|---" * len(ANGLES) + "|",
        *(_size_row(figures, size) for size in figures["seen"]),
        "",
        "Each of them:",
        "",
        "| case | kind | pixels | yaw | roll | seen, % |",
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
        ("pixels changed outside of all masks", figures["outside_pixels_changed"], 0),
        (
            f"mean change at the masks' rim at scale 0, in 1/255 ({figures['seam_photos']} photographs)",
            f"{shown(figures['seam'])}, worst photograph {shown(figures['seam_worst_photo'])}",
            "below 1",
        ),
        ("words of the inputs, their names and the graph in saved files", shown(figures["leaks"]), "none"),
        ("photographs neither saved nor answered with an error", figures["lost"], 0),
        ("broken photographs saved", figures["accepted"], 0),
    ]
    return [f"| {name} | {measured} | {allowed} |" for name, measured, allowed in rows]


def _size_row(figures: Figures, size: str) -> str:
    seen, missed = figures["seen"][size], figures["misses"].get(size, {})
    cells = [f"{missed.get(angle, 0)} of {seen[angle]}" if angle in seen else "" for angle in class_names(ANGLES)]
    return f"| {size} | " + " | ".join(cells) + " |"


def shown(value: Any) -> str:
    """A figure in a form for people."""
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, list):
        return ", ".join(value) or "none"
    return "-" if value is None else str(value)
