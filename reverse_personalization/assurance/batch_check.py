"""Looks for everybody who was to be changed in all pictures of a batch, not only in their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .compared import CheckedPicture
from .verdict import FaceVerdict


def compare_pictures(checked: Sequence[CheckedPicture], threshold: float) -> list[tuple[FaceVerdict, ...]]:
    """The verdicts of a batch, after everybody was also sought in the results of all other pictures.

    Results may come in another order than their originals, or be made from another picture. A face that shows somebody
    who was to be changed in another picture is recognisable, whoever was at its place before.

    Args:
        checked: the batch.
        threshold: `Thresholds.between_places`, the cosine at or above which faces at two places are one person's.

    Returns:
        Each picture's verdicts, in their order.
    """
    compared = []
    for number, picture in enumerate(checked):
        verdicts = list(picture.verdicts)
        for find in picture.finds:
            for other_number, other in enumerate(checked):
                if other_number == number:
                    continue
                cosines = [find.shows(person, threshold) for person in other.people]
                shown = [cosine for cosine in cosines if cosine is not None]
                if shown:
                    verdicts[find.owner] = _shown_elsewhere(verdicts[find.owner], max(shown), other_number)
        compared.append(tuple(verdicts))
    return compared


def _shown_elsewhere(verdict: FaceVerdict, cosine: float, number: int) -> FaceVerdict:
    """The verdict on a face that shows a person from the picture with this number."""
    if verdict.similarity is not None and verdict.similarity >= cosine and verdict.status == "recognisable":
        return verdict
    return replace(
        verdict,
        status="recognisable",
        similarity=cosine if verdict.similarity is None else max(cosine, verdict.similarity),
        reason=f"shows a person of image {number + 1}, another picture of the batch",
    )
