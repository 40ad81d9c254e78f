"""Which finds of a search show one thing.

A find is what the detector takes for a face in one view of a picture (see `face_search`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

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
        find belongs to the surest thing that it overlaps by more than SAME_FACE_IOU. Two people of whom some views make
        a single find are two things if TWO_MIN_VIEWS see them apart; finds of both at once then belong to neither.
    """
    order = surest_first(finds)
    groups = []
    while order.size:
        same = same_thing(finds.boxes[order[:1]], finds.boxes[order])[0]
        same[0] = True
        groups += _parted(finds, order[same])
        order = order[~same]
    return groups


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
