"""Negative identity guidance, equation 5 of the paper.

    eps = g eps(x_t; identity, source text) + (1 - g) eps(x_t; null identity, attribute text),  g < 0

A denoised prediction is m = y - S eps, and the two weights add up to 1, so the same formula holds for m.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from .trajectory import Conditioning


def guided(identity: Tensor, null: Tensor, scale: float) -> Tensor:
    """Equation 5: g identity + (1 - g) null.

    Args:
        identity: prediction under the identity and the source text, eps or denoised, any shape.
        null: prediction under the null identity and the attribute text, same shape.
        scale: g.
    """
    # In this order, two equal predictions give that prediction to the last bit.
    return null + scale * (identity - null)


def pushes_nobody(scale: float, identity_scale: float) -> str | None:
    """Why a setting would give the photograph back although a scale is set; None if it does not."""
    if scale != 0.0 and identity_scale == 0.0:
        return (
            f"identity_scale is 0 at a scale of {scale:g}: every face becomes the null identity, so nobody is pushed "
            "away and the photograph comes out. Set identity_scale to 1, or the scale to 0 if you want the photograph"
        )
    return None


@dataclass(frozen=True, eq=False)
class IdentityGuidance:
    """How a generation departs from the people in a trajectory.

    Attributes:
        scale: g of equation 5; negative leads away from the person, 0 gives the picture back.
        attributes: text on the null identity's branch, whose weight 1 - g is positive; None for the source.
        identity_scale: factor on the unit embeddings, 1 in the paper.
        source: text on the identity's branch; None for the inversion's.

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
