"""Checks whether people can still be recognised in results: which faces are compared, and what follows from that.

A picture is uint8 [H, W, 3] in BGR. A `FaceRecogniser` finds, embeds and describes faces; nothing here depends on which
one it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..geometry.drawn_faces import part_search
from ..geometry.face_search import SearchPlan, search_plan, second_search_plan
from ..geometry.faces import UNDECIDED, Decisions, Detection, Face, in_stable_order
from .collapse import PROBE_FACE, SAME_EVERYWHERE, all_alike, probes
from .comparison import Unit, largest_cosine, nearby_alignments, unit_of
from .decided import decided_verdicts, joined, with_drawn_seen
from .matching import Appearance, face_change, frame_of, match_again, measurable, part_of, status_of
from .operating_point import Thresholds, ThresholdSource, judge_similarity
from .unhandled import unhandled_verdicts
from .verdict import FaceVerdict, Status

Picture = NDArray[np.uint8]
SAME_NETWORK = 0.9
"""Magnitude of the cosine at or above which two recognisers' embeddings of one face come from the same network.
Embeddings of two networks are unrelated; those of one network in two number formats agree to 0.99."""


class FaceRecogniser(Protocol):
    """Finds, embeds and describes faces."""

    @property
    def provider(self) -> str:
        """The execution provider that runs the networks, for reports."""
        ...

    @property
    def threshold(self) -> float:
        """Lowest score of a face."""
        ...

    def search(
        self, picture: Picture, det_size: int, plan: SearchPlan = search_plan, *, faint: bool = False
    ) -> list[Detection]:
        """All faces of a picture, in its pixels; `det_size` is the detector's input side in pixels.

        With `faint`, also what scores less than the threshold and might be a face that was seen before.
        """
        ...

    def embedding(self, picture: Picture, detection: Detection) -> NDArray[np.float64]:
        """A face's embedding, float64 [D] of any length; not finite if the face cannot be embedded."""
        ...

    def rescaled(self) -> FaceRecogniser | None:
        """The same recogniser with its input scaled in the other usual way; None if there is only one way."""
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
        return largest_cosine(original.units, there, None if found is None else (found.before, found.after))

    def similarity_of_crop(self, original: Original, result: Picture, det_size: int) -> float | None:
        """How similar the face of a changed crop still is to the original's; other faces in the crop are ignored.

        Args:
            original: the face in the original's crop.
            result: the changed crop, of the same size.
            det_size: side of the detector's input, pixels.

        Returns:
            Cosine in [-1, 1]; None if the face is unmeasurable.
        """
        found, [match] = match_again([original.face], *self._search(result, det_size, search_plan))
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
        decisions: Decisions = UNDECIDED,
        here: Decisions = UNDECIDED,
        to_cover: Sequence[Detection] = (),
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

        Raises:
            ValueError: the checker has the guide's recogniser.
        """
        plan = second_search_plan if second_search else search_plan
        seen, faint = self._search(result, det_size, plan)
        closer = part_search(self.recogniser.search, det_size)
        sure = in_stable_order(with_drawn_seen(seen, decisions.drawn_faces, closer, result))
        # Matched in one go, because a find belongs to one person at most.
        found, all_matches = match_again([*faces, *left_out, *to_cover], sure, faint)
        matches, kept = all_matches[: len(faces)], all_matches[len(faces) : len(faces) + len(left_out)]
        doubtful = all_matches[len(faces) + len(left_out) :]
        owners = {match: number for number, match in enumerate(matches) if match is not None}
        places = [
            (face,) if match is None else (face, found[match]) for face, match in zip(faces, matches, strict=True)
        ]
        parts = {}
        for number in set(range(len(found))) - set(all_matches):
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
        unhandled = unhandled_verdicts(
            [found[number] for number in strangers],
            [number in kept for number in strangers],
            to_cover,
            [None if match is None else strangers.index(match) for match in doubtful],
        )
        verdicts += decided_verdicts(unhandled, here, joined(decisions, here), left_out)
        return CheckedPicture(tuple(verdicts), tuple(before.unit for before in befores), tuple(finds))

    def _search(self, picture: Picture, det_size: int, plan: SearchPlan) -> tuple[list[Detection], list[Detection]]:
        """The faces of a picture, and what might be a face that was seen before."""
        found = in_stable_order(self.recogniser.search(picture, det_size, plan, faint=True))
        sure = [face for face in found if face.score >= self.recogniser.threshold]
        return sure, [face for face in found if face.score < self.recogniser.threshold]

    def _find(self, original: Picture, result: Picture, face: Detection, owner: int, was_to_change: bool) -> Find:
        if not measurable(face):
            return Find(face, None, None, owner, was_to_change)
        return Find(face, self._unit(result, face), self._unit(original, face), owner, was_to_change)

    def _unit(self, picture: Picture, face: Detection) -> Unit | None:
        return unit_of(self.recogniser.embedding(picture, face))

    def _status(self, original: Original, result: Picture, found: Find | None) -> tuple[float | None, Status, str]:
        """Similarity (None if unmeasurable), status and reason."""
        similarity = self.similarity(original, result, found)
        # What was never clearly a face need not be one in the result.
        seen = found is not None or original.face.doubtful
        status, reason = status_of(similarity, seen, self.threshold)
        return None if status == "unmeasurable" else similarity, status, reason

    def _same_head(
        self, original: Picture, result: Picture, face: Detection, places: Sequence[Sequence[Detection]]
    ) -> Find | None:
        """The find as one of a changed face, if it shows a part of it or is drawn too wide around it.

        None if it may be somebody else: the original shows the same person there.
        """
        owner = part_of(face, places)
        whole = owner is None
        if owner is None:
            owner = frame_of(face, places)
        if owner is None:
            return None
        find = self._find(original, result, face, owner, True)
        # Around a face there may be room for somebody, who has to be compared.
        if whole and (find.before is None or find.after is None):
            return None
        return find if self._changed(find) else None

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
