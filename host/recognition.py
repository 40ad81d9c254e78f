"""A second recogniser that says whether a person can still be recognised: opening it, its threshold, and its use.

A picture is uint8 [H, W, 3] in BGR, as InsightFace takes it. A judge that guided cannot judge: a recogniser whose file
is the one that made the guiding embeddings is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import folder_paths
import numpy as np
from numpy.typing import NDArray

from ..reverse_personalization.face_search import search_plan, second_search_plan
from ..reverse_personalization.faces import Detection, Face, in_stable_order
from ..reverse_personalization.matching import match_faces, measurable, nearby_alignments, status_of, what_was_kept
from ..reverse_personalization.operating_point import CAUTIOUS_THRESHOLD, checking_threshold, pack_threshold
from ..reverse_personalization.verdict import FaceVerdict, Status
from .face_packs import (
    EXPECTED_RECOGNISER,
    available_providers,
    classify,
    find_pack,
    installed_packs,
    open_model,
)
from .insight import FacePack, load_pack
from .model_folders import INSIGHTFACE_FOLDER
from .model_hashes import file_sha256

DEFAULT_CHECKER = "antelopev2"
"""InsightFace's other published pack: its recogniser is neither buffalo_l's nor trained on the same pictures."""


SAME_NETWORK = 0.9
"""Cosine, of either sign, from which on two recognisers' embeddings of one face are one network's: two networks' have
nothing to do with one another, and one network's in other number formats are alike to 0.99."""


@dataclass(frozen=True, eq=False)
class Original:
    """A face before, as `Checker.original` embedded it.

    Attributes:
        picture: that it is in.
        face: where.
        units: float64 [512] of unit length, one for each of `nearby_alignments`; None where there is no embedding, and
            empty if the face cannot be measured.
    """

    picture: NDArray[np.uint8]
    face: Detection
    units: tuple[NDArray[np.float64] | None, ...]


