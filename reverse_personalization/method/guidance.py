"""Negative identity guidance, equation 5 of the paper.

    eps = g eps(x_t; identity, source text) + (1 - g) eps(x_t; null identity, attribute text),  g < 0

The same formula holds for a denoised prediction m = y - S eps, because the two weights add up to 1.

Away from the person is not towards anybody: each step may leave in another direction, and two photographs of one person
become two people. A *target*, another identity, gives the direction. The paper does not have it.

Classifier-free guidance moves a prediction by a multiple of what a condition changes in it. Equation 5 in this form is

    m = m_null + g (m_own - m_null)

where m_own - m_null is what the person changes in the prediction. What a target changes is m_target - m_null, and the
two differences are added, each with its own scale:

    m = m_null + g (m_own - m_null) + p (m_target - m_null),  g <= 0 <= p

For the scores of a diffusion model that is the distribution

    P(y) P(own | y)^g P(target | y)^p

of pictures that the person explains badly and the target well. The three weights g, p and 1 - g - p add up to 1, so the
formula holds for eps as for m. The target's branch has the null identity's text, so that m_target - m_null is the
target's alone, and the two texts keep the weights g and 1 - g of equation 5. At p = 0 nothing is added, and the branch
is not evaluated.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from ..geometry.faces import Faces
from .target import IdentityTarget
from .trajectory import Conditioning

DEFAULT_TOWARDS = 1.0
"""p where a target is given and nothing else is said: it keeps more of the expression than the push alone, and a
denoiser undoes less of it (docs/targets.md)."""


def guided(identity: Tensor, null: Tensor, g: float) -> Tensor:
    """Equation 5: g identity + (1 - g) null.

    Args:
        identity: prediction (eps or m) under the identity and the source text, any shape.
        null: prediction under the null identity and the attribute text, same shape.
        g: scale of the guidance.
    """
    # Written this way, two equal predictions give that prediction to the last bit.
    return null + g * (identity - null)


def drawn(away: Tensor, target: Tensor, null: Tensor, p: float) -> Tensor:
    """What equation 5 made, drawn towards a target: away + p (target - null).

    Args:
        away: `guided`, any shape.
        target: prediction under the target and the attribute text, same shape.
        null: prediction under the null identity and the attribute text, same shape.
        p: scale of the target.
    """
    return away + p * (target - null)


def pushes_nobody(scale: float, identity_scale: float, towards: float = 0.0) -> str | None:
    """Why the guidance would have no effect and give the photograph back; None if it has one, or no scale asks for any.

    Args:
        scale: g.
        identity_scale: factor on all embeddings.
        towards: p; 0 without a target.
    """
    if towards != 0.0 and identity_scale == 0.0:
        return (
            f"identity_scale is 0 with a target (towards {towards:g}): the target becomes the null identity as every "
            "face does, so nobody is drawn towards it. Set identity_scale to 1, or disconnect the target"
        )
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
        target: whom to draw the faces towards; None for nobody.
        towards: p, at which they are drawn towards it, 0 or more; without a target it has no effect.

    Raises:
        ValueError: identity_scale is 0 and a scale is not, or p is negative.
    """

    scale: float
    attributes: Conditioning | None = field(default=None, repr=False)
    identity_scale: float = 1.0
    source: Conditioning | None = field(default=None, repr=False)
    target: IdentityTarget | None = None
    towards: float = DEFAULT_TOWARDS

    def __post_init__(self) -> None:
        if not self.towards >= 0.0:
            raise ValueError(
                f"towards is {self.towards:g}; expected 0 or more. To be pushed away from somebody is what a negative "
                "cfg does"
            )
        reason = pushes_nobody(self.scale, self.identity_scale, self.p)
        if reason:
            raise ValueError(reason)

    @property
    def p(self) -> float:
        """The target's scale; 0 without one."""
        return 0.0 if self.target is None else self.towards

    def targets(self, faces: Faces) -> Tensor | None:
        """Embeddings of the faces' targets, times `identity_scale`: [F, 512]; None where there is no pull.

        Raises:
            ValueError: the targets are for other faces, or of another recogniser.
        """
        return None if self.target is None or self.p == 0.0 else self.target.of(faces) * self.identity_scale

    def texts(self, recorded: Conditioning) -> tuple[Conditioning, Conditioning]:
        """Texts of the identity's branch and of the null identity's branch.

        Args:
            recorded: the inversion's text.
        """
        source = recorded if self.source is None else self.source
        return source, source if self.attributes is None else self.attributes
