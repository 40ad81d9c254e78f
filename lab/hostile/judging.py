"""Judges what became of every face that was drawn, from the saved file and from what the renderer knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from harness.in_process import part
from lab.boxes import intersection_over_union
from lab.render.portrait import portrait
from miniature.layout import FACE_PACK

from .cases import Case
from .files import leaks, read_saved
from .photographs import Photograph, TrueFace
from .pipeline import Item, Run

GALLERY_SIDE = 256
"""Side in pixels of the other picture that is drawn of everybody."""

MATCHED = 0.4
"""Least intersection over union of a found box and a face that belong together, as in the pack
(`finds.SAME_FACE_IOU`): a box below it may show hair or a neighbour."""

ALIKE = 0.15
"""Largest mean distance between the landmarks of a find and its face, in units of the face's longer side.

If half of a face is hidden, the box of its visible part cannot share more than half with the true one."""

COVERED = 0.9
"""Least share of a face's visible part under a cover for it to count as covered."""

SEEN = 0.5
"""Least share of a face, hidden by nobody and no border, for which it must be found."""

DETECTION_THRESHOLD = 0.1


class Cosines(NamedTuple):
    """Cosines of one picture of a person with what was made of them; None where there is nothing.

    Attributes:
        first: after the first scale alone.
        retried: after the retry, before any cover.
        saved: in the file.
    """

    first: float | None = None
    retried: float | None = None
    saved: float | None = None


NONE = Cosines()


@dataclass(frozen=True)
class FaceRecord:
    """One face that was drawn.

    Attributes:
        size: pixels.
        yaw: degrees.
        roll: degrees.
        seen: share of it that nobody and no border hides.
        found: which search found it, "first", "second" or "".
        status: in the verdict; "" if the face is not in it.
        hidden: share of it under a cover.
        before: cosine of the original and another picture of the person; None if nothing was saved.
        same: cosines of the results and the same place in the original.
        other: cosines of the results and that other picture.
        recognisable: whether `same.saved` reaches the judge's threshold.
    """

    size: float
    yaw: float
    roll: float
    seen: float
    found: str
    status: str = ""
    hidden: float = 0.0
    before: float | None = None
    same: Cosines = NONE
    other: Cosines = NONE
    recognisable: bool = False

    @property
    def unprotected(self) -> bool:
        """Whether it was found, was saved without a cover, and is still recognisable."""
        return bool(self.found) and self.recognisable and self.hidden < COVERED

    @property
    def unhandled(self) -> bool:
        """Whether it was saved and both searches had missed it, although enough of it was visible."""
        return not self.found and self.same.saved is not None and self.seen >= SEEN


@dataclass(frozen=True)
class PhotoRecord:
    """One photograph.

    Attributes:
        case: its number.
        kind: of the case.
        outcome: "saved", "blocked" (an error, nothing saved), "refused" (an error that was right), "accepted" (saved
            where an error would have been right) or "lost" (neither a file nor an error).
        error: of the run.
        faces: everybody who was drawn.
        false_finds: faces in the verdict that nobody drew.
        outside: pixels that changed outside of both masks.
        rim: pixels just inside the mask's rim.
        seam: sum over these of the mean absolute change at scale 0, in 1/255.
        leaks: secrets in what was saved.
        seconds: of the run.
        processor_seconds: that the process computed for it, drawing and judging included.
    """

    case: int
    kind: str
    outcome: str
    error: str = ""
    faces: tuple[FaceRecord, ...] = ()
    false_finds: int = 0
    outside: int = 0
    rim: int = 0
    seam: float = 0.0
    leaks: tuple[str, ...] = ()
    seconds: float = 0.0
    processor_seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """The record in types that `json` can write."""
        return asdict(self)

    @classmethod
    def of_json(cls, stored: dict[str, Any]) -> PhotoRecord:
        """The record that `as_json` returned `stored` for."""
        faces = tuple(
            FaceRecord(**{**face, "same": Cosines(*face["same"]), "other": Cosines(*face["other"])})
            for face in stored["faces"]
        )
        return cls(**{**stored, "faces": faces, "leaks": tuple(stored["leaks"])})


