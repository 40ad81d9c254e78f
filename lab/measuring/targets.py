"""The targets for the miniature, and whether a measurement meets them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from .settings import LARGE_SIDE

Figures = dict[str, Any]
"""Figures as JSON objects; None stands for what could not be measured."""

CLEARLY = 0.1
"""By how much more, in cosine, a person's own embedding must lower the similarity than a stranger's."""


class Target(NamedTuple):
    """A target.

    Attributes:
        name: description of the target.
        value: measured value, or None if it could not be measured, which does not meet the target.
        bound: side of the limit that meets the target.
        limit: limit, which itself meets the target.
    """

    name: str
    value: float | None
    bound: Literal["at most", "at least"]
    limit: float

    @property
    def met(self) -> bool:
        """Whether the value meets the target."""
        if self.value is None:
            return False
        return self.value <= self.limit if self.bound == "at most" else self.value >= self.limit


def scale_key(scale: float) -> str:
    """Format a guidance scale as a JSON key, such as "-2.5" or "-10"."""
    return f"{scale:g}"


def targets(figures: Figures) -> Figures:
    """Return `value`, `bound`, `limit` and `met` of every target by name.

    Args:
        figures: all other figures from `figures.measure`.
    """
    return {
        target.name: {"value": target.value, "bound": target.bound, "limit": target.limit, "met": target.met}
        for target in _targets(figures)
    }


def _targets(figures: Figures) -> Iterator[Target]:
    key = scale_key(figures["default_scale"])
    zero, default, stranger = figures["guidance"]["0"], figures["guidance"][key], figures["control"][key]
    pasted = figures["pasted"]
    vae = figures["vae"][str(LARGE_SIDE)]
    yield Target(f"VAE at {LARGE_SIDE} px: PSNR, dB", vae["psnr"], "at least", 30.0)
    yield Target(f"VAE at {LARGE_SIDE} px: cosine by the judge", vae["similarity"], "at least", 0.99)
    yield Target("re-identified", default["reid"], "at most", 0.05)
    yield Target("re-identified, grey", default["reid_grey"], "at most", 0.05)
    yield Target("re-identified, pasted back", pasted["reid"], "at most", 0.05)
    yield Target("re-identified, pasted back, grey", pasted["reid_grey"], "at most", 0.05)
    for angle in ("yaw", "pitch"):
        yield Target(f"change of {angle}, degrees", default["change"][angle], "at most", 2.5)
    yield Target("change outside the face, pasted back, /255", pasted["background"], "at most", 4.0)
    for name in ("expression", "glasses"):
        lost = zero["agreement"][name] - default["agreement"][name]
        yield Target(f"agreement of {name} lost since g = 0", lost, "at most", 0.05)
    yield Target("similarity falls at every step to the default (1: yes)", float(figures["monotone"]), "at least", 1.0)
    margin = _difference(stranger["similarity"], default["similarity"])
    yield Target("cosine with a stranger's embedding less own", margin, "at least", CLEARLY)
    for name, shares in figures["attributes"]["shares"].items():
        yield Target(f"asked for and shown: {name}", shares["asked"], "at least", 0.8)
    keep = figures["keep"]
    yield Target("sex kept", keep["kept"]["sex_agreement"], "at least", 0.95)
    yield Target("age kept: error, years", keep["kept"]["age_error"], "at most", 1.2 * keep["zero"]["age_error"])
    yield Target("pictures from noise and text with a face", figures["generation"]["found"], "at least", 0.9)


def _difference(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other
