"""Negative identity guidance, equation 5 of the paper.

    eps = g eps(x_t; identity, source text) + (1 - g) eps(x_t; null identity, attribute text),  g < 0

The same formula holds for a denoised prediction m = y - S eps, because the two weights add up to 1.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from .trajectory import Conditioning


def guided(identity: Tensor, null: Tensor, g: float) -> Tensor:
    """Equation 5: g identity + (1 - g) null.

    Args:
        identity: prediction (eps or m) under the identity and the source text, any shape.
        null: prediction under the null identity and the attribute text, same shape.
        g: scale of the guidance.
    """
    # Written this way, two equal predictions give that prediction to the last bit.
    return null + g * (identity - null)


def pushes_nobody(scale: float, identity_scale: float) -> str | None:
    """Why the guidance would have no effect and give the photograph back; None if it has one, or the scale is 0."""
    if scale != 0.0 and identity_scale == 0.0:
        return (
            f"identity_scale is 0 at a scale of {scale:g}: every face becomes the null identity, so nobody is pushed "
            "away and the photograph comes out. Set identity_scale to 1, or the scale to 0 if you want the photograph"
        )
    return None


@dataclass(frozen=True, eq=False)
class IdentityGuidance:
    """How a generation moves away from the people in a trajectory.

    Attributes:
        scale: g of equation 5; negative moves away from the person, 0 gives the picture back.
        attributes: text on the null identity's branch, whose weight 1 - g is positive; None for the source text.
        identity_scale: factor on the unit embeddings, 1 in the paper.
        source: text on the identity's branch; None for the inversion's text.

    Raises:
        ValueError: identity_scale is 0 and the scale is not.
    """

    scale: float
    attributes: Conditioning | None = field(default=None, repr=False)
    identity_scale: float = 1.0
    source: Conditioning | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        reason = pushes_nobody(self.scale, self.identity_scale)
        if reason:
            raise ValueError(reason)

    def texts(self, recorded: Conditioning) -> tuple[Conditioning, Conditioning]:
        """Texts of the identity's branch and of the null identity's branch.

        Args:
            recorded: the inversion's text.
        """
        source = recorded if self.source is None else self.source
        return source, source if self.attributes is None else self.attributes
