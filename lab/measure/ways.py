"""The ways of running the method that can be compared, by name."""

from __future__ import annotations

import math
from dataclasses import dataclass

from miniature.workflow import DEFAULT_SCALE, DENOISE
from reverse_personalization.method.schedule import timesteps
from reverse_personalization.method.solver import EVEN_EXTRAPOLATION

PAPER_DENOISE = 0.3
"""The paper's skip of 0.7."""

PAPER_SCALE = -3.5
"""Scale at PAPER_DENOISE, where the default one changes the miniature's faces too little."""

SOURCE_FREE_SCALE = -1.0
"""Scale at which the control without the source looks about as good to the judge as the default way."""


@dataclass(frozen=True)
class Way:
    """A way of running the two nodes, the inversion and the sampler.

    Attributes:
        name: in tables.
        steps: N of inversion and generation each, 2 or more.
        limit: the solver's extrapolation limit; infinity for none.
        denoise: of the inversion, in (0, 1].
        scale: guidance scale.
        source_free: whether it is run by `control` instead of the nodes.

    Raises:
        ValueError: there is no such schedule.
    """

    name: str
    steps: int
    limit: float = math.inf
    denoise: float = DENOISE
    scale: float = DEFAULT_SCALE
    source_free: bool = False

    def __post_init__(self) -> None:
        timesteps(self.steps, self.denoise)

    @property
    def evaluations(self) -> int:
        """Evaluations of the network for one picture: N for the source, 2 N for the generation, or N at scale 0."""
        return self.steps * (2 if self.scale == 0 or self.source_free else 3)


NAMED = {
    way.name: way
    for way in (
        Way("exact", 100),
        Way("fast", 8, EVEN_EXTRAPOLATION),
        Way("fast-12", 12, EVEN_EXTRAPOLATION),
        Way("fast-4", 4, EVEN_EXTRAPOLATION),
        Way("short", 8),
        Way("paper", 100, denoise=PAPER_DENOISE, scale=PAPER_SCALE),
        Way("paper-fast", 8, EVEN_EXTRAPOLATION, PAPER_DENOISE, PAPER_SCALE),
        Way("untouched", 2, scale=0.0),
        Way("source-free", 4, EVEN_EXTRAPOLATION, scale=SOURCE_FREE_SCALE, source_free=True),
    )
}
"""Two are controls. `untouched` gives the picture back as the VAE does: it shows what a purification alone takes from
the similarity. `source-free` fools the recogniser, which the measures must tell: see `control`."""

LIMITS = {"capped": EVEN_EXTRAPOLATION, "free": math.inf}
"""Extrapolation limits of the ways `capped:N` and `free:N`."""


def way_of(name: str) -> Way:
    """Return a way by its name.

    Args:
        name: one of NAMED, or KIND:STEPS[:DENOISE[:SCALE]] with a KIND of LIMITS, such as `capped:6` or
            `free:25:0.3:-3.5`.

    Raises:
        ValueError: there is no such way.
    """
    if name in NAMED:
        return NAMED[name]
    kind, *numbers = name.split(":")
    if kind not in LIMITS or not 1 <= len(numbers) <= 3:
        raise ValueError(
            f'there is no way "{name}"; expected {", ".join(NAMED)}, or KIND:STEPS[:DENOISE[:SCALE]] with '
            f"{' or '.join(LIMITS)} as KIND"
        )
    try:
        steps = int(numbers[0])
        denoise, scale = (*map(float, numbers[1:]), *(DENOISE, DEFAULT_SCALE)[len(numbers) - 1 :])
    except ValueError:
        raise ValueError(f'the way "{name}" has something else than a number after a colon') from None
    return Way(name, steps, LIMITS[kind], denoise, scale)


def ways_of(names: str) -> tuple[Way, ...]:
    """Return the ways of a list with commas, the first of which the others are compared with.

    Raises:
        ValueError: there is no such way, or one is named twice.
    """
    ways = tuple(way_of(name.strip()) for name in names.split(","))
    if len({way.name for way in ways}) < len(ways):
        raise ValueError(f'a way is named twice in "{names}"')
    return ways
