"""Which finds of a search show one thing.

A find is what the detector takes for a face in one view of a picture (see `face_search`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .boxes import intersection_over_union
from .finds import Finds, same_thing, surest_first

TWO_MIN_SCORE_RATIO = 0.65
"""Of two finds of one view, the fainter must score this fraction of the thing's best find to speak for two faces. Of
672 rendered things, other views made no second find of more than 0.52; of two people whose heads overlap, six views
made one of 0.72 to 0.88."""

TWO_MIN_VIEWS = 3
"""Number of views that must see two faces."""


def things(finds: Finds) -> list[NDArray[np.intp]]:
    """Group the finds by what they show.

    Args:
        finds: of all views.

    Returns:
        For each thing the numbers of its finds, its surest first (`surest_first`); the surest thing comes first. A
        thing's surest find overlaps no surer thing by more than SAME_FACE_IOU, and every other find belongs to the
        thing that it overlaps most, of those that are surer than it. Two people of whom some views make a single find
        are two things if TWO_MIN_VIEWS see them apart; finds of both at once then belong to neither.
    """
    order = left = surest_first(finds)
    surest = []
    while left.size:
        surest.append(left[0])
        same = same_thing(finds.boxes[left[:1]], finds.boxes[left])[0]
        same[0] = True
        left = left[~same]
    if not surest:
        return []
    rank = np.empty(len(order), int)
    rank[order] = np.arange(len(order))
    overlaps = intersection_over_union(finds.boxes, finds.boxes[surest])
    overlaps[rank[:, None] < rank[surest]] = -1
    owners = overlaps.argmax(axis=1)
    groups = [order[owners[order] == thing] for thing in range(len(surest))]
    return [part for group in groups for part in _parted(finds, group)]


def _parted(finds: Finds, members: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    """The finds of one thing, or of the two things that several views see there; `members` has the surest first."""
    least = TWO_MIN_SCORE_RATIO * float(finds.boxes[members, 4].max())
    sure = members[finds.boxes[members, 4] >= least]
    pairs = [own[:2] for view in np.unique(finds.views[sure]) if len(own := sure[finds.views[sure] == view]) > 1]
    if len(pairs) < TWO_MIN_VIEWS:
        return [members]
    # The view whose fainter find scores most tells best where both are.
    clearest = max(pairs, key=lambda pair: float(finds.boxes[pair, 4].min()))
    same = same_thing(finds.boxes[clearest], finds.boxes[members])
    return [members[here & ~there] for here, there in (same, same[::-1])]
