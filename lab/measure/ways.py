"""The ways of running the method that can be compared, by name."""

from __future__ import annotations

from dataclasses import dataclass

from miniature.workflow import DEFAULT_SCALE, DENOISE
from reverse_personalization.method.guidance import DEFAULT_TOWARDS
from reverse_personalization.method.quality import EXACT, FAST, QUALITIES
from reverse_personalization.method.schedule import timesteps

PAPER_DENOISE = 0.3
"""The paper's skip of 0.7."""

PAPER_SCALE = -3.5
"""Scale at PAPER_DENOISE, where the default one changes the miniature's faces too little."""

SOURCE_FREE_SCALE = -1.0
"""Scale at which the control without the source looks about as good to the judge as the default way."""

TARGETS = ("synthetic", "rotated", "opposite", "stranger", "pseudonym")
"""Kinds of targets of the ways that have one; the first is the default. stranger: the next person's photograph."""


@dataclass(frozen=True)
class Way:
    """A way of running Change Identity.

    Attributes:
        name: in tables.
        steps: N, 2 or more.
        quality: whose extrapolation limit the solver has, a key of `QUALITIES`.
        denoise: how far back to go, in (0, 1].
        scale: guidance scale.
        source_free: whether it is run by `control` instead of the nodes.
        towards: scale of a target; 0 for none.
        target: its kind, of TARGETS.

    Raises:
        ValueError: there is no such schedule or kind of target, or `towards` is negative.
    """

    name: str
    steps: int
    quality: str = EXACT
    denoise: float = DENOISE
    scale: float = DEFAULT_SCALE
    source_free: bool = False
    towards: float = 0.0
    target: str = TARGETS[0]

    def __post_init__(self) -> None:
        timesteps(self.steps, self.denoise)
        if self.target not in TARGETS or not self.towards >= 0:
            raise ValueError(
                f'the target of "{self.name}" is {self.target} at {self.towards:g}; expected {", ".join(TARGETS)} at 0 '
                "or more"
            )

    @property
    def limit(self) -> float:
        """The solver's extrapolation limit; infinity for none."""
        return QUALITIES[self.quality].extrapolation_limit

    @property
    def evaluations(self) -> int:
        """Evaluations of the network for one picture: the first step's null prediction is also the source's."""
        if self.source_free:
            return 2 * self.steps
        return (2 + (self.scale != 0) + (self.towards != 0)) * self.steps - 1


NAMED = {
    way.name: way
    for way in (
        Way("exact", 100),
        Way("fast", 8, FAST),
        Way("fast-12", 12, FAST),
        Way("fast-4", 4, FAST),
        Way("short", 8),
        Way("paper", 100, denoise=PAPER_DENOISE, scale=PAPER_SCALE),
        Way("paper-fast", 8, FAST, PAPER_DENOISE, PAPER_SCALE),
        Way("untouched", 2, scale=0.0),
        Way("towards", 8, FAST, towards=DEFAULT_TOWARDS),
        Way("source-free", 4, FAST, scale=SOURCE_FREE_SCALE, source_free=True),
    )
}
"""Two are controls. `untouched` gives the picture back as the VAE does: it shows what a purification alone takes from
the similarity. `source-free` fools the recogniser, which the measures must tell: see `control`."""

FORM = "KIND:STEPS[:DENOISE[:SCALE[:TOWARDS[:TARGET]]]]"
"""Names of all other ways."""

KINDS = {"capped": FAST, "free": EXACT}
"""Qualities of the ways `capped:N` and `free:N`, with N steps in place of their own."""


def choices() -> str:
    """What can be named, for the help of a command."""
    return f"{', '.join(NAMED)}, or {FORM} with {' or '.join(KINDS)} as KIND and {', '.join(TARGETS)} as TARGET"


def way_of(name: str) -> Way:
    """Return a way by its name.

    Args:
        name: one of NAMED, or FORM with a KIND of KINDS, such as `capped:6`, `free:25:0.3:-3.5` or
            `capped:8:0.5:-2:1:stranger`.

    Raises:
        ValueError: there is no such way.
    """
    if name in NAMED:
        return NAMED[name]
    kind, *numbers = name.split(":")
    if kind not in KINDS or not 1 <= len(numbers) <= 5:
        raise ValueError(
            f'there is no way "{name}"; expected {", ".join(NAMED)}, or {FORM} with {" or ".join(KINDS)} as KIND'
        )
    target = numbers.pop() if len(numbers) == 5 else TARGETS[0]
    try:
        steps = int(numbers[0])
        given = tuple(map(float, numbers[1:]))
    except ValueError:
        raise ValueError(f'the way "{name}" has something else than a number after a colon') from None
    denoise, scale, towards = (*given, *(DENOISE, DEFAULT_SCALE, 0.0)[len(given) :])
    return Way(name, steps, KINDS[kind], denoise, scale, towards=towards, target=target)


def ways_of(names: str) -> tuple[Way, ...]:
    """Return the ways of a list with commas, the first of which the others are compared with.

    Raises:
        ValueError: there is no such way, or one is named twice.
    """
    ways = tuple(way_of(name.strip()) for name in names.split(","))
    if len({way.name for way in ways}) < len(ways):
        raise ValueError(f'a way is named twice in "{names}"')
    return ways
