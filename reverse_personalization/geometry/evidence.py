"""How much a find counts: what all looks at a picture say of it together.

A detector with a low threshold, shown a picture in dozens of views, takes something for a face in nearly every picture.
The best of sixty scores therefore says little. A real face is seen by nearly every view that shows it at a size that
the detector knows, and again when it is shown from close up; a thing that only resembles a face is seen by a few.

Boxes are float [F, 5] arrays: x0, y0, x1, y1 in pixels of the picture, and the score in [0, 1].
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .boxes import intersection_over_union, longer_sides
from .closer_looks import MATCHES_CLOSER, Look, LookWithout, closer_views, of_closer_looks
from .face_search import View
from .faces import Detection, Landmarks
from .finds import (
    MIN_VISIBLE,
    Finds,
    at_a_place_of,
    fragments,
    landmark_scatter,
    landmarks_agree,
    other_landmarks,
    surest_first,
    turned_otherwise,
    visible_fraction,
)
from .nested import (
    HAIR_DOUBT,
    HAIR_MAX_SIDE,
    LEFT_WITHOUT_FACE,
    finds_astride,
    finds_on_heads,
    frames_of_faces,
    nested_finds,
    parts_of_faces,
)
from .things import things

LOOK_SCORE = 0.1
"""Score from which one look counts as having seen something; below it nearly every point of a picture would."""

FAINT = 0.5
"""Fraction of the threshold from which a find is a face where there was one before (SAME_PLACE_IOU)."""

DOUBT = 0.15
"""A find whose score is less than this above the threshold may be something else than a face."""

VISIBLE_PIXELS = 10.0
"""Smallest longer side, in detector pixels, of a face that a view can be expected to see."""

VISIBLE_FRACTION = 0.6
"""Largest longer side of a face that a view can be expected to see, as a fraction of the detector's square."""

TURNED_DISCOUNT = 0.08
"""Subtracted from what turned views say: most people are upright, and most things that pass for a face are not."""

RIVAL_MIN_MEAN_RATIO = 0.96
"""Nobody can say how a face is turned if other views see it turned otherwise with a mean score of at least this
fraction. Of 128 rendered faces that were placed rightly it was at most 0.93 if they were tilted by up to 30 degrees; of
one that was placed wrongly, by 97 degrees, 1.01."""

SCATTERED = 0.04
"""Scatter of landmarks (`finds.landmark_scatter`) from which nobody can say where those of a face are that scores less
than CLEAR above the threshold. Of 268 rendered faces within 45 degrees of yaw and 30 of roll, two scattered more, and
none of them scored so little; of nine whose landmarks were wrong by 0.15 of the face, seven scattered more."""

CLEAR = 0.2
"""A face that scores this much above the threshold is where the surest view sees it."""

RIVAL_MAX_SECOND_RATIO = 0.8
"""A detector that sees a face in every quarter turn, each time as if it were upright, says nothing by that: views count
against a face's turn only if those in all other quarter turns see it with less than this fraction of their mean."""

CERTAIN = 0.65
"""From this evidence of the views on, a find is a face without a closer look."""

HOPELESS = 0.1
"""Below this evidence of the views, a closer look is not worth its time."""

LONE_DISCOUNT = 0.25
"""Subtracted from the surest single look before it counts by itself: a face that fills the picture, half turned away
and in patterned light, scored 0.59 once and less than 0.25 in all other looks."""


def able(box: NDArray[Any], views: Sequence[View], height: int, width: int) -> NDArray[np.bool_]:
    """Tell which views could see a face in this place: all of it, at a size that the detector knows.

    Args:
        box: [4 or more], x0, y0, x1, y1.
        views: of the picture.
        height: of the picture, pixels.
        width: of the picture, pixels.

    Returns:
        [V].
    """
    x0, y0, x1, y1 = box[:4]
    side = max(x1 - x0, y1 - y0)
    result = []
    for view in views:
        shown = side * view.scale(height, width)
        whole = True
        if view.tile is not None:
            left, top, right, bottom = view.tile
            whole = x0 >= left and y0 >= top and x1 <= right and y1 <= bottom
        result.append(whole and VISIBLE_PIXELS <= shown <= VISIBLE_FRACTION * view.size)
    return np.array(result, bool)


