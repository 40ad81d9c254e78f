"""Checks whether people can still be recognised in results: which faces are compared, and what follows from that.

A picture is uint8 [H, W, 3] in BGR. A `FaceRecogniser` finds, embeds and describes faces; nothing here depends on which
one it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..geometry.face_search import SearchPlan, search_plan, second_search_plan
from ..geometry.faces import Detection, Face, in_stable_order
from .matching import Appearance, face_change, match_faces, measurable, nearby_alignments, status_of
from .operating_point import judge_similarity
from .verdict import FaceVerdict, Status

Picture = NDArray[np.uint8]
Unit = NDArray[np.float64]
"""An embedding [512] of unit length."""

SAME_NETWORK = 0.9
"""Magnitude of the cosine at or above which two recognisers' embeddings of one face come from the same network.
Embeddings of two networks are unrelated; those of one network in two number formats agree to 0.99."""


class FaceRecogniser(Protocol):
    """Finds, embeds and describes faces."""

    @property
    def provider(self) -> str:
        """The execution provider that runs the networks, for reports."""
        ...

    def search(self, picture: Picture, det_size: int, plan: SearchPlan = search_plan) -> list[Detection]:
        """All faces of a picture, in its pixels; `det_size` is the detector's input side in pixels."""
        ...

    def embedding(self, picture: Picture, detection: Detection) -> NDArray[np.float64]:
        """A face's embedding, float64 [512] of any length; not finite if the face cannot be embedded."""
        ...

    def appearance(self, picture: Picture, detection: Detection) -> Appearance:
        """A face's apparent age, sex and pose."""
        ...


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


