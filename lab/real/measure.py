"""All figures on real pictures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lab.sharpness import sharpness_figures

from .calibrating import calibrating_figures
from .finds import file_of
from .pictures import Picture, pictures_of
from .recognising import measure_faces, recognising_figures
from .scaling import scaling_figures
from .searching import nobody_figures, recall_figures, search
from .sharpness import paste_back_real

PARTS = ("nobody", "animals", "people", "recognising", "calibrating", "scaling", "sharpness")
"""What can be measured."""


def measure(
    parts: tuple[str, ...] = PARTS,
    live: bool = False,
    limit: int = 0,
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Measure the pack as it is in this clone.

    Args:
        parts: of `PARTS`.
        live: compute the detector's finds instead of reading them; without it only pictures whose finds are stored
            count.
        limit: most pictures of a kind; 0 takes all.
        say: is told about each part.

    Returns:
        Figures by part, and how many pictures each kind has and how many were used.
    """
    used = {kind: [one for one in pictures_of(kind) if live or file_of(one).is_file()] for kind in PARTS[:3]}
    used = {kind: some[: limit or None] for kind, some in used.items()}
    figures: dict[str, Any] = {
        "pictures": {kind: {"there": len(pictures_of(kind)), "used": len(some)} for kind, some in used.items()}
    }
    for kind in ("nobody", "animals"):
        if kind in parts:
            say(kind)
            figures[kind] = _without_people(used[kind], live)
    if "people" in parts:
        say("people")
        figures["people"] = recall_figures(list(search(used["people"], live)))
    if "recognising" in parts:
        say("recognising")
        figures["recognising"] = recognising_figures(*measure_faces(used["people"], live))
    if "calibrating" in parts:
        say("calibrating")
        figures["calibrating"] = calibrating_figures(used["people"], live, say)
    if "scaling" in parts:
        say("scaling")
        figures["scaling"] = scaling_figures(used["people"], live)
    if "sharpness" in parts:
        say("sharpness")
        figures["sharpness"] = sharpness_figures(paste_back_real(used["people"], live))
    return figures


def _without_people(pictures: list[Picture], live: bool) -> dict[str, Any]:
    searched = list(search(pictures, live))
    return {
        "all": nobody_figures(searched),
        "shared": nobody_figures([one for one in searched if one.picture.shared]),
        "by_picture": {
            one.picture.path: {"finds": len(one.first), "second": len(one.second), "area": round(one.hidden, 5)}
            for one in searched
        },
    }