def of_views(
    finds: Finds, members: NDArray[np.intp], views: Sequence[View], height: int, width: int
) -> tuple[float, float]:
    """What the views say of one thing.

    Args:
        finds: of all views.
        members: numbers of the thing's finds, its surest first.
        views: of the picture.
        height: of the picture, pixels.
        width: of the picture, pixels.

    Returns:
        The mean score, 0 where a view saw nothing, over the views that could see it in the quarter turn in which it is
        seen best; and the surest score. Both are less TURNED_DISCOUNT where the views are turned. If no view could be
        expected to see it, the surest score stands for the mean.
    """
    turned = np.array([view.turns != 0 for view in views])
    seen = np.maximum(_scores(finds, members, len(views)) - TURNED_DISCOUNT * turned, 0)
    surest = float(seen.max())
    could = able(finds.boxes[members[0]], views, height, width)
    return max(_means_by_turn(seen, views, could), default=surest), surest


def turned_clearly(finds: Finds, members: NDArray[np.intp], views: Sequence[View], height: int, width: int) -> bool:
    """Whether the views agree on how a face is turned: those in other quarter turns do not see it turned otherwise.

    Args:
        finds: of all views.
        members: numbers of the face's finds, its surest first.
        views: of the picture.
        height: of the picture, pixels.
        width: of the picture, pixels.

    Returns:
        False if the views of a single quarter turn (RIVAL_MAX_SECOND_RATIO) see it turned otherwise
        (`finds.turned_otherwise`) than its surest find, with a mean score of at least RIVAL_MIN_MEAN_RATIO of the mean
        of those that agree with that find.
    """
    otherwise = turned_otherwise(finds.landmarks[members], finds.landmarks[members[0]])
    could = able(finds.boxes[members[0]], views, height, width)
    agreed, rivals = (
        sorted([0.0, 0.0, *_means_by_turn(_scores(finds, members[which], len(views)), views, could)])
        for which in (~otherwise, otherwise)
    )
    second, rival = rivals[-2:]
    as_sure = rival > 0 and rival >= RIVAL_MIN_MEAN_RATIO * agreed[-1]
    return not (as_sure and second < RIVAL_MAX_SECOND_RATIO * rival)


def _scores(finds: Finds, members: NDArray[np.intp], views: int) -> NDArray[Any]:
    """The best score that each view gives these finds, [V]; 0 where it made none of them."""
    seen = np.zeros(views)
    np.maximum.at(seen, finds.views[members], finds.boxes[members, 4])
    return seen


def _means_by_turn(scores: NDArray[Any], views: Sequence[View], could: NDArray[np.bool_]) -> list[float]:
    """The mean score of the views in each quarter turn that could see a face."""
    turns = np.array([view.turns for view in views])
    return [float(scores[could & (turns == turn)].mean()) for turn in np.unique(turns[could])]