@dataclass(frozen=True, eq=False)
class Checker:
    """Checks results with a recogniser other than the guide's.

    Attributes:
        recogniser: finds, embeds and describes faces.
        threshold: cosine at or above which two faces at one place are one person's.
        measured: the same for two faces at different places: the recogniser's own threshold, not lowered, because there
            are many such pairs and each is compared at one alignment only.
        name: of the recogniser's pack or file.
        guide: name of the pack whose embeddings guided.
        model_hashes: sha256 of the files that took part, by "PACK: FILE".
    """

    recogniser: FaceRecogniser
    threshold: float
    measured: float
    name: str
    guide: str
    model_hashes: dict[str, str] = field(default_factory=dict)

    def original(self, picture: Picture, face: Detection) -> Original:
        """Embed a face of the original, once for all results that it is compared with.

        Args:
            picture: the original.
            face: one of its faces.

        Raises:
            ValueError: the guide's embedding of this face is the same, so both are the same recogniser, whatever the
                file names.
        """
        if not measurable(face):
            return Original(picture, face, ())
        units = tuple(self._unit(picture, near) for near in nearby_alignments(face))
        if isinstance(face, Face) and units[0] is not None and abs(units[0] @ face.embedding.numpy()) >= SAME_NETWORK:
            raise ValueError(same_recogniser(self.name, self.guide))
        return Original(picture, face, units)

    def similarity(self, original: Original, result: Picture, found: Find | None) -> float | None:
        """How similar a face of the result still is to the original's.

        Detectors err, and an alignment error lowers the cosine. So both pictures are aligned by the original's
        landmarks, by landmarks near them, and by those found in the result. The largest cosine counts.

        Args:
            original: the face of the original.
            result: the result, of the same size as the original.
            found: the same face in the result, or None if it was not found.

        Returns:
            Cosine in [-1, 1]; None if nothing can be measured: a face is too small, its landmarks are degenerate, or
            an embedding is zero or not finite.
        """
        if not original.units or not (found is None or measurable(found.face)):
            return None
        there = [self._unit(result, near) for near in nearby_alignments(original.face)]
        pairs = list(zip(original.units, there, strict=True))
        if found is not None:
            pairs += [(original.unit, found.after), (found.before, found.after)]
        cosines = [float(a @ b) for a, b in pairs if a is not None and b is not None]
        # A pair that cannot be measured might have been the one that gives the person away.
        return max(cosines) if len(cosines) == len(pairs) else None

    def similarity_of_crop(self, original: Original, result: Picture, det_size: int) -> float | None:
        """How similar the face of a changed crop still is to the original's; other faces in the crop are ignored.

        Args:
            original: the face in the original's crop.
            result: the changed crop, of the same size.
            det_size: side of the detector's input, pixels.

        Returns:
            Cosine in [-1, 1]; None if the face is unmeasurable.
        """
        found = in_stable_order(self.recogniser.search(result, det_size, search_plan))
        [match] = match_faces([original.face], found)
        at_its_place = None if match is None else self._find(original.picture, result, found[match], 0, True)
        return self._status(original, result, at_its_place)[0]

    def check(
        self,
        original: Picture,
        faces: Sequence[Detection],
        result: Picture,
        det_size: int,
        second_search: bool,
        left_out: Sequence[Detection] = (),
    ) -> CheckedPicture:
        """Check every face of one result against the people of its original.

        `compare_pictures` then compares it with the people of the batch's other pictures.

        Args:
            original: the picture before the change.
            faces: its faces that were to be changed.
            result: the picture after the change, of the same size.
            det_size: side of the detector's input, pixels.
            second_search: whether to search the result in the views of `second_search_plan`.
            left_out: faces of the original that were found and were not to be changed.

        Raises:
            ValueError: the checker has the guide's recogniser.
        """
        plan = second_search_plan if second_search else search_plan
        found = in_stable_order(self.recogniser.search(result, det_size, plan))
        # Matched in one go, because a find belongs to one person at most.
        all_matches = match_faces([*faces, *left_out], found)
        matches, others_matches = all_matches[: len(faces)], all_matches[len(faces) :]
        owners = {match: number for number, match in enumerate(matches) if match is not None}
        strangers = [number for number in range(len(found)) if number not in owners]
        owners |= {number: len(faces) + place for place, number in enumerate(strangers)}
        finds = [
            self._find(original, result, face, owners[number], owners[number] < len(faces))
            for number, face in enumerate(found)
        ]
        befores = [self.original(original, face) for face in faces]
        verdicts = [self._verdict(before, result, number, finds) for number, before in enumerate(befores)]
        verdicts += [
            FaceVerdict(
                status="unhandled",
                boxes=(found[number].box,),
                landmarks=(found[number].landmarks,),
                reason="a face that was not to be changed" if number in others_matches else "nobody found it before",
                left_out=number in others_matches,
                found=None if number in others_matches else found[number],
            )
            for number in strangers
        ]
        return CheckedPicture(tuple(verdicts), tuple(before.unit for before in befores), tuple(finds))

    def _find(self, original: Picture, result: Picture, face: Detection, owner: int, was_to_change: bool) -> Find:
        if not measurable(face):
            return Find(face, None, None, owner, was_to_change)
        return Find(face, self._unit(result, face), self._unit(original, face), owner, was_to_change)

    def _unit(self, picture: Picture, face: Detection) -> Unit | None:
        embedding = self.recogniser.embedding(picture, face)
        norm = float(np.linalg.norm(embedding))
        return embedding / norm if np.isfinite(norm) and norm > 0 else None

    def _status(self, original: Original, result: Picture, found: Find | None) -> tuple[float | None, Status, str]:
        """Similarity (None if unmeasurable), status and reason."""
        similarity = self.similarity(original, result, found)
        status, reason = status_of(similarity, found is not None, self.threshold)
        return None if status == "unmeasurable" else similarity, status, reason

    def _verdict(self, before: Original, result: Picture, number: int, finds: Sequence[Find]) -> FaceVerdict:
        """The verdict on the face with this number, from the finds at its place and elsewhere in its picture."""
        at_its_place = next((find for find in finds if find.owner == number), None)
        similarity, status, reason = self._status(before, result, at_its_place)
        places, change = [before.face], None
        if at_its_place is not None:
            places.append(at_its_place.face)
            if similarity is not None:
                change = face_change(
                    before.face,
                    at_its_place.face,
                    self.recogniser.appearance(before.picture, before.face),
                    self.recogniser.appearance(result, at_its_place.face),
                )
        shown = {find: find.shows(before.unit, self.measured) for find in finds if find is not at_its_place}
        elsewhere = {find: cosine for find, cosine in shown.items() if cosine is not None}
        if elsewhere:
            similarity = max(elsewhere.values()) if similarity is None else max(similarity, *elsewhere.values())
            status, reason = "recognisable", "shown at another place"
            places += [find.face for find in elsewhere]
        return FaceVerdict(
            status=status,
            boxes=tuple(place.box for place in places),
            landmarks=tuple(place.landmarks for place in places),
            similarity=similarity,
            change=change,
            reason=reason,
        )


def compare_pictures(checked: Sequence[CheckedPicture], threshold: float) -> list[tuple[FaceVerdict, ...]]:
    """The verdicts of a batch, after everybody was also sought in the results of all other pictures.

    Results may come in another order than their originals, or be made from another picture. A face that shows somebody
    who was to be changed in another picture is recognisable, whoever was at its place before.

    Args:
        checked: the batch.
        threshold: cosine at or above which two faces at different places are one person's (`Checker.measured`).

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


def same_recogniser(name: str, guide: str) -> str:
    """The message for a checker that has the guide's recogniser."""
    return (
        f'the checker "{name}" has the same recogniser as the guide ("{guide}"), so it would only confirm that the '
        "guidance worked; choose a pack or file with another recogniser"
    )
