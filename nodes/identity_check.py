"""Identity Check: say of every face of a result whether its person can still be recognised, and whether one was missed.

"No face found" is no success here: a face that cannot be measured is a face that nobody has checked.
"""

from __future__ import annotations

from dataclasses import replace

import comfy.model_management
import comfy.utils
from comfy_api.latest import io, ui
from torch import Tensor

from ..host.checker import open_checker
from ..host.insight import LEAST_SCORE
from ..host.previews import COMPARISON, comparisons, preview_files
from ..reverse_personalization.assurance.checking import compare_pictures
from ..reverse_personalization.assurance.retry import Retries
from ..reverse_personalization.assurance.verdict import FaceChange, FaceVerdict, Verdict, pixels_digest
from ..reverse_personalization.geometry.face_search import MAX_DETECTOR_SIZE, SIZE_STEP
from ..reverse_personalization.geometry.faces import Faces
from .checks import check_found_in, check_images
from .inputs import (
    DEFAULT_DETECTOR_SIZE,
    DEFAULT_PROVIDER,
    DEFAULT_THRESHOLD,
    checker_inputs,
    provider_input,
    to_picture,
)
from .sockets import CATEGORY, SEARCH_ALIASES, FacesSocket, IdentityVerdictSocket, RetriesSocket


class ReverseIdentityCheck(io.ComfyNode):
    """Originals, their REVERSE_IDENTITY_FACES and results -> REVERSE_IDENTITY_VERDICT."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs."""
        return io.Schema(
            node_id="ReverseIdentityCheck",
            display_name="Identity Check (InsightFace)",
            category=CATEGORY,
            description=(
                "Checks every face of the result with a recogniser other than the one that guided: anonymised, still "
                "recognisable, or unmeasurable, which is not a success. Also searches the result again for faces that "
                "were missed, and looks for everybody who was to be changed in all pictures of the batch. Runs on "
                "this computer and downloads nothing."
            ),
            search_aliases=[*SEARCH_ALIASES, "verify", "similarity", "re-identification", "InsightFace", "ArcFace"],
            inputs=[
                io.Image.Input("original", tooltip="The photographs before."),
                FacesSocket.Input("faces", tooltip="The originals' faces that were to be changed."),
                io.Image.Input("result", tooltip="The photographs after, of the same size and in the same order."),
                *checker_inputs(),
                provider_input(),
                io.Float.Input(
                    "det_threshold",
                    optional=True,
                    default=DEFAULT_THRESHOLD,
                    min=LEAST_SCORE,
                    max=1.0,
                    step=0.01,
                    advanced=True,
                    tooltip=(
                        "Lowest confidence of a face in the result. Low misses fewer faces and reports more things "
                        "as faces that were missed."
                    ),
                ),
                io.Int.Input(
                    "det_size",
                    optional=True,
                    default=DEFAULT_DETECTOR_SIZE,
                    min=64,
                    max=MAX_DETECTOR_SIZE,
                    step=SIZE_STEP,
                    advanced=True,
                    tooltip="Size in pixels at which faces are searched; smaller and larger ones are searched too.",
                ),
                io.Boolean.Input(
                    "second_search",
                    optional=True,
                    default=True,
                    advanced=True,
                    tooltip=(
                        "Search the result also mirrored, turned and at sizes between, for faces that the first "
                        "search missed. Off is several times faster and finds no face that was missed before."
                    ),
                ),
                RetriesSocket.Input(
                    "retries",
                    optional=True,
                    lazy=True,
                    tooltip=(
                        "From Reverse Identity Sampler with Retry: the scales that were tried on each face, for the "
                        "report that Save Anonymized Image writes. The check does not look at it."
                    ),
                ),
            ],
            outputs=[
                IdentityVerdictSocket.Output("verdict", tooltip="What became of every face, for covering and saving."),
                io.String.Output("report", tooltip="A line for each face."),
                io.Boolean.Output("passed", tooltip="Whether every face was measured and none can be recognised."),
            ],
            has_intermediate_output=True,
        )

    @classmethod
    def check_lazy_status(cls, faces: Faces, **others: object) -> list[str]:
        """Ask for the retries only if there are faces: without any nothing has to be generated."""
        return ["retries"] if len(faces) and "retries" in others and others["retries"] is None else []

    @classmethod
    def execute(
        cls,
        original: Tensor,
        faces: Faces,
        result: Tensor,
        checker: str,
        threshold: float = 0.0,
        provider: str = DEFAULT_PROVIDER,
        det_threshold: float = DEFAULT_THRESHOLD,
        det_size: int = DEFAULT_DETECTOR_SIZE,
        second_search: bool = True,
        retries: Retries | None = None,
    ) -> io.NodeOutput:
        """Check.

        Args:
            original: float [B, H, W, C] in [0, 1]; C is 1, 3, or 4 with an alpha that is ignored.
            faces: of the originals; images without faces are searched for missed ones all the same.
            result: float [B, H, W, C] in [0, 1], C likewise but not necessarily the same.
            checker: see `open_checker`.
            threshold: see `open_checker`.
            provider: see `choose_providers`.
            det_threshold: lowest score of a face in the result, in [LEAST_SCORE, 1].
            det_size: multiple of 32, in pixels.
            second_search: see `Checker.check`.
            retries: on some of these faces, for the report.

        Returns:
            `Verdict`, a report, and whether the verdict is safe.

        Raises:
            ValueError: an input does not fit another, see `check_same_pictures` and `check_found_in`; see also
                `check_images` and `open_checker`.
            FileNotFoundError: see `open_checker`; also RuntimeError from there.
            RuntimeError: the checker said nothing of one of the faces.
        """
        check_images(original, "original")
        check_images(result, "result")
        check_same_pictures(original, faces, result)
        originals = tuple(map(pixels_digest, original))
        check_found_in(faces, originals, "original")
        judge = open_checker(checker, provider, threshold, det_threshold, faces.model_pack)
        tried = iter([()] * len(faces) if retries is None else retries.of(faces.embeddings()))
        checked = []
        progress = comfy.utils.ProgressBar(len(result))
        left_out = faces.left_out or ((),) * len(faces.images)
        for before, known, others, after in zip(original, faces.images, left_out, result, strict=True):
            comfy.model_management.throw_exception_if_processing_interrupted()
            checked.append(judge.check(to_picture(before), known, to_picture(after), det_size, second_search, others))
            progress.update(1)
        images = []
        said_of_all = compare_pictures(checked, judge.measured)
        for number, (known, said) in enumerate(zip(faces.images, said_of_all, strict=True), start=1):
            if len(said) < len(known):
                raise RuntimeError(
                    f"the check of image {number} says something of {len(said)} faces, but {len(known)} were to be "
                    "changed; expected one answer for each, so nothing in this picture counts as checked: run it "
                    "again, and with another checker if that does not help"
                )
            # Who was not to be changed comes after those who were.
            changed, unhandled = said[: len(known)], said[len(known) :]
            images.append((*(replace(face, retries=next(tried)) for face in changed), *unhandled))
        verdict = Verdict(
            images=tuple(images),
            originals=originals,
            results=tuple(map(pixels_digest, result)),
            threshold=judge.threshold,
            guide=faces.model_pack,
            checker=judge.name,
            model_hashes=judge.model_hashes,
            previews=tuple(preview_files(original)),
        )
        report = describe(verdict, judge.recogniser.provider)
        shown = {COMPARISON: comparisons(verdict, result, preview_files(result))}
        return io.NodeOutput(verdict, report, verdict.safe, ui={**ui.PreviewText(report).as_dict(), **shown})