@dataclass(frozen=True, eq=False)
class Checker:
    """An open recogniser that checks, with what it finds faces and describes them by.

    Attributes:
        pack: its recogniser checks; its other models are its own, else those of the pack that guided.
        threshold: cosine from which on two faces at one place count as one person's.
        measured: the same of two faces anywhere: the recogniser's own, not lowered. There are many pairs of those, and
            each is compared at one alignment.
        name: of the pack, or of the recogniser's file.
        guide: name of the pack whose embeddings guided.
        model_hashes: sha256 of the files that are used of this pack and of the one that guided, by "PACK: FILE".
    """

    pack: FacePack
    threshold: float
    measured: float
    name: str
    guide: str
    model_hashes: dict[str, str] = field(default_factory=dict)

    def original(self, picture: NDArray[np.uint8], face: Detection) -> Original:
        """Embed a face before; once, however many results it is compared with.

        Args:
            picture: it is in.
            face: of it.

        Raises:
            ValueError: the guide said the same of this face: whatever file it comes from, it is the same recogniser.
        """
        if not measurable(face):
            return Original(picture, face, ())
        units = self._units(picture, face)
        if isinstance(face, Face) and units[0] is not None and abs(units[0] @ face.embedding.numpy()) > SAME_NETWORK:
            raise ValueError(_not_another(self.name, self.guide))
        return Original(picture, face, units)

    def similarity(self, original: Original, result: NDArray[np.uint8], found: Detection | None) -> float | None:
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
        if not original.units or not (found is None or measurable(found)):
            return None
        pairs = list(zip(original.units, self._units(result, original.face), strict=True))
        if found is not None:
            after = self._unit(result, found)
            pairs += [(original.units[0], after), (self._unit(original.picture, found), after)]
        cosines = [float(a @ b) for a, b in pairs if a is not None and b is not None]
        # One face that cannot be embedded might have been the one that tells.
        return max(cosines) if len(cosines) == len(pairs) else None

    def _units(self, picture: NDArray[np.uint8], face: Detection) -> tuple[NDArray[np.float64] | None, ...]:
        return tuple(self._unit(picture, near) for near in nearby_alignments(face))

    def _unit(self, picture: NDArray[np.uint8], face: Detection) -> NDArray[np.float64] | None:
        embedding = self.pack.embedding(picture, face)
        norm = float(np.linalg.norm(embedding))
        return embedding / norm if np.isfinite(norm) and norm > 0 else None

    def similarity_of_crop(self, original: Original, result: NDArray[np.uint8], det_size: int) -> float | None:
        """How much the one face of a changed crop is still the original's; nothing else of it is looked at.

        Args:
            original: the face in the crop before.
            result: the crop after, of the same size.
            det_size: pixels, see `search_plan`.

        Returns:
            Cosine in [-1, 1]; None if it is no answer, see `status_of`.
        """
        finds = in_stable_order(self.pack.search(result, det_size, search_plan))
        [match] = match_faces([original.face], finds)
        return self._status(original, result, None if match is None else finds[match])[0]

    def check(
        self,
        original: NDArray[np.uint8],
        faces: Sequence[Detection],
        result: NDArray[np.uint8],
        det_size: int,
        second_search: bool,
        left_out: Sequence[Detection] = (),
    ) -> tuple[FaceVerdict, ...]:
        """What has become of every face of one picture.

        Args:
            original: the picture before.
            faces: of it, those that were to be changed.
            result: the picture after, of the same size.
            det_size: pixels, see `search_plan`.
            second_search: whether the result gets the looks of `second_search_plan`.
            left_out: faces of the original that were found and not to be changed.

        Returns:
            `faces` in their order, then what was found in the result and belongs to none of them.
        """
        plan = second_search_plan if second_search else search_plan
        finds = in_stable_order(self.pack.search(result, det_size, plan))
        # Together: one find is one person's.
        all_matches = match_faces([*faces, *left_out], finds)
        matches, others_matches = all_matches[: len(faces)], all_matches[len(faces) :]
        befores = [self.original(original, face) for face in faces]
        elsewhere = self._elsewhere(befores, original, result, finds, matches)
        verdicts = [
            self._verdict(before, result, None if match is None else finds[match], others)
            for before, match, others in zip(befores, matches, elsewhere, strict=True)
        ]
        unhandled = [
            FaceVerdict(
                status="unhandled",
                boxes=(find.box,),
                landmarks=(find.landmarks,),
                reason="a face that was not to be changed" if number in others_matches else "nobody found it before",
                left_out=number in others_matches,
            )
            for number, find in enumerate(finds)
            if number not in matches
        ]
        return (*verdicts, *unhandled)

    def _status(
        self, original: Original, result: NDArray[np.uint8], found: Detection | None
    ) -> tuple[float | None, Status, str]:
        """The similarity if it is an answer, and what `status_of` says."""
        similarity = self.similarity(original, result, found)
        status, reason = status_of(similarity, found is not None, self.threshold)
        return None if status == "unmeasurable" else similarity, status, reason

    def _elsewhere(
        self,
        befores: Sequence[Original],
        original: NDArray[np.uint8],
        result: NDArray[np.uint8],
        finds: Sequence[Detection],
        matches: Sequence[int | None],
    ) -> list[list[tuple[float, Detection]]]:
        """For each face before, the finds in the result that show its person at another place, with their cosines.

        Somebody may have been moved, or changed places with a neighbour. Who looked like that person before already is
        another one, and does not count.
        """
        there = [find if measurable(find) else None for find in finds]
        after = [None if find is None else self._unit(result, find) for find in there]
        already = [None if find is None else self._unit(original, find) for find in there]
        found: list[list[tuple[float, Detection]]] = []
        for before, match in zip(befores, matches, strict=True):
            person = before.units[0] if before.units else None
            found.append([])
            for number, (find, unit, same) in enumerate(zip(finds, after, already, strict=True)):
                if number == match or person is None or unit is None:
                    continue
                cosine = float(person @ unit)
                if cosine >= self.measured and (same is None or float(person @ same) < self.measured):
                    found[-1].append((cosine, find))
        return found

    def _verdict(
        self,
        before: Original,
        result: NDArray[np.uint8],
        found: Detection | None,
        elsewhere: Sequence[tuple[float, Detection]],
    ) -> FaceVerdict:
        original, face = before.picture, before.face
        similarity, status, reason = self._status(before, result, found)
        places = [face] if found is None else [face, found]
        kept = None
        if found is not None and similarity is not None:
            kept = what_was_kept(face, found, self.pack.appearance(original, face), self.pack.appearance(result, found))
        if elsewhere:
            cosines, others = zip(*elsewhere, strict=True)
            similarity = max(cosines if similarity is None else (similarity, *cosines))
            status, reason = "recognisable", "shown at another place"
            places += others
        return FaceVerdict(
            status=status,
            boxes=tuple(place.box for place in places),
            landmarks=tuple(place.landmarks for place in places),
            similarity=similarity,
            kept=kept,
            reason=reason,
        )


