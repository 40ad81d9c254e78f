"""Faces with their embeddings, for comparisons: of the original, of a result, and of all a picture's people."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..geometry.faces import Detection
from .comparison import Unit
from .operating_point import judge_similarity
from .recogniser import Picture
from .verdict import FaceVerdict


@dataclass(frozen=True, eq=False)
class Original:
    """A face of the original, as `Checker.original` embedded it.

    Attributes:
        picture: the original.
        face: its box and landmarks.
        units: its embedding at each of the `nearby_alignments`; None where there is no embedding, and empty if the face
            cannot be measured.
    """

    picture: Picture = field(repr=False)
    face: Detection
    units: tuple[Unit | None, ...] = field(repr=False)

    @property
    def unit(self) -> Unit | None:
        """The embedding at the detector's own alignment; None if there is none."""
        return self.units[0] if self.units else None


@dataclass(frozen=True, eq=False)
class Find:
    """A face that was found in a result.

    Attributes:
        face: its box and landmarks.
        after: its embedding; None if there is none.
        before: the embedding at the same place in the original; None if there is none.
        owner: number of the `FaceVerdict` of its picture that it belongs to.
        was_to_change: whether a face that was to be changed was at its place.
    """

    face: Detection
    after: Unit | None = field(repr=False)
    before: Unit | None = field(repr=False)
    owner: int
    was_to_change: bool

    def shows(self, person: Unit | None, threshold: float) -> float | None:
        """Whether this face shows a person who was at another place or in another picture.

        A person may have been moved, or results may have been swapped. A face that was not to be changed and resembled
        the person in the original already is another person's and does not count.

        Args:
            person: embedding of the person who was to be changed.
            threshold: cosine at or above which the person is recognisable.

        Returns:
            The cosine if the person is shown, otherwise None.
        """
        if person is None or self.after is None:
            return None
        cosine = float(person @ self.after)
        if judge_similarity(cosine, threshold) != "recognisable":
            return None
        alike_before = None if self.before is None else float(person @ self.before)
        is_another = not self.was_to_change and judge_similarity(alike_before, threshold) == "recognisable"
        return None if is_another else cosine


@dataclass(frozen=True, eq=False)
class CheckedPicture:
    """The outcome of checking one result against its original.

    Attributes:
        verdicts: of the faces that were to be changed, in their order, then of all other finds.
        people: embeddings of the faces that were to be changed, in their order; None where there is none.
        finds: the faces found in the result.
    """

    verdicts: tuple[FaceVerdict, ...]
    people: tuple[Unit | None, ...] = field(repr=False)
    finds: tuple[Find, ...]
