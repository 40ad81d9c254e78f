"""A guider for several branches in one call, for the edit in one pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from comfy.model_patcher import ModelPatcher
from torch import Tensor

from ..reverse_personalization.method.trajectory import Conditioning
from .guider import NULL_BRANCH, IdentityGuider
from .identity_adapter import with_identity


class StackedGuider(IdentityGuider):
    """Predicts under several branches in one call, each with its own text and identity.

    What is made of the predictions, equation 5 included, is the sampler's affair.

    Args:
        model: with an identity adapter and nothing else (`patches.may_share_a_call`).
        conditioning: with one row for each latent under each branch, `rows.stacked`: all latents under
            the first branch, all under the second, and so on.
        embeddings: float [K B, 512], unit length or zero, of the same rows.
        texts: of the K branches, as the user gave them.
        finite: whether latents that are not finite are an error.
    """

    def __init__(
        self,
        model: ModelPatcher,
        conditioning: Conditioning,
        embeddings: Tensor,
        texts: Mapping[str, Conditioning],
        *,
        finite: bool = True,
    ) -> None:
        super().__init__(model)
        self.finite = finite
        self.texts.update(texts)
        self._branches: Sequence[int] = range(len(texts))
        self._rows = embeddings.shape[0]
        self.inner_set_conds({NULL_BRANCH: with_identity(conditioning, embeddings)})
        # One branch in the host's eyes, so it is evaluated as the inversion's is.
        self.set_cfg(0.0)
        self.reserve(self._rows)

    def ask(self, branches: Sequence[int]) -> None:
        """Set the branches, by number from 0, that the rows of the next calls belong to."""
        self._branches = branches

    def _texts_rows(self) -> int:
        return self._rows

    def _numbers(self, rows: int) -> list[int]:
        latents = rows // len(self._branches)
        return [branch * latents + latent for branch in self._branches for latent in range(latents)]

    def _are_all(self, numbers: list[int]) -> bool:
        return numbers == list(range(self._rows))