def checker_names() -> list[str]:
    """What `open_checker` opens: installed packs, and recognisers' files beside their folders.

    `DEFAULT_CHECKER` is among them even where it is not installed: executing says what is missing and where.
    """
    files = {file.name for folder in _models_folders() for file in folder.glob("*.onnx") if file.is_file()}
    return sorted({DEFAULT_CHECKER, *installed_packs()}) + sorted(files)


def open_checker(name: str, provider: str, threshold: float, det_threshold: float, guide: str) -> Checker:
    """Open a recogniser that checks.

    Args:
        name: as `checker_names` lists it: a pack's folder, or an ONNX file of a recogniser of 112x112 crops with 512
            outputs, which finds faces by the guide's detector.
        provider: see `choose_providers`.
        threshold: cosine from which on two faces count as one person's; 0 takes the pack's own (see
            `checking_threshold`), which a single file has not.
        det_threshold: lowest score of a face, in [0, 1].
        guide: name of the pack whose embeddings guided (`Faces.model_pack`).

    Raises:
        FileNotFoundError: see `load_pack`; the file is missing.
        RuntimeError: see `load_pack`.
        ValueError: a threshold is not in [0, 1], the file is no such recogniser, it is the guide's own, or see
            `load_pack` and `checking_threshold`.
    """
    if not 0 <= threshold <= 1:
        raise ValueError(
            f"the threshold is {threshold:g}; expected a cosine from 0 to 1, or 0 for what was measured for the checker"
        )
    guiding = load_pack(guide, provider, det_threshold)
    own_threshold = measured = CAUTIOUS_THRESHOLD
    if name.endswith(".onnx"):
        pack = replace(guiding, name=name, **_single_recogniser(name, provider))
    else:
        pack = guiding if name == guide else load_pack(name, provider, det_threshold)
        own_threshold, measured = checking_threshold(find_pack(name)), pack_threshold(find_pack(name))
    if _hash(pack.recogniser) == _hash(guiding.recogniser):
        raise ValueError(_not_another(name, guide))
    hashes = {
        f"{one.name}: {Path(model.model_file).name}": _hash(model)
        for one in (guiding, pack)
        for model in (one.recogniser, one.detector, one.genderage, one.landmarker)
        if model is not None
    }
    pack = replace(
        pack,
        genderage=pack.genderage or guiding.genderage,
        landmarker=pack.landmarker or guiding.landmarker,
    )
    return Checker(
        pack=pack,
        threshold=threshold or own_threshold,
        measured=threshold or measured,
        name=name,
        guide=guide,
        model_hashes=hashes,
    )


def _not_another(name: str, guide: str) -> str:
    return (
        f'the checker "{name}" has the very recogniser that guided ("{guide}"), which can only say that it was '
        "followed; choose a pack or file with another recogniser"
    )


def _single_recogniser(name: str, provider: str) -> dict[str, Any]:
    """The fields of `FacePack` that a recogniser's own file replaces."""
    searched = _models_folders()
    file = next((folder / name for folder in searched if (folder / name).is_file()), None)
    if file is None:
        folders = "\n".join(f"  {folder}" for folder in searched)
        raise FileNotFoundError(f'the recogniser "{name}" is not there. Searched:\n{folders}')
    model = open_model(file, available_providers(provider))
    kind, found = classify(model)
    if kind != "recognition":
        raise ValueError(f"{file} is no recogniser that can check ({found}); expected {EXPECTED_RECOGNISER}")
    return {"recogniser": model, "provider": model.session.get_providers()[0]}


def _models_folders() -> list[Path]:
    return [Path(root, "models") for root in folder_paths.get_folder_paths(INSIGHTFACE_FOLDER)]


def _hash(model: Any) -> str:
    return file_sha256(model.model_file)
