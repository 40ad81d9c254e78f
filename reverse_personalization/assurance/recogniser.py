"""What the assurance asks of a recogniser; nothing here depends on which one it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..geometry.face_search import SearchPlan, search_plan
from ..geometry.faces import Detection
from .matching import Appearance

Picture = NDArray[np.uint8]
"""uint8 [H, W, 3], BGR."""


class FaceRecogniser(Protocol):
    """Finds, embeds and describes faces."""

    @property
    def provider(self) -> str:
        """The execution provider that runs the networks, for reports."""
        ...

    @property
    def threshold(self) -> float:
        """Lowest score of a face."""
        ...

    def search(
        self,
        picture: Picture,
        det_size: int,
        plan: SearchPlan = search_plan,
        *,
        before: Sequence[Detection] = (),
    ) -> list[Detection]:
        """All faces of a picture, in its pixels; `det_size` is the detector's input side in pixels.

        Where a face was `before`, what scores less than the threshold may be that face again.
        """
        ...

    def find_again(self, picture: Picture, before: Detection) -> Detection | None:
        """A face at the place that it had before it was changed; None if nothing like a face is seen there."""
        ...

    def embedding(self, picture: Picture, detection: Detection) -> NDArray[np.float64]:
        """A face's embedding, float64 [D] of any length; not finite if the face cannot be embedded."""
        ...

    def rescaled(self) -> FaceRecogniser | None:
        """The same recogniser with its input scaled in the other usual way; None if there is only one way."""
        ...

    def appearance(self, picture: Picture, detection: Detection) -> Appearance:
        """A face's apparent age, sex and pose."""
        ...
