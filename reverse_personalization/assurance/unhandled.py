"""The verdicts on faces of a result that were not to be changed: kept on purpose, to be covered, or missed before."""

from __future__ import annotations

from collections.abc import Sequence

from ..geometry.faces import Detection
from .verdict import FaceVerdict

LEFT_OUT = "a face that was not to be changed"
DOUBTFUL = "a doubtful find, to be covered"
NEW = "nobody found it before"


def unhandled_verdicts(
    strangers: Sequence[Detection],
    left_out: Sequence[bool],
    to_cover: Sequence[Detection],
    covered_by: Sequence[int | None],
) -> list[FaceVerdict]:
    """The verdicts on finds that belong to nobody who was to be changed.

    Args:
        strangers: these finds of the result.
        left_out: for each whether it was found in the original and not chosen to be changed.
        to_cover: doubtful finds of the original that are to be covered, whether or not they are found again.
        covered_by: for each of those the number of its find among the strangers; None if it was not found again.

    Returns:
        One for each stranger, in order, then one for each doubtful find that was not found again.
    """
    doubtful = {number: find for find, number in zip(to_cover, covered_by, strict=True) if number is not None}
    verdicts = []
    for number, face in enumerate(strangers):
        before = doubtful.get(number)
        places = (face,) if before is None else (before, face)
        reason = LEFT_OUT if left_out[number] else NEW if before is None else DOUBTFUL
        new = face if reason == NEW else None
        verdicts.append(_unhandled(places, reason, left_out=left_out[number], found=new))
    gone = [find for find, number in zip(to_cover, covered_by, strict=True) if number is None]
    return verdicts + [_unhandled((find,), DOUBTFUL) for find in gone]


def _unhandled(
    places: Sequence[Detection], reason: str, *, left_out: bool = False, found: Detection | None = None
) -> FaceVerdict:
    return FaceVerdict(
        status="unhandled",
        boxes=tuple(place.box for place in places),
        landmarks=tuple(place.landmarks for place in places),
        reason=reason,
        left_out=left_out,
        found=found,
    )
