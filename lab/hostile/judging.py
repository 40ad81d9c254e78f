"""Judges the result for every face that was drawn, from the saved file and the renderer's ground truth."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from harness.in_process import part
from lab.render.portrait import portrait
from miniature.layout import FACE_PACK

from .cases import Case
from .files import leaks, read_saved
from .finds import Find, Stranger, match_in_turn, strangers
from .photographs import Photograph
from .pipeline import Item, Run

GALLERY_SIDE = 256
"""Side in pixels of the second picture drawn of each person."""

COVERED = 0.9
"""Least share of a face's visible part that a cover must hide for the face to count as covered."""

SEEN = 0.5
"""Least share of a face that must be visible, not hidden by a person or cut off by the border, for it to be due."""

NEAR = 0.5
"""Nobody is where a pixel lies outside every drawn head, enlarged by this fraction."""

DETECTION_THRESHOLD = 0.1


class Cosines(NamedTuple):
    """Cosines between a picture of a person and the results; None where there is no result.

    Attributes:
        first: result of the first scale alone.
        retried: result after retries, before any cover.
        saved: saved file.
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
        seen: share that is visible, not hidden by a person or cut off by the border.
        found: the search that found it, "first" or "second"; "" if both missed it.
        status: its status in the verdict; "" if the verdict does not list it.
        under_cover: whether it was anonymised, and hidden because covers of other faces hid much of it.
        scales: scales that the retry tried, in order.
        hidden: share under a cover.
        before: cosine of the original and another picture of the person; None if nothing was saved.
        same: cosines between the results and the same place in the original.
        other: cosines between the results and that other picture.
        recognisable: whether `same.saved` is at or above the judge's threshold.
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
    under_cover: bool = False
    scales: tuple[float, ...] = ()

    @property
    def bare(self) -> bool:
        """Whether it was anonymised, and is seen."""
        return self.status == "anonymised" and not self.under_cover and self.hidden < COVERED

    @property
    def unprotected(self) -> bool:
        """Whether the face was found, saved without a cover, and is still recognisable."""
        return bool(self.found) and self.recognisable and self.hidden < COVERED

    @property
    def unhandled(self) -> bool:
        """Whether the face was saved after both searches missed it, although enough of it was visible."""
        return not self.found and self.same.saved is not None and self.seen >= SEEN


@dataclass(frozen=True)
class PhotoRecord:
    """One photograph.

    Attributes:
        case: number of the case.
        kind: of the case.
        outcome: "saved", "blocked" (an error, nothing saved), "refused" (an error, as expected), "accepted" (saved
            despite an expected error) or "lost" (neither a file nor an error).
        error: error of the run.
        faces: every face that was drawn.
        strangers: faces in the verdict that were not drawn.
        pixels: of a saved photograph.
        false_pixels: pixels that are hidden where nobody is.
        reasons: why each cover was laid and over whom.
        evaluations: of the denoiser, each latent counted.
        outside: pixels that changed outside both masks.
        rim: number of pixels just inside the mask's rim.
        seam: sum over the rim of the mean absolute change at scale 0, in 1/255.
        leaks: secrets in the saved file.
        seconds: duration of the run.
        processor_seconds: CPU time of the process, drawing and judging included.
    """

    case: int
    kind: str
    outcome: str
    error: str = ""
    faces: tuple[FaceRecord, ...] = ()
    strangers: tuple[Stranger, ...] = ()
    pixels: int = 0
    false_pixels: int = 0
    reasons: tuple[str, ...] = ()
    evaluations: float = 0.0
    outside: int = 0
    rim: int = 0
    seam: float = 0.0
    leaks: tuple[str, ...] = ()
    seconds: float = 0.0
    processor_seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """Convert the record to types that `json` can write."""
        return asdict(self)

    @classmethod
    def of_json(cls, stored: dict[str, Any]) -> PhotoRecord:
        """Restore a record from the output of `as_json`."""
        faces = tuple(
            FaceRecord(
                **{
                    **face,
                    "same": Cosines(*face["same"]),
                    "other": Cosines(*face["other"]),
                    "scales": tuple(face["scales"]),
                }
            )
            for face in stored["faces"]
        )
        lists = {name: tuple(stored[name]) for name in ("leaks", "reasons")}
        strangers = tuple(Stranger(*one) for one in stored["strangers"])
        return cls(**{**stored, **lists, "faces": faces, "strangers": strangers})


@dataclass(eq=False)
class Judge:
    """A recogniser that is told by the renderer where the faces are.

    Attributes:
        name: name of its pack.
    """

    name: str
    _gallery: dict[int, NDArray[np.float64]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        recognition = part("host.checker")
        self._pack = recognition.open_checker(self.name, "CPU", 0.0, DETECTION_THRESHOLD, FACE_PACK.name).recogniser
        folder = part("host.face_packs").find_pack(self.name)
        self.threshold = part("reverse_personalization.assurance.operating_point").pack_threshold(folder)
        self._detection = part("reverse_personalization.geometry.faces").Detection
        self._place_cover = part("reverse_personalization.geometry.cover_outline").place_cover

    def judge(self, case: Case, run: Run) -> list[PhotoRecord]:
        """Return the records of a case's photographs, without times."""
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
            raise ValueError("a picture was saved, but the host did not keep its masks")
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
                    under_cover=number is not None and verdicts[number].under_cover,
                    scales=() if number is None else tuple(step.scale for step in verdicts[number].retries),
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
        scores = [
            *(face.score for face in handled),
            *(face.found and face.found.score for face in verdicts[len(handled) :]),
        ]
        return {
            "faces": tuple(faces),
            "strangers": strangers(finds, scores, matches, len(handled), self._heads(photograph, cover.shape, 0.0)),
            "pixels": cover.size,
            "false_pixels": int((cover & ~self._heads(photograph, cover.shape, NEAR)).sum()),
            "reasons": tuple(
                reason_of(before, after, "a drawn face" if number in matches else "nobody drawn")
                for number, (before, after) in enumerate(zip(item.checked.images[row], verdicts, strict=True))
                if after.method
            ),
            "outside": outside(original, saved, changed | cover),
            "rim": rim,
            "seam": seam,
        }

    def _heads(self, photograph: Photograph, shape: tuple[int, int], grow: float) -> NDArray[np.bool_]:
        """Where heads were drawn: what covers of them would hide, so much larger than the heads; bool [H, W]."""
        mask = np.zeros(shape, bool)
        for face in photograph.faces:
            cover = self._place_cover([face.box], [face.landmarks.tolist()], *shape, grow)
            mask[cover.rows, cover.columns] |= cover.mask
        return mask

    def similarity(self, before: NDArray[np.uint8], after: NDArray[np.uint8], landmarks: NDArray[np.float64]) -> float:
        """Return the cosine between the same place in two pictures [H, W, C]."""
        return float(self._unit(before, landmarks) @ self._unit(after, landmarks))

    def _known(self, identity: int) -> NDArray[np.float64]:
        """Embed another picture of the person, in another light and pose."""
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
    """Convert a picture [H, W, C] in [0, 1] to the 8-bit levels it would be saved with."""
    return (image.float().clamp(0, 1) * 255).round().to(torch.uint8).numpy()


