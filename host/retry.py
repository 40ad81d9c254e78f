"""The retry in ComfyUI: its inputs are checked, and faces generated and judged at one scale after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import comfy.model_management
import comfy.utils
import torch
from comfy.model_patcher import ModelPatcher
from torch import Tensor

from ..reverse_personalization.assurance.checking import Checker
from ..reverse_personalization.assurance.compared import Original
from ..reverse_personalization.assurance.operating_point import judge_similarity
from ..reverse_personalization.assurance.retry import PASTING_MARGIN, PLACED_MARGIN, Retries, retry_faces
from ..reverse_personalization.geometry.close_up import CloseUp, close_up
from ..reverse_personalization.geometry.compositing import DEFAULT_FEATHER, paste_
from ..reverse_personalization.geometry.cropping import EMPTY_LEVEL
from ..reverse_personalization.geometry.faces import Face, Faces
from ..reverse_personalization.geometry.placement import Placements
from ..reverse_personalization.method.guidance import DEFAULT_TOWARDS, IdentityGuidance
from ..reverse_personalization.method.target import IdentityTarget, TargetUse
from ..reverse_personalization.method.trajectory import Conditioning, NoiseTrajectory
from .edit import Editor, replay_rows
from .insight import to_picture
from .progress import say_progress
from .purifying import Purifier, purified_photograph
from .rows import select_rows
from .sampling import Callback

Regenerate = Callable[[Sequence[int], Faces, IdentityGuidance, Callback], Tensor]
"""(numbers of latents from 0, their faces, guidance with their texts, callback) -> latents [R, C, h, w]. Values that
are not finite are not an error: the retry goes on to the next scale."""


class Finished(NamedTuple):
    """A photograph with all its crops pasted.

    Attributes:
        rows: numbers of the faces from 0.
        photograph: before, float [H, W, C] in [0, 1].
        result: after, likewise.
        faces: in pixels of the photograph, in the order of `rows`.
    """

    rows: list[int]
    photograph: Tensor
    result: Tensor
    faces: list[Face]


@dataclass(frozen=True, eq=False)
class RetryTask:
    """What is generated at several scales.

    Attributes:
        regenerate: makes latents.
        latents: their shape, [B, C, h, w].
        steps: the host's callbacks of one run of `regenerate`.
        vae: ComfyUI's VAE.
        faces: one for each latent.
        crops: float [B, H, W, C], what was encoded.
        attributes: text of the branch without identity, one for all or one for each; None takes the inversion's.
        identity_scale: factor of the embeddings.
        source: text of the branch with the identity, one for all or one for each; None takes the inversion's.
        photographs: float [P, H, W, C] that the crops are from, to judge a face where it will be pasted; or None.
        placements: of the crops in the photographs, or None.
        purifier: makes a purified copy of each face, which has to be anonymised as well; None for none.
        target: whom to draw the faces towards, or None.
        towards: how strongly.

    Raises:
        ValueError: there is not one crop for each latent, one face for each crop or one placement for each face, the
            sizes differ, or one of photographs and placements is missing.
    """

    regenerate: Regenerate
    latents: Sequence[int]
    steps: int
    vae: Any
    faces: Faces = field(repr=False)
    crops: Tensor = field(repr=False)
    attributes: Conditioning | None = field(repr=False)
    identity_scale: float
    source: Conditioning | None = field(repr=False)
    photographs: Tensor | None = field(default=None, repr=False)
    placements: Placements | None = None
    purifier: Purifier | None = None
    target: IdentityTarget | None = None
    towards: float = DEFAULT_TOWARDS

    @property
    def target_use(self) -> TargetUse | None:
        """What may be said about the target; None without one."""
        return None if self.target is None else self.target.use(self.towards)

    def __post_init__(self) -> None:
        check_crops(self.latents, self.vae, self.faces, self.crops)
        if self.photographs is not None or self.placements is not None:
            self._check_placements()

    def _check_placements(self) -> None:
        if self.photographs is None or self.placements is None:
            given, missing = ("placements", "image") if self.photographs is None else ("image", "placements")
            raise ValueError(
                f"{given} is connected without {missing}; connect both, so that a face is judged in its photograph, or "
                "neither"
            )
        found = self.placements.faces
        expected, shape = (len(found.images), found.height, found.width), tuple(self.photographs.shape[:3])
        if shape != expected:
            raise ValueError(
                f"the placements are in {expected[0]} images of {expected[2]}x{expected[1]} pixels, but there are "
                f"{shape[0]} of {shape[2]}x{shape[1]}; connect the image that Crop Faces was given"
            )
        people = sum(not face.nobody for face in self.faces)
        if len(self.placements) != people:
            raise ValueError(
                f"there are {len(self.placements)} placements for {people} faces; connect the placements of the same "
                "Crop Faces node as the crops"
            )

    def generate(self, rows: Sequence[int], scale: float, callback: Callback) -> Tensor:
        """Generate some of the faces at a scale, and decode them.

        Each face keeps the noise, texts, hints and region that it has in the whole batch, so it comes out the same in
        any selection.

        Args:
            rows: numbers of faces from 0.
            scale: of the guidance.
            callback: called after each step.
        """
        batch = self.latents[0]

        def some(texts: Conditioning | None) -> Conditioning | None:
            return None if texts is None else select_rows(texts, rows, batch)

        everyone = tuple(self.faces)
        guidance = IdentityGuidance(
            scale, some(self.attributes), self.identity_scale, some(self.source), self.target, self.towards
        )
        theirs = replace(self.faces, images=tuple((everyone[row],) for row in rows))
        decoded: Tensor = self.vae.decode(self.regenerate(rows, theirs, guidance, callback))
        return decoded

    def seen(self, row: int, crop: Tensor) -> CloseUp:
        """Before, after and the face: in its photograph if that is known, else in the crop.

        Args:
            row: number of the face from 0.
            crop: generated, [H, W, 3].
        """
        if self.photographs is None or self.placements is None:
            return CloseUp(self.crops[row], crop, tuple(self.faces)[row])
        placement = self.placements.crops[row]
        return close_up(self.photographs[placement.image], self.placements, placement, crop)

    def purified(self, row: int, crop: Tensor) -> Tensor | None:
        """A purified copy of a generated crop, where the face will be; None without a purifier.

        Args:
            row: number of the face from 0.
            crop: [H, W, 3].
        """
        purifier = self._purifier_of([row])
        return None if purifier is None else self.seen(row, purifier.purified(crop[None])[0]).after

    def finished(self, crops: Sequence[Tensor | None]) -> Iterator[Finished]:
        """The photographs with all crops pasted, as Paste Faces does with its defaults; none if they are unknown.

        Args:
            crops: float [H, W, 3] of all faces; None leaves a face as it is.
        """
        if self.photographs is None or self.placements is None:
            return
        where = self.placements
        for number, photograph in enumerate(self.photographs):
            rows = [row for row, one in enumerate(where.crops) if one.image == number and crops[row] is not None]
            if not rows:
                continue
            height, width = photograph.shape[:2]
            result = photograph.float().cpu().clone()
            paste_(
                result,
                torch.zeros(height, width),
                where.areas(rows, self.crops.shape[1], height, width),
                [crop.float().cpu().numpy() for row in rows if (crop := crops[row]) is not None],
                None,
                feather=DEFAULT_FEATHER,
                grow=0.0,
                colour_match=True,
                match_grain=True,
            )
            yield Finished(rows, photograph, result, [where.face_of(where.crops[row]) for row in rows])

    def purified_photograph(self, finished: Finished) -> Tensor | None:
        """A copy of a finished photograph in which its faces are purified; None without a purifier."""
        purifier = self._purifier_of(finished.rows)
        if purifier is None or self.placements is None:
            return None
        return purified_photograph(purifier, finished.result, finished.faces, self.placements.side)

    def _purifier_of(self, rows: Sequence[int]) -> Purifier | None:
        """The purifier with the texts of some faces."""
        if self.purifier is None or self.purifier.source is None:
            return self.purifier
        return replace(self.purifier, source=select_rows(self.purifier.source, rows, self.latents[0]))


def check_crops(latents: Sequence[int], vae: Any, faces: Faces, crops: Tensor) -> None:
    """Refuse crops, faces and a VAE that do not belong to the latents.

    Args:
        latents: shape of the latents, [B, C, h, w].
        vae: ComfyUI's VAE.
        faces: of the crops.
        crops: float [B, H, W, C].

    Raises:
        ValueError: there is not one crop for each latent or one face for each crop, or the sizes differ.
    """
    count, height, width = crops.shape[:3]
    if count != latents[0]:
        raise ValueError(f"there are {count} crops for {latents[0]} latents; connect the crops that were encoded")
    in_each = [len(image) for image in faces.images]
    if in_each != [1] * count:
        raise ValueError(
            f"there are {count} crops, with {', '.join(map(str, in_each)) or 'no'} faces in them; expected one face in "
            'each crop: connect Embed Faces on the same crops, with select "largest"'
        )
    if (faces.height, faces.width) != (height, width):
        raise ValueError(
            f"the faces were found in pictures of {faces.width}x{faces.height} pixels, but the crops have "
            f"{width}x{height}; connect Embed Faces on the same crops"
        )
    scale = vae.spacial_compression_decode()
    decoded = [side * scale for side in latents[2:]]
    if decoded != [height, width]:
        raise ValueError(
            f"the crops have {width}x{height} pixels, but the latents decode to {decoded[1]}x{decoded[0]}; connect "
            f"the crops that were encoded, with sides that are multiples of {scale}"
        )


def replaying(model: ModelPatcher, trajectory: NoiseTrajectory) -> Regenerate:
    """A `Regenerate` that replays a trajectory.

    Args:
        model: that made the trajectory.
        trajectory: of B latents.
    """

    def regenerate(rows: Sequence[int], faces: Faces, guidance: IdentityGuidance, callback: Callback) -> Tensor:
        return replay_rows(
            model,
            trajectory,
            faces,
            guidance,
            rows,
            callback=callback,
            disable_pbar=not comfy.utils.PROGRESS_BAR_ENABLED,
            finite=False,
        )

    return regenerate


def editing(editor: Editor) -> Regenerate:
    """A `Regenerate` that edits in one pass.

    Args:
        editor: of B latents.
    """

    def regenerate(rows: Sequence[int], faces: Faces, guidance: IdentityGuidance, callback: Callback) -> Tensor:
        everyone = list(rows) == list(range(editor.source.batch))
        return editor.run(
            faces,
            guidance,
            None if everyone else rows,
            callback=callback,
            disable_pbar=not comfy.utils.PROGRESS_BAR_ENABLED,
            finite=False,
        )

    return regenerate


def attempt_words(rows: Sequence[int], count: int, scales: Sequence[float], scale: float) -> str:
    """Which faces are generated, and at which of the scales: "face 1, 3 of 4, scale -14 (2 of 4)".

    Args:
        rows: their numbers from 0.
        count: of all faces.
        scales: all of them.
        scale: that of this attempt.
    """
    numbers = ", ".join(str(row + 1) for row in rows)
    return f"face {numbers} of {count}, scale {scale:g} ({scales.index(scale) + 1} of {len(scales)})"


def retried(task: RetryTask, scales: Sequence[float], judge: Checker) -> tuple[Tensor, str, Retries]:
    """Generate faces at the first scale, and those still recognisable again at the next ones.

    Args:
        task: what is generated.
        scales: weakest first.
        judge: compares each crop with what was encoded.

    Returns:
        The crops, float [B, H, W, 3], on the host's intermediate device; the report; and the scales tried. Where the
        faces are all placeholders for nobody, the crops are those that were encoded.
    """
    everyone = tuple(task.faces)
    if all(face.nobody for face in everyone):
        return task.crops, "nobody to change: nothing was generated", Retries(task.faces.embeddings()[:0], ())
    progress = comfy.utils.ProgressBar(len(scales) * task.steps)
    margin = PASTING_MARGIN if task.placements is None else PLACED_MARGIN
    originals: dict[int, Original] = {}

    def similarity(row: int, crop: Tensor) -> float | None:
        comfy.model_management.throw_exception_if_processing_interrupted()
        say_progress(f"checking face {row + 1} of {len(everyone)}")
        before, after, face = task.seen(row, crop)
        if row not in originals:
            originals[row] = judge.original(to_picture(before), face)
        found = judge.similarity_of_crop(originals[row], to_picture(after))
        # In photographs, purified copies are looked at last, all of one photograph at once (`confirm`).
        placed = task.placements is not None
        if placed or found is None or judge_similarity(found + margin, judge.threshold) != "anonymised":
            return found
        copy = task.purified(row, crop)
        again = None if copy is None else judge.similarity_in_place(originals[row], to_picture(copy))
        return found if again is None else max(found, again)

    def hopeless(row: int) -> bool:
        return originals[row].unit is None

    def confirm(crops: Sequence[Tensor | None], rows: Sequence[int]) -> list[float | None]:
        seen: dict[int, float | None] = {}
        for finished in task.finished(crops):
            comfy.model_management.throw_exception_if_processing_interrupted()
            say_progress("checking all faces in their photograph")
            before, after = to_picture(finished.photograph), to_picture(finished.result)
            there = {
                row: replace(originals[row], picture=before, face=face)
                for row, face in zip(finished.rows, finished.faces, strict=True)
                if row in rows
            }
            found = {row: judge.similarity_of_crop(original, after) for row, original in there.items()}
            seen |= found
            copy = task.purified_photograph(finished)
            for row, original in there.items():
                again = None if copy is None else judge.similarity_in_place(original, to_picture(copy))
                known = found[row]
                if again is not None and known is not None:
                    seen[row] = max(known, again)
        return [seen[row] for row in rows]

    def generate(rows: Sequence[int], scale: float) -> Tensor:
        def stepped(step: int, denoised: Tensor, y: Tensor, steps: int) -> None:
            progress.update(1)
            say_progress(f"{attempt_words(rows, len(everyone), scales, scale)}, step {step + 1} of {steps}")

        return task.generate(rows, scale, stepped)

    confirming = None if task.placements is None else confirm
    outcomes = retry_faces(len(everyone), scales, generate, similarity, judge.threshold, margin, confirming, hopeless)
    progress.update_absolute(progress.total)
    say_progress(f"{sum(one.anonymised for one in outcomes)} of {len(everyone)} faces anonymised")
    report = "\n".join(
        [
            f"checked by {judge.name} on {judge.recogniser.provider}, threshold {judge.threshold:.2f}",
            *([] if task.target_use is None else [f"faces drawn {task.target_use}"]),
            *(f"face {number}: {outcome}" for number, outcome in enumerate(outcomes, start=1)),
        ]
    )
    grey = torch.full((*task.crops.shape[1:3], 3), EMPTY_LEVEL)
    result = torch.stack([grey if one.crop is None else one.crop[..., :3].float().cpu() for one in outcomes])
    retries = Retries(task.faces.embeddings(), tuple(one.retries for one in outcomes), task.target_use)
    return result.to(comfy.model_management.intermediate_device()), report, retries