@dataclass(eq=False)
class Judge:
    """A recogniser that knows from the renderer where the faces are.

    Attributes:
        name: its pack's name.
    """

    name: str
    _gallery: dict[int, NDArray[np.float64]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        recognition = part("host.checker")
        self._pack = recognition.open_checker(self.name, "CPU", 0.0, DETECTION_THRESHOLD, FACE_PACK.name).recogniser
        folder = part("host.face_packs").find_pack(self.name)
        self.threshold = part("reverse_personalization.assurance.operating_point").pack_threshold(folder)
        self._detection = part("reverse_personalization.geometry.faces").Detection

    def judge(self, case: Case, run: Run) -> list[PhotoRecord]:
        """Records of a case's photographs, without the times."""
        leaked = tuple(sorted({word for file in run.files for word in leaks(file)}))
        common: dict[str, Any] = {"case": case.number, "kind": case.kind, "error": run.error, "leaks": leaked}
        if case.refused:
            outcome = "accepted" if run.files else "refused" if run.error else "lost"
            return [PhotoRecord(**common, outcome=outcome)]
        pictures: list[tuple[Item | None, int]] = [
            (item, row) for item in run.items for row in range(len(item.original))
        ]
        pictures += [(None, 0)] * (len(case.photographs) - len(pictures))
        records = []
        for photograph, (item, row) in zip(case.photographs, pictures, strict=True):
            if item is None or not item.saved:
                outcome = "blocked" if run.error else "lost"
                records.append(PhotoRecord(**common, outcome=outcome, faces=_drawn(photograph)))
            else:
                records.append(PhotoRecord(**common, outcome="saved", **self._saved(photograph, item, row)))
        return records

    def _saved(self, photograph: Photograph, item: Item, row: int) -> dict[str, Any]:
        if item.changed is None or item.cover is None:
            raise ValueError("a picture was saved whose masks the host did not keep")
        original = levels(item.original[row])
        saved = read_saved(item.saved[row])
        changed, cover = item.changed[row].numpy() > 0, item.cover[row].numpy() > 0
        verdicts = item.verdict.images[row]
        handled = item.faces.images[row]
        finds = [Find(face.boxes[0], np.array(face.landmarks[0])) for face in verdicts]
        matches = match_in_turn(photograph.faces, finds, len(handled))
        made_of = (item.first, item.retried)
        results = [*(None if one is None else levels(one[row]) for one in made_of), saved]
        faces = []
        for face, number in zip(photograph.faces, matches, strict=True):
            found = "" if number is None else "first" if number < len(handled) else "second"
            before, known = self._embedding(original, face.landmarks), self._known(face.identity)
            made = [self._embedding(one, face.landmarks) for one in results]
            same = Cosines(*(_cosine(before, one) for one in made))
            faces.append(
                FaceRecord(
                    size=face.size,
                    yaw=face.yaw,
                    roll=face.roll,
                    seen=face.visible * face.inside,
                    found=found,
                    status="" if number is None else verdicts[number].status,
                    hidden=float(cover[face.mask].mean()),
                    before=_cosine(known, before),
                    same=same,
                    other=Cosines(*(_cosine(known, one) for one in made)),
                    recognisable=same.saved is not None and same.saved >= self.threshold,
                )
            )
        rim, seam = (0, 0.0)
        if item.unchanged is not None:
            rim, seam = at_the_rim(item.changed[row].numpy() > 0, item.original[row], item.unchanged[row])
        return {
            "faces": tuple(faces),
            "false_finds": len(finds) - sum(number is not None for number in matches),
            "outside": outside(original, saved, changed | cover),
            "rim": rim,
            "seam": seam,
        }

    def similarity(self, before: NDArray[np.uint8], after: NDArray[np.uint8], landmarks: NDArray[np.float64]) -> float:
        """Cosine of the same place in two pictures [H, W, C]."""
        return float(self._unit(before, landmarks) @ self._unit(after, landmarks))

    def _known(self, identity: int) -> NDArray[np.float64]:
        """The embedding of another picture of a person, in another light and pose."""
        if identity not in self._gallery:
            other = portrait(identity, identity, GALLERY_SIDE)
            self._gallery[identity] = self._unit(other.image, other.truth.landmarks - 0.5)
        return self._gallery[identity]

    def _embedding(
        self, picture: NDArray[np.uint8] | None, landmarks: NDArray[np.float64]
    ) -> NDArray[np.float64] | None:
        return None if picture is None else self._unit(picture, landmarks)

    def _unit(self, picture: NDArray[np.uint8], landmarks: NDArray[np.float64]) -> NDArray[np.float64]:
        rgb = np.broadcast_to(picture[..., :3], (*picture.shape[:2], 3))
        place = self._detection(box=(0.0, 0.0, 1.0, 1.0), landmarks=tuple(map(tuple, landmarks)), score=0.0)
        embedding = self._pack.embedding(np.ascontiguousarray(rgb[..., ::-1]), place)
        return embedding / np.linalg.norm(embedding)


def levels(image: torch.Tensor) -> NDArray[np.uint8]:
    """A picture [H, W, C] in [0, 1] as the 8-bit levels in which it would be saved."""
    return (image.float().clamp(0, 1) * 255).round().to(torch.uint8).numpy()


def outside(original: NDArray[np.uint8], saved: NDArray[np.uint8], changed: NDArray[np.bool_]) -> int:
    """Number of pixels that differ outside the mask, or differ in alpha."""
    if original.shape != saved.shape:
        return int(np.prod(original.shape[:2]))
    differs = original != saved
    colours = differs[..., :3].any(-1) & ~changed
    return int((colours | differs[..., 3:].any(-1)).sum())


def at_the_rim(mask: NDArray[np.bool_], original: torch.Tensor, unchanged: torch.Tensor) -> tuple[int, float]:
    """Look for a seam where a pasted face ends.

    Args:
        mask: [H, W], of Paste Faces.
        original: [H, W, C] in [0, 1].
        unchanged: the result of scale 0, likewise.

    Returns:
        Pixels just inside the mask's rim, and the sum of their changes in 1/255.
    """
    edge = np.pad(mask, 1, mode="edge")
    surrounded = edge[:-2, 1:-1] & edge[2:, 1:-1] & edge[1:-1, :-2] & edge[1:-1, 2:]
    rim = mask & ~surrounded
    change = (unchanged - original).abs()[..., :3].mean(-1).numpy() * 255
    return int(rim.sum()), float(change[rim].sum())


class Find(NamedTuple):
    """A find in a photograph: x0, y0, x1, y1, and landmarks [5, 2], pixels."""

    box: tuple[float, ...]
    landmarks: NDArray[np.float64]


def match(true: Sequence[TrueFace], found: Sequence[Find]) -> list[int | None]:
    """Match finds with faces one to one, the best first; returns the number of each face's find, or None.

    A find belongs to a face if their boxes overlap enough (MATCHED), or if their landmarks agree (ALIKE).
    """
    matches: list[int | None] = [None] * len(true)
    if not true or not found:
        return matches
    parts = intersection_over_union(np.array([face.box for face in true]), np.array([find.box for find in found]))
    points = [np.stack([one.landmarks for one in faces]) for faces in (true, found)]
    away = np.linalg.norm(points[0][:, None] - points[1][None], axis=-1).mean(-1)
    alike = away <= ALIKE * np.array([face.size for face in true])[:, None]
    parts = np.where(alike, np.maximum(parts, MATCHED), parts)
    while parts.max() >= MATCHED:
        face, number = np.unravel_index(parts.argmax(), parts.shape)
        matches[int(face)] = int(number)
        parts[face, :] = parts[:, number] = -1
    return matches


def match_in_turn(true: Sequence[TrueFace], found: Sequence[Find], handled: int) -> list[int | None]:
    """`match` everybody with the first `handled` finds, and whoever is left with the others."""
    matches = match(true, found[:handled])
    left = [face for face, number in enumerate(matches) if number is None]
    for face, number in zip(left, match([true[face] for face in left], found[handled:]), strict=True):
        matches[face] = None if number is None else handled + number
    return matches


def _drawn(photograph: Photograph) -> tuple[FaceRecord, ...]:
    return tuple(
        FaceRecord(face.size, face.yaw, face.roll, face.visible * face.inside, found="") for face in photograph.faces
    )


def _cosine(one: NDArray[np.float64] | None, other: NDArray[np.float64] | None) -> float | None:
    return None if one is None or other is None else float(one @ other)
