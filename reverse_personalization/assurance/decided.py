"""How a person's decisions enter a check: who is looked for again, what is no face, and which places are covered.

A decision only ever concerns what is left beside the faces that were to be changed: nothing that a person says makes
one of those pass, and whoever should have been changed is recognisable at a place that is struck out as at any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..geometry.decisions import same_face, struck_out
from ..geometry.drawn_faces import Picture, Search, look_closer, standard_face
from ..geometry.faces import Box, Decisions, Detection
from .verdict import STRUCK_OUT, FaceVerdict

BY_A_PERSON = "by a person"
STRUCK_OUT_BY_A_PERSON = f"{STRUCK_OUT} {BY_A_PERSON}"
DRAWN_BY_A_PERSON = f"drawn {BY_A_PERSON}"


def joined(before: Decisions, here: Decisions) -> Decisions:
    """All decisions about one picture, of those who embedded its faces and of those who check it."""
    return Decisions(
        not_faces=tuple(dict.fromkeys((*before.not_faces, *here.not_faces))),
        drawn_faces=tuple(dict.fromkeys((*before.drawn_faces, *here.drawn_faces))),
    )


def in_words(decisions: Decisions) -> list[tuple[str, tuple[int, int, int, int]]]:
    """Each decision about one picture as reports name it: what a person did, and the box in whole pixels."""
    said = {STRUCK_OUT_BY_A_PERSON: decisions.not_faces, DRAWN_BY_A_PERSON: decisions.drawn_faces}
    return [
        (words, (round(x0), round(y0), round(x1), round(y1)))
        for words, boxes in said.items()
        for x0, y0, x1, y1 in boxes
    ]


def with_drawn_seen(
    found: Sequence[Detection], drawn: Sequence[Box], search: Search, picture: Picture
) -> list[Detection]:
    """Look closer where a person saw a face in the original: the search of the result may miss it as well.

    Args:
        found: faces of the result.
        drawn: boxes that a person drew in the original.
        search: see `look_closer`.
        picture: the result, uint8 [H, W, 3], BGR.

    Returns:
        The faces found, then those that only the closer look sees.
    """
    faces = list(found)
    for box in drawn:
        if not same_face(faces, [box]).any():
            closer = look_closer(search, picture, box, faces)
            faces += [closer] if closer is not None else []
    return faces


def decided_verdicts(
    unhandled: Sequence[FaceVerdict], here: Decisions, everywhere: Decisions, kept: Sequence[Detection]
) -> list[FaceVerdict]:
    """The verdicts on the faces of a result that were not to be changed, after a person's decisions.

    Args:
        unhandled: the verdicts before; a decision is about the first place of each.
        here: the decisions of those who check; each face that they draw has to be covered, and may not be kept.
        everywhere: all decisions about the picture.
        kept: the faces of the original, see `struck_out`.

    Returns:
        The same verdicts in their order, struck out or drawn, then one for each drawn face that is none of them.
    """
    finds = [Detection(box=verdict.boxes[0], landmarks=verdict.landmarks[0], score=1.0) for verdict in unhandled]
    verdicts = [
        verdict if by is None else replace(verdict, status=STRUCK_OUT, reason=BY_A_PERSON)
        for verdict, by in zip(unhandled, struck_out(finds, everywhere.not_faces, kept), strict=True)
    ]
    for box in here.drawn_faces:
        drawn = FaceVerdict("unhandled", (box,), (standard_face(box).landmarks,), reason=DRAWN_BY_A_PERSON)
        fits = same_face(finds, [box])[:, 0]
        if len(fits) and fits.max() > 0:
            number = int(fits.argmax())
            seen = verdicts[number]
            verdicts[number] = replace(
                drawn, boxes=(*drawn.boxes, *seen.boxes), landmarks=(*drawn.landmarks, *seen.landmarks)
            )
        else:
            verdicts.append(drawn)
    return verdicts