def check_same_pictures(original: Tensor, faces: Faces, result: Tensor) -> None:
    """Refuse originals, faces and results that do not belong together.

    Raises:
        ValueError: their batches or sizes differ.
    """
    sizes = {
        "original": tuple(original.shape[:3]),
        "faces": (len(faces.images), faces.height, faces.width),
        "result": tuple(result.shape[:3]),
    }
    if len(set(sizes.values())) > 1:
        given = ", ".join(f"{name} {count} of {width}x{height}" for name, (count, height, width) in sizes.items())
        raise ValueError(
            f"these do not belong together: {given} pixels; expected as many images of the same size: connect the "
            "originals in which the faces were found, and the results pasted back into them"
        )


def describe(verdict: Verdict, provider: str) -> str:
    """The report: a line for each face."""
    lines = [f"{verdict.checker} on {provider}, recognisable from {verdict.threshold:.2f}"]
    for number, image in enumerate(verdict.images, start=1):
        if not image:
            lines.append(f"image {number}: no faces to change, and none found")
        lines += [f"image {number} face {place}: {_describe_face(face)}" for place, face in enumerate(image, start=1)]
    return "\n".join(lines)


def _describe_face(face: FaceVerdict) -> str:
    said: str = face.status
    if face.reason:
        said += f" ({face.reason})"
    if face.similarity is not None:
        said += f", similarity {face.similarity:.2f}"
    return said if face.change is None else f"{said}, {_describe_change(face.change)}"


def _describe_change(change: FaceChange) -> str:
    parts = [
        f"box overlap {change.box_overlap:.2f}",
        f"landmarks moved {change.landmark_change:.2f} of the eyes' distance",
    ]
    for name, turn in (("yaw", change.yaw_change), ("pitch", change.pitch_change), ("roll", change.roll_change)):
        if turn is not None:
            parts.append(f"{name} {turn:+.0f} degrees")
    if change.age_change is not None:
        parts.append(f"age about {change.age_change:+} years" if change.age_change else "age kept")
    if change.sex_kept is not None:
        parts.append("sex kept" if change.sex_kept else "sex changed")
    return ", ".join(parts)
