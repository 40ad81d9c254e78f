"""Identity Check: determine whether each face of a result is still recognisable, and whether any face was missed.

"No face found" does not count as a success: a face that cannot be measured has not been checked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain, repeat
from typing import Any

import comfy.model_management
import comfy.utils
import numpy as np
from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io, ui
from numpy.typing import NDArray
from torch import Tensor

from ..host.checker import open_checker
from ..host.file_names import telling_prefixes
from ..host.insight import LEAST_SCORE, to_picture
from ..host.previews import COMPARISON, comparisons, preview_files, previews_wanted, with_attempts
from ..host.purifying import Purifier, purified_photograph
from ..host.queued_graph import queued_prompt
from ..reverse_personalization.assurance.batch_check import compare_pictures
from ..reverse_personalization.assurance.decided import in_words, joined
from ..reverse_personalization.assurance.operating_point import threshold_words
from ..reverse_personalization.assurance.retry import Retries, RetryStep
from ..reverse_personalization.assurance.verdict import FaceChange, FaceVerdict, Purification, Verdict, pixels_digest
from ..reverse_personalization.geometry.decisions import decisions_of_images
from ..reverse_personalization.geometry.faces import DEFAULT_THRESHOLD, UNDECIDED, Face, Faces
from ..reverse_personalization.method.target import TargetUse
from ..reverse_personalization.method.trajectory import Conditioning
from .checks import check_found_in, check_images, check_side, typed_boxes, typed_checker
from .inputs import (
    DEFAULT_DETECTOR_SIZE,
    DEFAULT_PROVIDER,
    DEFAULT_SIDE,
    checker_inputs,
    detector_size_input,
    drawn_faces_input,
    not_faces_input,
    previews_input,
    provider_input,
    purifying_inputs,
)
from .sockets import CATEGORY, SEARCH_ALIASES, FacesSocket, IdentityVerdictSocket, RetriesSocket

_PURIFIED: dict[Purification, str] = {"vae": "the VAE's round trip", "noise": "noise and one denoising step"}


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
                "Checks every face of the result with a recogniser other than the guide's: anonymised, still "
                "recognisable, or unmeasurable, which does not count as a success. Also searches the result for faces "
                "that were missed, and looks in all pictures of the batch for everybody who should have been changed. "
                "Runs on this computer and downloads nothing."
            ),
            search_aliases=[*SEARCH_ALIASES, "verify", "similarity", "re-identification", "InsightFace", "ArcFace"],
            inputs=[
                io.Image.Input("original", tooltip="The original photographs."),
                FacesSocket.Input("faces", tooltip="The faces of the originals that should have been changed."),
                io.Image.Input("result", tooltip="The changed photographs, of the same size and in the same order."),
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
                        "How sure the search must be that something in the result is a face; take the threshold of "
                        "Embed Faces, so that both find the same. A lower value misses fewer faces and reports more "
                        "things as missed faces that are none."
                    ),
                ),
                detector_size_input(
                    "Size in pixels at which faces are searched for; smaller and larger sizes are used too."
                ),
                io.Boolean.Input(
                    "second_search",
                    optional=True,
                    default=True,
                    advanced=True,
                    tooltip=(
                        "Also search the result mirrored, turned and at intermediate sizes, for faces that the first "
                        "search missed. Off is several times faster but finds none of them."
                    ),
                ),
                RetriesSocket.Input(
                    "retries",
                    optional=True,
                    lazy=True,
                    tooltip=(
                        "From Reverse Identity Sampler with Retry: the scales that were tried on each face, for the "
                        "report that Save Anonymized Image writes. The check itself ignores them."
                    ),
                ),
                not_faces_input(
                    "What is no face, although the check takes it for one: it is not covered. Never strikes out a face "
                    "that should have been changed. In the picture, press the cross on a face."
                ),
                drawn_faces_input(
                    "Faces that nobody found: they are covered in any case. In the picture, press + face and draw a "
                    "box."
                ),
                IdentityVerdictSocket.Input(
                    "earlier",
                    optional=True,
                    tooltip=(
                        "The verdict on these photographs before a second pass: the scales that were tried on each "
                        "face then, for the report. Second Pass connects it; the check itself ignores it."
                    ),
                ),
                *purifying_inputs(),
                previews_input(),
            ],
            outputs=[
                IdentityVerdictSocket.Output("verdict", tooltip="The result for every face, for covering and saving."),
                io.String.Output("report", tooltip="One line for each face."),
                io.Boolean.Output("passed", tooltip="Whether every face was measured and none is recognisable."),
            ],
            hidden=[io.Hidden.unique_id],
            has_intermediate_output=True,
        )

    @classmethod
    def validate_inputs(
        cls, checker: str | None = None, not_faces: str | None = None, drawn_faces: str | None = None
    ) -> bool | str:
        """Refuse a checker that cannot check, and boxes that are none, as soon as the graph is queued.

        Also a file name of Save Anonymized Image that tells of the original: the host leaves out a node that refuses,
        and would run the rest of the graph for nothing.
        """
        refused = typed_checker(checker, cls.hidden) or telling_prefixes(queued_prompt())
        return refused or typed_boxes(not_faces=not_faces, drawn_faces=drawn_faces) or True

    @classmethod
    def check_lazy_status(cls, faces: Faces, **others: object) -> list[str]:
        """Ask for the retries only if there are faces: otherwise nothing needs to be generated."""
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
        not_faces: str = "",
        drawn_faces: str = "",
        earlier: Verdict | None = None,
        vae: Any = None,
        model: ModelPatcher | None = None,
        source: Conditioning | None = None,
        purified_side: int = DEFAULT_SIDE,
        previews: bool = True,
    ) -> io.NodeOutput:
        """Check every picture.

        Args:
            original: float [B, H, W, C] in [0, 1]; C is 1, 3, or 4 with an alpha that is ignored.
            faces: of the originals; images without faces are still searched for missed ones.
            result: as `original`, though C may differ.
            checker: as `checker_names` lists it.
            threshold: cosine at or above which a face is recognisable, in [0, 1]; 0 takes the checker's own.
            provider: "auto" or a key of `PROVIDERS`.
            det_threshold: lowest score of a face in the result, in [LEAST_SCORE, 1].
            det_size: multiple of 32, in pixels.
            second_search: whether results are also searched mirrored, turned and at intermediate sizes.
            retries: on some of these faces, for the report.
            not_faces: boxes of what is no face, as `boxes_of_images` reads them; in addition to those of `faces`.
            drawn_faces: boxes of faces that have to be covered, likewise.
            earlier: on the same originals and the first of these faces, for the report.
            vae: ComfyUI's VAE, to also look at purified copies of the changed faces; None for none.
            model: with an identity adapter, to purify them by noise and one denoising step, too.
            source: text for the model.
            purified_side: of the crops that are purified, pixels.
            previews: whether the editor gets the pictures, unless the server allows none.

        Returns:
            `Verdict`, a report, and whether the verdict is safe.

        Raises:
            ValueError: an input does not fit, the inputs do not belong together, or the checker is the guide.
            FileNotFoundError: a model of the checker or the guide is missing.
            RuntimeError: InsightFace cannot be imported, a model cannot be used, or a face got no result.
        """
        check_images(original, "original")
        check_images(result, "result")
        check_same_pictures(original, faces, result)
        originals = tuple(map(pixels_digest, original))
        check_found_in(faces, originals, "original")
        here = decisions_of_images(not_faces, drawn_faces, *result.shape[:3])
        upstream = faces.decisions or (UNDECIDED,) * len(here)
        if earlier is not None and earlier.originals != originals:
            raise ValueError(
                "the earlier verdict is on other photographs than the originals; connect the verdict of an Identity "
                "Check on the same originals, or leave the input unconnected"
            )
        purifier = purifier_of(vae, model, source, purified_side)
        judge = open_checker(checker, provider, threshold, det_threshold, faces.model_pack)
        tried = iter([()] * len(faces) if retries is None else retries.of(faces.embeddings()))
        target = None if retries is None else retries.target
        checked = []
        progress = comfy.utils.ProgressBar(len(result))
        left_out = faces.left_out or ((),) * len(faces.images)
        to_cover = faces.to_cover or ((),) * len(faces.images)
        rows = zip(original, faces.images, left_out, to_cover, result, upstream, here, strict=True)
        for before, known, others, doubtful, after, said, said_here in rows:
            comfy.model_management.throw_exception_if_processing_interrupted()
            checked.append(
                judge.check(
                    to_picture(before),
                    known,
                    to_picture(after),
                    det_size,
                    second_search,
                    others,
                    said,
                    said_here,
                    doubtful,
                    None if purifier is None else partial(_purified, purifier, after, known, purified_side),
                )
            )
            progress.update(1)
        images = []
        said_of_all = compare_pictures(checked, judge.thresholds.between_places)
        for number, (known, said) in enumerate(zip(faces.images, said_of_all, strict=True), start=1):
            if len(said) < len(known):
                raise RuntimeError(
                    f"the check of image {number} gave results for {len(said)} faces, but {len(known)} should have "
                    "been changed; expected one result for each, so nothing in this picture counts as checked. Run "
                    "again; if that does not help, choose another checker"
                )
            # Faces that should not have been changed come after those that should.
            changed, unhandled = said[: len(known)], said[len(known) :]
            before = () if earlier is None else earlier.images[number - 1]
            images.append((*with_history(changed, known, tried, target, before), *unhandled))
        visible = previews_wanted(previews)
        verdict = Verdict(
            images=tuple(map(with_attempts, images)) if visible else tuple(images),
            originals=originals,
            results=tuple(map(pixels_digest, result)),
            threshold=judge.threshold,
            threshold_source=judge.threshold_source,
            guide=faces.model_pack,
            checker=judge.name,
            model_hashes=judge.model_hashes,
            decisions=tuple(map(joined, upstream, here)),
            previews=tuple(preview_files(original)) if visible else (),
            purified=None if purifier is None else purifier.way,
        )
        report = describe(verdict, judge.recogniser.provider)
        asked = {"not_faces": not_faces, "drawn_faces": drawn_faces}
        shown = {COMPARISON: comparisons(verdict, result, preview_files(result), here, asked)} if visible else {}
        return io.NodeOutput(verdict, report, verdict.safe, ui={**ui.PreviewText(report).as_dict(), **shown})


def purifier_of(vae: Any, model: ModelPatcher | None, source: Conditioning | None, side: int) -> Purifier | None:
    """What makes purified copies, or None if nothing is connected for it.

    Raises:
        ValueError: there is a model without a VAE or a text, or the side is none that a model takes.
    """
    if vae is None:
        if model is not None:
            raise ValueError("model is connected without vae; connect both, or neither to look at no purified copies")
        return None
    check_side(side)
    return Purifier(vae, model, source)


def _purified(
    purifier: Purifier, result: Tensor, known: Sequence[Face], side: int, numbers: Sequence[int]
) -> NDArray[np.uint8] | None:
    """A copy of a result in which some of its faces are purified, as a checker takes pictures."""
    comfy.model_management.throw_exception_if_processing_interrupted()
    copy = purified_photograph(purifier, result, [known[one] for one in numbers], side)
    return None if copy is None else to_picture(copy)


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
            f"the inputs do not belong together: {given} pixels; expected the same number of images of the same size: "
            "connect the originals in which the faces were found, and the results pasted back into them"
        )


def with_history(
    changed: Sequence[FaceVerdict],
    known: Sequence[Face],
    tried: Iterator[tuple[RetryStep, ...]],
    target: TargetUse | None,
    before: Sequence[FaceVerdict],
) -> Iterator[FaceVerdict]:
    """Add to one picture's verdicts what is known of how the faces were changed.

    Args:
        changed: the verdicts.
        known: their faces.
        tried: the retries of each face, () for a face of an earlier run of the sampler.
        target: what the sampler drew those faces towards that it tried.
        before: earlier verdicts, on the first of these faces.
    """
    for verdict, face, then in zip(changed, known, chain(before, repeat(None)), strict=False):
        retries, drawn = next(tried), target
        if not retries:
            retries, drawn = ((), None) if then is None else (then.retries, then.target)
        yield replace(verdict, retries=retries, target=drawn, second_pass=face.second_pass)


def describe(verdict: Verdict, provider: str) -> str:
    """The report: one line for each face."""
    threshold = f"{verdict.threshold:.2f} ({threshold_words(verdict.threshold_source)})"
    lines = [f"{verdict.checker} on {provider}, recognisable at or above {threshold}"]
    if verdict.purified is not None:
        lines.append(f"also looked at copies purified by {_PURIFIED[verdict.purified]}")
    for number, image in enumerate(verdict.images, start=1):
        if not image:
            lines.append(f"image {number}: no faces to change, and none found")
        lines += [f"image {number} face {place}: {_describe_face(face)}" for place, face in enumerate(image, start=1)]
    for number, decisions in enumerate(verdict.decisions, start=1):
        lines += [f"image {number}: {words} at {','.join(map(str, box))}" for words, box in in_words(decisions)]
    return "\n".join(lines)


def _describe_face(face: FaceVerdict) -> str:
    said = face.said
    if face.reason:
        said += f" ({face.reason})"
    if face.second_pass:
        said += ", found by the check, sent through once"
    if face.target is not None:
        said += f", drawn {face.target}"
    if face.similarity is not None:
        said += f", similarity {face.similarity:.2f}"
    return said if face.change is None else f"{said}, {_describe_change(face.change)}"


def _describe_change(change: FaceChange) -> str:
    parts = [
        f"box overlap {change.box_overlap:.2f}",
        f"landmarks moved {change.landmark_change:.2f} of the eye distance",
    ]
    for name, turn in (("yaw", change.yaw_change), ("pitch", change.pitch_change), ("roll", change.roll_change)):
        if turn is not None:
            parts.append(f"{name} {turn:+.0f} degrees")
    if change.age_change is not None:
        parts.append(f"age about {change.age_change:+} years" if change.age_change else "age kept")
    if change.sex_kept is not None:
        parts.append("sex kept" if change.sex_kept else "sex changed")
    return ", ".join(parts)
