"""A closer look at a part of a picture in which somebody says that a face is."""

from __future__ import annotations

from dataclasses import replace

from ..reverse_personalization.geometry.drawn_faces import Search, part_search
from .insight import FacePack

CLOSER_THRESHOLD = 0.05
"""Lowest score of a face where somebody says that one is: there a weak find is more likely a face than elsewhere, and
it only has to say where its landmarks are."""


def closer_search(pack: FacePack, det_size: int) -> Search:
    """The search of a part of a picture, down to CLOSER_THRESHOLD.

    Args:
        pack: whose detector searches.
        det_size: pixels, a multiple of 32.
    """
    keen = replace(pack, threshold=min(pack.threshold, CLOSER_THRESHOLD))
    return part_search(keen.search, det_size)
