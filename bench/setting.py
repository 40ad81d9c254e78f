"""How the benchmarks anonymise a portrait."""

from __future__ import annotations

from dataclasses import dataclass

from lab.measure.ways import PAPER_DENOISE, PAPER_SCALE
from reverse_personalization.method.quality import EXACT, QUALITIES


@dataclass(frozen=True)
class Setting:
    """How a portrait is anonymised; the defaults are the paper's, with the scale that suits the miniature there.

    Attributes:
        steps: N.
        denoise: part of the schedule that is not skipped.
        scale: g.
        seed: of the noisy copies.
        attributes: text for the branch of the null identity; empty for none.
    """

    steps: int = QUALITIES[EXACT].steps
    denoise: float = PAPER_DENOISE
    scale: float = PAPER_SCALE
    seed: int = 0
    attributes: str = ""
