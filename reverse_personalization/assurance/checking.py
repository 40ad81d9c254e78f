"""Checks whether people can still be recognised in results: which faces are compared, and what follows from that.

A picture is uint8 [H, W, 3] in BGR. A `FaceRecogniser` finds, embeds and describes faces; nothing here depends on which
one it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..geometry.drawn_faces import part_search
from ..geometry.face_search import SearchPlan, search_plan, second_search_plan
from ..geometry.faces import UNDECIDED, Decisions, Detection, Face, in_stable_order
from ..geometry.finds import SAME_PLACE_IOU
from ..geometry.flat_faces import without_faces
from .collapse import PROBE_FACE, SAME_EVERYWHERE, all_alike, probes
from .compared import CheckedPicture, Find, Original
from .comparison import Unit, largest_cosine, nearby_alignments, unit_of
from .decided import decided_verdicts, joined, with_drawn_seen
from .matching import (
    face_change,
    frame_of,
    least_before,
    match_again,
    measurable,
    overlap,
    part_of,
    partly_on,
    status_of,
)
from .operating_point import Thresholds, ThresholdSource, judge_similarity
from .recogniser import FaceRecogniser, Picture
from .unhandled import unhandled_verdicts
from .verdict import FaceVerdict, Status

Purify = Callable[[Sequence[int]], "Picture | None"]
"""Numbers of faces -> a copy of the result in which these are purified; None if it cannot be made."""

SAME_NETWORK = 0.9
"""Magnitude of the cosine at or above which two recognisers' embeddings of one face come from the same network.
Embeddings of two networks are unrelated; those of one network in two number formats agree to 0.99."""


@dataclass(frozen=True, eq=False)
class Checker:
    """Checks results with a recogniser other than the guide's.

    Attributes:
        recogniser: finds, embeds and describes faces.
        thresholds: when two faces count as one person's.
        name: of the recogniser's pack or file.
        guide: name of the pack whose embeddings guided.
        model_hashes: sha256 of the files that took part, by "PACK: FILE".
    """

    recogniser: FaceRecogniser
    thresholds: Thresholds
    name: str
    guide: str
    model_hashes: dict[str, str] = field(default_factory=dict)

    @property
    def threshold(self) -> float:
        """Cosine at or above which two faces at one place are one person's."""
        return self.thresholds.at_one_place

    @property
    def threshold_source(self) -> ThresholdSource:
        """Where the thresholds come from."""
        return self.thresholds.source

    @cached_property
    def _probes(self) -> list[Unit]:
        return [unit for probe in probes() if (unit := self._unit(probe, PROBE_FACE)) is not None]

    def original(self, picture: Picture, face: Detection) -> Original:
        """Embed a face of the original, once for all results that it is compared with.

        Args:
            picture: the original.
            face: one of its faces.

        Raises:
            ValueError: the guide's embedding of this face is the same, so both are the same recogniser, whatever the
                file names; or the recogniser does not tell this face from patterns that show nobody.
        """
        if not measurable(face):
            return Original(picture, face, ())
        units = tuple(self._unit(picture, near) for near in nearby_alignments(face))
        if units[0] is not None:
            if isinstance(face, Face) and same_network(units[0], face.embedding.numpy()):
                raise ValueError(same_recogniser(self.name, self.guide))
            if len(self._probes) and min(float(units[0] @ probe) for probe in self._probes) >= SAME_EVERYWHERE:
                raise ValueError(all_alike(self.name, self.recogniser, picture, face))
        return Original(picture, face, units)

    def similarity(self, original: Original, there: Sequence[Unit | None], found: Find | None) -> float | None:
        """How similar a face of the result still is to the original's.

        Detectors err, and an alignment error lowers the cosine. So both pictures are aligned by the original's
        landmarks, by landmarks near them, and by those found in the result. The largest cosine counts.

        Args:
            original: the face of the original.
            there: embeddings of the result at the alignments of `original.units`.
            found: the same face in the result, or None if it was not found.

        Returns:
            Cosine in [-1, 1]; None if nothing can be measured: a face is too small, its landmarks are degenerate, or
            an embedding is zero or not finite.
        """
        if not original.units or not (found is None or measurable(found.face)):
            return None
        return largest_cosine(original.units, there, None if found is None else (found.before, found.after))

    def similarity_of_crop(self, original: Original, result: Picture) -> float | None:
        """How similar the face of a changed crop still is to the original's; other faces in the crop are ignored.

        Args:
            original: the face in the original's crop.
            result: the changed crop, of the same size.

        Returns:
            Cosine in [-1, 1]; None if the face is unmeasurable. At or above the threshold it may be less than that of
            `check`, which also compares the faces at the place where this one is found again.
        """
        # Without the face found again the largest cosine is no larger.
        there = self._in_place(original, result)
        in_place = self.similarity(original, there, None)
        if judge_similarity(in_place, self.threshold) == "recognisable":
            return in_place
        again = self._seen_again(result, original.face)
        at_its_place = None if again is None else self._find(original.picture, result, again, 0, True)
        return self._status(original, there, at_its_place)[0]

    def check(
        self,
        original: Picture,
        faces: Sequence[Detection],
        result: Picture,
        det_size: int,
        second_search: bool,
        left_out: Sequence[Detection] = (),
        decisions: Decisions = UNDECIDED,
        here: Decisions = UNDECIDED,
        to_cover: Sequence[Detection] = (),
        purify: Purify | None = None,
    ) -> CheckedPicture:
        """Check every face of one result against the people of its original.

        `batch_check.compare_pictures` then compares it with the people of the batch's other pictures.

        Args:
            original: the picture before the change.
            faces: its faces that were to be changed.
            result: the picture after the change, of the same size.
            det_size: side of the detector's input, pixels.
            second_search: whether to search the result in the views of `second_search_plan`.
            left_out: faces of the original that were found and were not to be changed.
            decisions: of the person who chose these faces.
            here: of the person who checks, see `decided_verdicts`.
            to_cover: doubtful finds of the original that are to be covered.
            purify: makes a purified copy of the result, in which changed faces are looked at as well.

        Raises:
            ValueError: the checker has the guide's recogniser.
        """
        plan = second_search_plan if second_search else search_plan
        expected = [*faces, *left_out, *to_cover]
        seen, faint = self._search(result, det_size, plan, expected)
        closer = part_search(self.recogniser.search, det_size)
        sure = in_stable_order(with_drawn_seen(seen, decisions.drawn_faces, closer, result))
        # Matched in one go, because a find belongs to one person at most.
        found, all_matches = match_again(expected, sure, faint)
        matches, kept = all_matches[: len(faces)], all_matches[len(faces) : len(faces) + len(left_out)]
        for number, again in self._from_close_up(result, faces, [None if m is None else found[m] for m in all_matches]):
            unclear = matches[number]
            if unclear is None:
                matches[number] = len(found)
                found.append(again)
            else:
                found[unclear] = again
        doubtful = all_matches[len(faces) + len(left_out) :]
        owners = {match: number for number, match in enumerate(matches) if match is not None}
        places = [
            (face,) if match is None else (face, found[match]) for face, match in zip(faces, matches, strict=True)
        ]

        parts = {}
        for number in set(range(len(found))) - {*all_matches, *matches}:
            part = self._same_head(original, result, found[number], places)
            if part is not None:
                parts[number], owners[number] = part, part.owner
        strangers = [number for number in range(len(found)) if number not in owners]
        owners |= {number: len(faces) + place for place, number in enumerate(strangers)}
        finds = [
            parts.get(number) or self._find(original, result, face, owners[number], owners[number] < len(faces))
            for number, face in enumerate(found)
        ]
        befores = [self.original(original, face) for face in faces]
        own = [None if match is None else finds[match] for match in matches]
        verdicts = [self._verdict(*both, result, finds) for both in zip(befores, own, strict=True)]
        if purify is not None:
            verdicts = self._looked_through(befores, verdicts, purify)
        unhandled = unhandled_verdicts(
            [found[number] for number in strangers],
            [number in kept for number in strangers],
            to_cover,
            [None if match is None else strangers.index(match) for match in doubtful],
        )
        verdicts += decided_verdicts(unhandled, here, joined(decisions, here), left_out)
        return CheckedPicture(tuple(verdicts), tuple(before.unit for before in befores), tuple(finds))

    def similarity_in_place(self, original: Original, result: Picture) -> float | None:
        """How similar a face is to what is now at its place, without a search for it.

        Returns:
            Cosine in [-1, 1]; None if it cannot be measured.
        """
        return self.similarity(original, self._in_place(original, result), None)

    def _looked_through(
        self, originals: Sequence[Original], verdicts: Sequence[FaceVerdict], purify: Purify
    ) -> list[FaceVerdict]:
        """The verdicts after a look at a purified copy of the anonymised faces: the largest similarity counts."""
        result = list(verdicts)
        anonymised = [number for number, verdict in enumerate(verdicts) if verdict.status == "anonymised"]
        copy = purify(anonymised) if anonymised else None
        if copy is None:
            return result
        for number in anonymised:
            similarity = self.similarity_in_place(originals[number], copy)
            known = result[number].similarity
            if similarity is None or (known is not None and similarity <= known):
                continue
            result[number] = replace(result[number], similarity=similarity)
            if judge_similarity(similarity, self.threshold) == "recognisable":
                result[number] = replace(result[number], status="recognisable", reason="in a purified copy")
        return result

    def _search(
        self,
        picture: Picture,
        det_size: int,
        plan: SearchPlan,
        before: Sequence[Detection],
    ) -> tuple[list[Detection], list[Detection]]:
        """The faces of a picture, and what might be one of those that were there before."""
        return self._parted(in_stable_order(self.recogniser.search(picture, det_size, plan, before=before)))

    def _from_close_up(
        self, result: Picture, faces: Sequence[Detection], seen: Sequence[Detection | None]
    ) -> Iterator[tuple[int, Detection]]:
        """Faces that the search of the result did not find again clearly, but closer looks at their places do.

        Args:
            result: the picture after the change.
            faces: of the original.
            seen: what the search found again of these, in their order, and of others.

        Yields:
            The number of a face and the face in the result; what is another one's is left out.
        """
        claimed: list[Detection] = []
        for number, (face, find) in enumerate(zip(faces, seen, strict=False)):
            if find is not None and measurable(find):
                continue
            again = self._seen_again(result, face)
            others = [*claimed, *(other for other in seen if other is not None and other is not find)]
            if (
                again is not None
                and (find is None or measurable(again))
                and not any(overlap(again, other) >= SAME_PLACE_IOU for other in others)
            ):
                claimed.append(again)
                yield number, again

    def _seen_again(self, picture: Picture, face: Detection) -> Detection | None:
        """A face where there was one before, from closer looks at that place alone."""
        seen = self.recogniser.find_again(picture, face)
        found, [match] = match_again([face], *self._parted([] if seen is None else [seen]))
        return None if match is None else found[match]

    def _parted(self, found: Sequence[Detection]) -> tuple[list[Detection], list[Detection]]:
        """Finds that would be faces by themselves, and those that would not."""
        sure = [face for face in found if face.score >= self.recogniser.threshold]
        return sure, [face for face in found if face.score < self.recogniser.threshold]

    def _find(self, original: Picture, result: Picture, face: Detection, owner: int, was_to_change: bool) -> Find:
        if not measurable(face):
            return Find(face, None, None, owner, was_to_change)
        return Find(face, self._unit(result, face), self._unit(original, face), owner, was_to_change)

    def _unit(self, picture: Picture, face: Detection) -> Unit | None:
        return unit_of(self.recogniser.embedding(picture, face))

    def _in_place(self, original: Original, result: Picture) -> list[Unit | None]:
        """Embeddings of the result at the alignments at which the original's face was embedded."""
        return [self._unit(result, near) for near in nearby_alignments(original.face)] if original.units else []

    def _status(
        self, original: Original, there: Sequence[Unit | None], found: Find | None
    ) -> tuple[float | None, Status, str]:
        """Similarity (None if unmeasurable), status and reason; `there` is from `_in_place`."""
        similarity = self.similarity(original, there, found)
        # What was never clearly a face need not be one in the result.
        seen = found is not None or original.face.doubtful
        status, reason = status_of(similarity, seen, self.threshold)
        return None if status == "unmeasurable" else similarity, status, reason

    def _same_head(
        self, original: Picture, result: Picture, face: Detection, places: Sequence[Sequence[Detection]]
    ) -> Find | None:
        """The find as one of a changed face, if it shows a part of it, or is drawn too wide around it.

        None if it may be somebody else: the original shows the same person there, or a face from close up; or, around
        a face, the find is still there without the changed faces.
        """
        inside = part_of(face, places)
        if inside is not None:
            find = self._find(original, result, face, inside, True)
            if self._changed(find):
                return find
        around = frame_of(face, places)
        if around is not None:
            find = self._find(original, result, face, around, True)
            # Around a face there may be room for somebody, who has to be compared.
            compared = find.before is not None and find.after is not None
            gone = (compared and self._changed(find)) or not self._seen_again(without_faces(result, places), face)
            return find if gone else None
        on = partly_on(face, places)
        if on is None:
            return None
        # If nobody whom the search would have counted was there before, the change made what is there now.
        before = self.recogniser.find_again(original, face)
        nobody = before is None or before.score < least_before(face, places, on, self.recogniser.threshold)
        return self._find(original, result, face, on, True) if nobody else None

    def _changed(self, find: Find) -> bool:
        """Whether a find shows somebody else than the original does at its place, or nobody who could be recognised."""
        if find.before is None or find.after is None:
            return True
        cosine = float(find.before @ find.after)
        return judge_similarity(cosine, self.thresholds.at_one_place) == "anonymised"

    def _verdict(
        self, before: Original, at_its_place: Find | None, result: Picture, finds: Sequence[Find]
    ) -> FaceVerdict:
        """The verdict on a face, from the find at its place and those elsewhere in its picture."""
        similarity, status, reason = self._status(before, self._in_place(before, result), at_its_place)
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
        shown = {
            find: find.shows(before.unit, self.thresholds.between_places) for find in finds if find is not at_its_place
        }
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


def same_network(unit: Unit, guiding: NDArray[np.floating]) -> bool:
    """Whether a checker's and the guide's embedding of one face come from the same network.

    Args:
        unit: of the checker.
        guiding: of the guide, of unit length; networks whose embeddings differ in width differ.
    """
    return unit.shape == guiding.shape and bool(abs(unit @ guiding) >= SAME_NETWORK)


def same_recogniser(name: str, guide: str) -> str:
    """The message for a checker that has the guide's recogniser."""
    return (
        f'the checker "{name}" has the same recogniser as the guide ("{guide}"), so it would only confirm that the '
        "guidance worked; choose a pack or file with another recogniser"
    )