def outside(original: NDArray[np.uint8], saved: NDArray[np.uint8], changed: NDArray[np.bool_]) -> int:
    """Count the pixels that differ outside the mask, or differ in alpha anywhere."""
    if original.shape != saved.shape:
        return int(np.prod(original.shape[:2]))
    differs = original != saved
    colours = differs[..., :3].any(-1) & ~changed
    return int((colours | differs[..., 3:].any(-1)).sum())


def at_the_rim(mask: NDArray[np.bool_], original: torch.Tensor, unchanged: torch.Tensor) -> tuple[int, float]:
    """Measure the seam around pasted faces.

    Args:
        mask: [H, W], mask of Paste Faces.
        original: [H, W, C] in [0, 1].
        unchanged: result of scale 0, [H, W, C] in [0, 1].

    Returns:
        Pixels just inside the mask's rim, and the sum of their changes in 1/255.
    """
    edge = np.pad(mask, 1, mode="edge")
    surrounded = edge[:-2, 1:-1] & edge[2:, 1:-1] & edge[1:-1, :-2] & edge[1:-1, 2:]
    rim = mask & ~surrounded
    change = (unchanged - original).abs()[..., :3].mean(-1).numpy() * 255
    return int(rim.sum()), float(change[rim].sum())


def reason_of(checked: Any, after: Any, whose: str) -> str:
    """Why a face was covered, and whose it is.

    Args:
        checked: its FaceVerdict before the covers.
        after: its FaceVerdict after them.
        whose: words for the face.
    """
    return f"{after.said if after.under_cover else ': '.join(filter(None, (checked.status, checked.reason)))} ({whose})"


def _drawn(photograph: Photograph) -> tuple[FaceRecord, ...]:
    return tuple(
        FaceRecord(face.size, face.yaw, face.roll, face.visible * face.inside, found="") for face in photograph.faces
    )


def _cosine(one: NDArray[np.float64] | None, other: NDArray[np.float64] | None) -> float | None:
    return None if one is None or other is None else float(one @ other)
