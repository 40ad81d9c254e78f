"""What a workflow would make of a photograph, from its faces: for a dry run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import codes
from .codes import ANONYMISED, BLOCKED, COVERED, Outcome
from .estimate import changes
from .workflow import SAVER, Prepared

COVERER = "ReverseIdentityFaceCover"

# Words of the nodes' inputs.
BLOCK, SAVE, COVER = "block", "save", "cover"


@dataclass(frozen=True)
class Counted:
    """The faces of a photograph.

    Attributes:
        faces: how many there are.
        doubtful: numbers, from 1, of those that may be something else.
        chosen: how many are to be changed.
        left_out: how many are neither changed nor covered by Embed Faces.
        to_cover: how many Embed Faces has covered.
    """

    faces: int
    doubtful: tuple[int, ...]
    chosen: int
    left_out: int
    to_cover: int

    @staticmethod
    def read(said: Mapping[str, Any]) -> Counted:
        """What Embed Faces tells of a picture.

        Raises:
            KeyError, TypeError, ValueError: it says something else.
        """
        doubtful = tuple(int(number) for number in said["doubtful"])
        return Counted(int(said["faces"]), doubtful, *(int(said[key]) for key in ("chosen", "left_out", "to_cover")))

    def __str__(self) -> str:
        """How many there are, for people."""
        if not self.doubtful:
            return count(self.faces, "face")
        numbers = ", ".join(map(str, self.doubtful))
        return f"{count(self.faces, 'face')}, doubtful: {numbers} of them from left to right"


NOBODY = Counted(0, (), 0, 0, 0)


def forecast(prepared: Prepared, found: Counted) -> Outcome:
    """What the workflow would make of a photograph with these faces, if every change succeeds."""
    if found.doubtful and prepared.asks():
        return Outcome(BLOCKED, codes.UNDECIDED, "would ask a person about the doubtful ones", found.faces)
    if not found.faces:
        return _nobody(prepared)
    changed = f"{count(found.chosen, 'face')} would be {'changed' if changes(prepared.graph) else 'checked only'}"
    covered, kept = found.to_cover, found.left_out
    if _word(prepared, COVERER, "unhandled", COVER) == COVER:
        covered, kept = covered + kept, 0
    if kept and _word(prepared, SAVER, "unhandled", BLOCK) == BLOCK:
        sentence = f"would be refused, because {count(kept, 'face')} would stay as they are"
        return Outcome(BLOCKED, codes.UNSAFE_FACE, sentence, found.faces)
    parts = [changed] + [f"{covered} covered"] * bool(covered) + [f"{kept} would stay as they are"] * bool(kept)
    code = codes.UNHANDLED if kept else codes.COVERED if covered else codes.ANONYMISED
    return Outcome(COVERED if covered else ANONYMISED, code, ", ".join(parts), found.faces)


def refused_by_search() -> Outcome:
    """What the workflow would make of a photograph in which Embed Faces finds nobody and does not let that pass."""
    return Outcome(BLOCKED, codes.NO_FACE, "would not be saved, because nobody is found: look at it", 0)


def _nobody(prepared: Prepared) -> Outcome:
    if _word(prepared, SAVER, "no_face", BLOCK) == SAVE:
        return Outcome(ANONYMISED, codes.NO_FACE, "would be saved as it is, because nobody is found", 0)
    return refused_by_search()


def _word(prepared: Prepared, kind: str, name: str, default: str) -> str:
    """The word of an input of the only node of a class; the node's own default if it does not say."""
    words = [node["inputs"].get(name, default) for node in prepared.graph.values() if node["class_type"] == kind]
    return str(words[0]) if words else ""


def count(number: int, what: str) -> str:
    """A number of things: "1 face", "2 faces"."""
    return f"{number} {what}{'' if number == 1 else 's'}"
