"""Whether people can still be recognised in results: whom each face is compared with, and what follows from it.

A picture is uint8 [H, W, 3] in BGR. Who finds, embeds and describes faces is a `FaceRecogniser`; nothing here depends
on which one that is.
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
"""Cosine, of either sign, at or above which two recognisers' embeddings of one face come from one network. Those of two
networks have nothing to do with one another, and those of one network in two number formats are alike to 0.99."""


class FaceRecogniser(Protocol):
    """Who checks."""

    @property
    def provider(self) -> str:
        """What the networks are computed on, for reports."""
        ...

    def search(self, picture: Picture, det_size: int, plan: SearchPlan = search_plan) -> list[Detection]:
        """All faces of a picture, in pixels of it; `det_size` in pixels, see `search_plan`."""
        ...

    def embedding(self, picture: Picture, detection: Detection) -> NDArray[np.float64]:
        """Whose face it is, float64 [512] of any length; not finite if that cannot be told."""
        ...

    def appearance(self, picture: Picture, detection: Detection) -> Appearance:
        """Age, sex and pose."""
        ...


@dataclass(frozen=True, eq=False)
class Original:
    """A face before, as `Checker.original` embedded it.

    Attributes:
        picture: that it is in.
        face: where.
        units: one for each of `nearby_alignments`; None where there is no embedding, and empty if the face cannot be
            measured.
    """

    picture: Picture = field(repr=False)
    face: Detection
    units: tuple[Unit | None, ...] = field(repr=False)

    @property
    def unit(self) -> Unit | None:
        """As the detector aligned it; None if there is no embedding."""
        return self.units[0] if self.units else None


@dataclass(frozen=True, eq=False)
class Find:
    """A face that was found in a result.

    Attributes:
        face: where.
        after: whose it is, None if that cannot be told.
        before: who was at its place in the original, None if that cannot be told.
        owner: number of the `FaceVerdict` of its picture that it belongs to.
        was_to_change: whether it stands at the place of a face that was to be changed.
    """

    face: Detection
    after: Unit | None = field(repr=False)
    before: Unit | None = field(repr=False)
    owner: int
    was_to_change: bool

    def shows(self, person: Unit | None, threshold: float) -> float | None:
        """Whether somebody who was at another place, or in another picture, is shown here.

        Somebody may have been moved, or results may have been exchanged. Who looked like that person before already
        and was not to be changed is another person, and does not count.

        Args:
            person: who was to be changed.
            threshold: see `judge_similarity`.

        Returns:
            The cosine if so, else None.
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
    """One picture and its result.

    Attributes:
        verdicts: of the faces that were to be changed, in their order, then of what else was found.
        people: who was to be changed, in their order; None for who cannot be told.
        finds: in the result.
    """

    verdicts: tuple[FaceVerdict, ...]
    people: tuple[Unit | None, ...] = field(repr=False)
    finds: tuple[Find, ...]


@dataclass(frozen=True, eq=False)
class Checker:
    """A recogniser that checks.

    Attributes:
        recogniser: finds, embeds and describes faces.
        threshold: of two faces at one place, see `judge_similarity`.
        measured: of two faces anywhere: the recogniser's own, not lowered. There are many pairs of those, and each is
            compared at one alignment.
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
        """Embed a face before; once, however many results it is compared with.

        Args:
            picture: it is in.
            face: of it.

        Raises:
            ValueError: the guide said the same of this face: whatever file it comes from, it is the same recogniser.
        """
        if not measurable(face):
            return Original(picture, face, ())
        units = tuple(self._unit(picture, near) for near in nearby_alignments(face))
        if isinstance(face, Face) and units[0] is not None and abs(units[0] @ face.embedding.numpy()) >= SAME_NETWORK:
            raise ValueError(not_another(self.name, self.guide))
        return Original(picture, face, units)

    def similarity(self, original: Original, result: Picture, found: Find | None) -> float | None:
        """How much a face of the result is still the original's.

        Detectors err, and an error in aligning lowers the cosine. So both pictures are aligned by the original's
        landmarks and by places near them, and by the landmarks that were found in the result: whoever was at that
        place before. The largest cosine counts.

        Args:
            original: the face before.
            result: the picture after, of the same size.
            found: the same face there, or None.

        Returns:
            Cosine in [-1, 1]; None if nothing can be measured: a face is too small, its landmarks are degenerate, or
            an embedding has no direction or is not finite.
        """
        if not original.units or not (found is None or measurable(found.face)):
            return None
        there = [self._unit(result, near) for near in nearby_alignments(original.face)]
        pairs = list(zip(original.units, there, strict=True))
        if found is not None:
            pairs += [(original.unit, found.after), (found.before, found.after)]
        cosines = [float(a @ b) for a, b in pairs if a is not None and b is not None]
        # One face that cannot be embedded might have been the one that tells.
        return max(cosines) if len(cosines) == len(pairs) else None

    def similarity_of_crop(self, original: Original, result: Picture, det_size: int) -> float | None:
        """How much the one face of a changed crop is still the original's; nothing else of it is looked at.

        Args:
            original: the face in the crop before.
            result: the crop after, of the same size.
            det_size: pixels, see `search_plan`.

        Returns:
            Cosine in [-1, 1]; None if it is no answer, see `status_of`.
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
        """What has become of every face of one picture, among those of this picture; see also `compare_pictures`.

        Args:
            original: the picture before.
            faces: of it, those that were to be changed.
            result: the picture after, of the same size.
            det_size: pixels, see `search_plan`.
            second_search: whether the result gets the views of `second_search_plan`.
            left_out: faces of the original that were found and not to be changed.

        Raises:
            ValueError: see `original`.
        """
        plan = second_search_plan if second_search else search_plan
        found = in_stable_order(self.recogniser.search(result, det_size, plan))
        # Together: one find is one person's.
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
        """The similarity if it is an answer, and what `status_of` says."""
        similarity = self.similarity(original, result, found)
        status, reason = status_of(similarity, found is not None, self.threshold)
        return None if status == "unmeasurable" else similarity, status, reason

    def _verdict(self, before: Original, result: Picture, number: int, finds: Sequence[Find]) -> FaceVerdict:
        """Of the face with this number, by what was found at its place and elsewhere in its picture."""
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
    """The verdicts of a batch, with everybody looked for in the results of all other pictures too.

    Results may come in another order than their originals, or be made of another picture. A face that shows somebody
    who was to be changed in another picture is recognisable, whoever was at its place before.

    Args:
        checked: the batch.
        threshold: of two faces anywhere, see `Checker.measured`.

    Returns:
        Of each picture its verdicts, in their order.
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
    """The same, but it shows a person of the picture with this number."""
    if verdict.similarity is not None and verdict.similarity >= cosine and verdict.status == "recognisable":
        return verdict
    return replace(
        verdict,
        status="recognisable",
        similarity=cosine if verdict.similarity is None else max(cosine, verdict.similarity),
        reason=f"shows a person of image {number + 1}, another picture of the batch",
    )


def not_another(name: str, guide: str) -> str:
    """What to say of a checker that has the guide's recogniser."""
    return (
        f'the checker "{name}" has the very recogniser that guided ("{guide}"), which can only say that it was '
        "followed; choose a pack or file with another recogniser"
    )
