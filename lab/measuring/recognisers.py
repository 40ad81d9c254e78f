"""Embeds faces with two recognisers: the guide of the method, and the judge, which no training used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .scores import grey

Pictures = NDArray[np.uint8]
Embeddings = NDArray[np.floating[Any]]
WIDTH = 512


@dataclass(frozen=True, eq=False)
class Seen:
    """Embeddings of N pictures, [N, 512] each: rows of unit length, or of NaN if no face was found.

    Attributes:
        judge: embeddings by the judge.
        judge_grey: embeddings by the judge, from the picture in grey.
        guide: embeddings by the recogniser that guides.
    """

    judge: Embeddings
    judge_grey: Embeddings
    guide: Embeddings


@dataclass(frozen=True, eq=False)
class Recognisers:
    """The two recognisers, as `host.insight.FacePack`.

    Attributes:
        guide: guides the method, and finds the faces for both.
        judge: the other recogniser.
        size: detector size in pixels.
        score: least detection score that counts as a face.
    """

    guide: Any
    judge: Any
    size: int
    score: float

    def find(self, picture: NDArray[np.uint8]) -> Any | None:
        """Find the largest face with a high enough score in an RGB picture [H, W, 3], or None."""
        found = [face for face in self.guide.search(_bgr(picture), self.size) if face.score >= self.score]
        return max(found, key=lambda face: face.area, default=None)

    def see(self, pictures: Pictures) -> Seen:
        """Find and embed the face of every picture; in grey, at the place found in colour."""
        nobody = np.full(WIDTH, np.nan)
        rows = []
        for picture, without_colour in zip(pictures, grey(pictures), strict=True):
            face = self.find(picture)
            rows.append(
                [nobody] * 3
                if face is None
                else [
                    self.judge.embed(_bgr(picture), face).embedding.numpy(),
                    self.judge.embed(_bgr(without_colour), face).embedding.numpy(),
                    self.guide.embed(_bgr(picture), face).embedding.numpy(),
                ]
            )
        judge, judge_grey, guide = np.array(rows, np.float64).transpose(1, 0, 2)
        return Seen(judge, judge_grey, guide)

    def found(self, pictures: Pictures) -> NDArray[np.bool_]:
        """Return whether a face was found in each picture, bool [N]."""
        return np.array([self.find(picture) is not None for picture in pictures])


def _bgr(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(picture[..., ::-1])