def faces_among(
    finds: Finds,
    views: Sequence[View],
    look_closer: Look,
    look_without: LookWithout,
    height: int,
    width: int,
    *,
    threshold: float,
    before: Sequence[Detection] = (),
    fixed_size: int | None = None,
) -> list[Detection]:
    """The faces among the finds of all views of a picture.

    Args:
        finds: of all views.
        views: of the picture.
        look_closer: for closer looks at what leaves doubt.
        look_without: for closer looks at what may be drawn too wide around a face.
        height: of the picture, pixels.
        width: of the picture, pixels.
        threshold: score of a face; less than DOUBT above it, a find is doubtful.
        before: faces that were in the picture before it was changed; where one was, FAINT of the threshold is enough.
        fixed_size: the only size that the detector's file accepts, or None if it accepts any.

    Returns:
        In pixels of the picture, each face once, from its surest view; the highest score comes first.
    """
    kept = visible_fraction(finds.boxes, height, width) >= MIN_VISIBLE
    kept &= ~fragments(finds.boxes, finds.views, finds.cut)
    finds = finds.only(kept)
    scores: list[float] = []
    chosen: list[int] = []
    closers: list[float | None] = []
    clear: list[bool] = []
    elsewhere: list[Landmarks] = []
    for members in things(finds):
        box = finds.boxes[members[0]]
        again = at_a_place_of(box, before)
        lowest = threshold * FAINT if again else threshold
        seen, surest = of_views(finds, members, views, height, width)
        closer = None
        if HOPELESS <= seen < CERTAIN:
            looks = closer_views(box, views[finds.views[members[0]]].turns, height, width, fixed_size)
            others = finds.boxes[chosen]
            closer = of_closer_looks(box, looks, look_closer, others, partial(_may_reach, lowest, seen, surest))
        sure = score(seen, closer, surest)
        if sure >= lowest:
            scores.append(sure)
            chosen.append(int(members[0]))
            closers.append(closer)
            scattered = (
                sure < threshold + CLEAR
                and landmark_scatter(finds.boxes[members], finds.landmarks[members]) > SCATTERED
            )
            clear.append(not scattered and turned_clearly(finds, members, views, height, width))
            elsewhere.append(other_landmarks(finds.boxes[members], finds.landmarks[members]))
    agree = np.array(landmarks_agree(finds.rated, finds.landmarks, chosen), bool) & np.array(clear, bool)
    found = [
        Detection(
            box=tuple(finds.boxes[number, :4].tolist()),
            landmarks=tuple((x, y) for x, y in finds.landmarks[number].tolist()),
            score=sure,
            landmarks_agree=bool(agreed),
            doubtful=sure < threshold + DOUBT,
            other_landmarks=others,
        )
        for number, sure, agreed, others in zip(chosen, scores, agree, elsewhere, strict=True)
    ]
    boxes, ratings = finds.boxes[chosen], np.array(scores)
    sides = longer_sides(boxes)
    known = np.array([not face.doubtful for face in found], bool)
    certain = ratings >= CERTAIN
    dropped = parts_of_faces(boxes, ratings, known, certain) | nested_finds(boxes, ratings, known, height, width)
    # A group may be surer than a doubtful face, and so may be an ear, but the faces that they are made of are surer.
    dropped |= nested_finds(boxes, ratings, certain, height, width)
    landmarks, on_heads = finds.landmarks[chosen], finds_on_heads(boxes, ratings, certain)
    astride = finds_astride(boxes, landmarks, ratings, certain)
    for number, faces in [*frames_of_faces(boxes, ratings, known).items(), *astride.items(), *on_heads.items()]:
        if not dropped[number]:
            looks = closer_views(boxes[number], views[finds.views[chosen[number]]].turns, height, width, fixed_size)
            without = partial(look_without, [found[face] for face in faces])
            least = threshold
            # What passes for a face on or around a head seldom passes for an upright one; nor does hair for one nearly
            # as large as its face.
            askew = turned_otherwise(landmarks[faces], landmarks[number]).all()
            if askew or (number in on_heads and sides[number] <= HAIR_MAX_SIDE * sides[faces].max()):
                least += HAIR_DOUBT
            elif number in on_heads:
                closer = closers[number]
                least = min(least, LEFT_WITHOUT_FACE * (scores[number] if closer is None else closer))
            dropped[number] = of_closer_looks(boxes[number], looks, without, boxes[faces]) < least
    kept_faces = [face for face, drop in zip(found, dropped, strict=True) if not drop]
    return sorted(kept_faces, key=lambda face: -face.score)


def found_again(finds: Finds, looks: int, before: Detection, threshold: float) -> Detection | None:
    """A face found again at its place, from closer looks at that place alone.

    Args:
        finds: of the looks (`closer_views` of the face's box), in pixels of the picture.
        looks: how many there were.
        before: the face before it was changed.
        threshold: score of a face.

    Returns:
        The face from its surest look, with the mean score of all looks; None if that is less than FAINT of the
        threshold.
    """
    here = finds.only(intersection_over_union(np.array([before.box]), finds.boxes)[0] >= MATCHES_CLOSER)
    seen = np.zeros(looks)
    np.maximum.at(seen, here.views, here.boxes[:, 4])
    mean = float(seen.mean())
    if not len(here) or mean < FAINT * threshold:
        return None
    surest = int(surest_first(here)[0])
    [agree] = landmarks_agree(here.boxes, here.landmarks, [surest])
    return Detection(
        box=tuple(here.boxes[surest, :4].tolist()),
        landmarks=tuple((x, y) for x, y in here.landmarks[surest].tolist()),
        score=mean,
        landmarks_agree=agree,
        doubtful=mean < threshold + DOUBT,
    )


def _may_reach(lowest: float, views: float, surest: float, closer: float) -> bool:
    """Whether a find still reaches the lowest score if closer looks say this of it."""
    return score(views, closer, surest) >= lowest


def score(views: float, closer: float | None, surest: float) -> float:
    """How sure it is that a find is a face, in [0, 1].

    Args:
        views: what the views say (`of_views`).
        closer: what closer looks say, None if there were none because the views left no doubt.
        surest: score of the surest single view.
    """
    together = views if closer is None else (views + closer) / 2
    return min(max(together, surest - LONE_DISCOUNT, 0.0), 1.0)
