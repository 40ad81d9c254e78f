"""Save anonymised pictures: only what was checked, without metadata, with a report."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import comfy.model_management
import comfy.utils
import comfyui_version
from comfy.cli_args import args
from comfy_api.latest import io, ui
from torch import Tensor

from ..host.destinations import DESTINATIONS, MEMORY, OUTPUT_FOLDER, Destination, Memory, OutputFolder, described
from ..host.file_names import scrubber_of, telling_prefix
from ..host.model_hashes import model_hashes
from ..host.node_classes import own_settings
from ..host.previews import COMPARISON, comparisons
from ..host.queued_graph import queued_prompt
from ..host.secret import SECRET_VARIABLE, read_secret
from ..reverse_personalization.assurance.covering import NO_CHECKER
from ..reverse_personalization.assurance.html_report import html_report as page_about
from ..reverse_personalization.assurance.image_files import FILE_FORMATS, PAGE_SUFFIX, REPORT_SUFFIX, encode
from ..reverse_personalization.assurance.operating_point import judge_similarity
from ..reverse_personalization.assurance.project import project_value
from ..reverse_personalization.assurance.report import build_report, name_faces, software_versions
from ..reverse_personalization.assurance.result import build_result
from ..reverse_personalization.assurance.verdict import FaceVerdict, Verdict, eight_bits, is_empty
from ..reverse_personalization.errors import NoFaceError, UnsafeFaceError
from .checks import check_choice, check_images, check_originals, check_verdict
from .sockets import CATEGORY, SEARCH_ALIASES, IdentityVerdictSocket

BLOCK, SAVE, LEAVE_OUT = "block", "save", "leave out"
ON_NO_FACE = (BLOCK, SAVE, LEAVE_OUT)
"""What to do about a picture without a face; the first is the default."""

ON_UNHANDLED = (BLOCK, SAVE)
"""What to do about unhandled faces; the first is the default."""

RESULTS = "anonymised"
"""Key of what the node tells programs; the editor ignores it."""

TEXT = "text"
"""Key of what the host shows people."""

DEFAULT_PREFIX = "anonymised"
DEFAULT_QUALITY = 95


class ReverseIdentitySaveImage(io.ComfyNode):
    """IMAGE + REVERSE_IDENTITY_VERDICT -> files in the output folder."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node."""
        return io.Schema(
            node_id="ReverseIdentitySaveImage",
            display_name="Save Anonymized Image",
            category=CATEGORY,
            description=(
                "Saves pictures in which every face was checked and is anonymised or covered, and stops the run for "
                "any other. The files hold no workflow and no metadata, and never replace existing files. A report is "
                "saved beside each."
            ),
            search_aliases=[*SEARCH_ALIASES, "save image", "export", "strip metadata", "EXIF", "report"],
            inputs=[
                io.Image.Input("images", tooltip="The pictures given to Identity Check or returned by Cover Faces."),
                IdentityVerdictSocket.Input(
                    "verdict", tooltip="On exactly these pictures, from Identity Check or from Cover Faces after it."
                ),
                io.String.Input(
                    "filename_prefix",
                    optional=True,
                    default=DEFAULT_PREFIX,
                    tooltip=(
                        "Beginning of the file names; slashes make folders below the output folder. It must not "
                        "contain the name of the original."
                    ),
                ),
                io.Combo.Input(
                    "format",
                    optional=True,
                    options=list(FILE_FORMATS),
                    default=next(iter(FILE_FORMATS)),
                    tooltip="png stores the checked pixels exactly. jpeg has no transparency.",
                ),
                io.Int.Input(
                    "quality",
                    default=DEFAULT_QUALITY,
                    min=1,
                    max=100,
                    optional=True,
                    advanced=True,
                    tooltip="Quality of webp and jpeg; webp is lossless at 100. png ignores it.",
                ),
                io.Boolean.Input(
                    "keep_workflow",
                    default=False,
                    optional=True,
                    advanced=True,
                    tooltip=(
                        "Store the workflow in the png, without the names of the pictures and folders that it loads. "
                        "Prompts and model names stay in it: make sure that they name nobody. webp and jpeg never "
                        "carry it."
                    ),
                ),
                io.Combo.Input(
                    "no_face",
                    options=list(ON_NO_FACE),
                    default=ON_NO_FACE[0],
                    optional=True,
                    tooltip=(
                        "What to do about a picture in which neither Embed Faces nor Identity Check found a face: "
                        "either there is none, or all were missed. leave out: save the others and say so. Look at it "
                        "before you choose save."
                    ),
                ),
                io.Combo.Input(
                    "unhandled",
                    options=list(ON_UNHANDLED),
                    default=ON_UNHANDLED[0],
                    optional=True,
                    advanced=True,
                    tooltip=(
                        "What to do about faces that were not chosen to be changed and are not covered. save leaves "
                        "these people recognisable in the file. Faces that only Identity Check found are never saved "
                        "uncovered."
                    ),
                ),
                io.Boolean.Input(
                    "report",
                    default=True,
                    optional=True,
                    tooltip=(
                        "Save a JSON report beside each picture: versions, hashes, settings and every face's result; "
                        "no embedding, no crop, no name."
                    ),
                ),
                io.Boolean.Input(
                    "prove_original",
                    default=False,
                    optional=True,
                    advanced=True,
                    tooltip=(
                        "Put a digest of the original into the report, keyed with your secret, so that you alone can "
                        "later show which photograph the picture was made from. Set the secret in the environment "
                        f"variable {SECRET_VARIABLE} before ComfyUI starts."
                    ),
                ),
                io.Combo.Input(
                    "destination",
                    options=list(DESTINATIONS),
                    default=DESTINATIONS[0],
                    optional=True,
                    advanced=True,
                    tooltip=(
                        "memory writes no file: the program that queued the run fetches the pictures from the server, "
                        "which forgets them when they are deleted, after six hours, or when it ends. See docs/api.md."
                    ),
                ),
                io.Boolean.Input(
                    "html_report",
                    default=False,
                    optional=True,
                    advanced=True,
                    tooltip=(
                        "Also save a page for people beside each picture: every face of the result with its status, "
                        "similarity, attempts and settings. It shows nobody as they were, unless original is connected."
                    ),
                ),
                io.Image.Input(
                    "original",
                    optional=True,
                    tooltip=(
                        "Only to show every face before as well in the HTML report, which then identifies these people "
                        "and says so. Leave it unconnected to show results only."
                    ),
                ),
            ],
            outputs=[],
            hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo],
            is_output_node=True,
        )

    @classmethod
    def validate_inputs(
        cls,
        prove_original: bool | None = False,
        report: bool | None = True,
        filename_prefix: str | None = None,
        html_report: bool | None = False,
        destination: str | None = OUTPUT_FOLDER,
    ) -> bool | str:
        """Refuse a digest or a page that cannot be made and a name that tells of the original, as soon as it is queued.

        None stands for a linked input.
        """
        try:
            _check_proof(bool(prove_original), report is not False)
            _check_page(bool(html_report), destination or OUTPUT_FOLDER)
        except ValueError as error:
            return str(error)
        return telling_prefix(filename_prefix or "", scrubber_of(queued_prompt())) or True

    @classmethod
    def execute(
        cls,
        images: Tensor,
        verdict: Verdict,
        filename_prefix: str = DEFAULT_PREFIX,
        format: str = next(iter(FILE_FORMATS)),
        quality: int = DEFAULT_QUALITY,
        keep_workflow: bool = False,
        no_face: str = ON_NO_FACE[0],
        unhandled: str = ON_UNHANDLED[0],
        report: bool = True,
        prove_original: bool = False,
        destination: str = OUTPUT_FOLDER,
        html_report: bool = False,
        original: Tensor | None = None,
    ) -> io.NodeOutput:
        """Check everything, then save.

        Args:
            images: float [B, H, W, C] in [0, 1], C in 1, 3, 4.
            verdict: on exactly these pixels.
            filename_prefix: as the host's Save Image takes it.
            format: key of `FILE_FORMATS`.
            quality: 1 to 100.
            keep_workflow: store the graph, without private names.
            no_face: one of `ON_NO_FACE`.
            unhandled: one of `ON_UNHANDLED`.
            report: write the report.
            prove_original: put the original's digest into the report, keyed with the user's secret.
            destination: one of `DESTINATIONS`.
            html_report: write the page.
            original: what the verdict calls the originals, [B, H, W, C], to show them in the page; without a page it is
                not looked at.

        Raises:
            ValueError: an input does not fit, a picture is not the checked one, or a face in it must not be saved;
                nothing is written.
            NotSavedError: a picture could not be written or kept; neither it nor its report exists, but those before
                it in the batch do.
        """
        check_images(images)
        # The host checks typed values, not linked ones.
        check_choice("format", format, tuple(FILE_FORMATS))
        check_choice("no_face", no_face, ON_NO_FACE)
        check_choice("unhandled", unhandled, ON_UNHANDLED)
        check_choice("destination", destination, DESTINATIONS)
        secret = _check_proof(prove_original, report)
        _check_page(html_report, destination)
        check_verdict(verdict, images)
        if html_report and original is not None:
            check_originals(verdict, original)
        _check_faces(verdict, no_face, unhandled)
        _check_format(images, format)
        prompt = getattr(cls.hidden, "prompt", None) or {}
        scrubber = scrubber_of(prompt)
        if telling := telling_prefix(filename_prefix, scrubber):
            raise ValueError(telling)
        texts = {}
        if keep_workflow and FILE_FORMATS[format].text and not args.disable_metadata:
            texts["prompt"] = json.dumps(scrubber.prompt())
            workflow = (getattr(cls.hidden, "extra_pnginfo", None) or {}).get("workflow")
            if workflow is not None:
                texts["workflow"] = json.dumps(scrubber.workflow(workflow))
        made_with = {**_made_with(prompt), "secret": secret} if report or html_report else None
        place: Destination = Memory() if destination == MEMORY else OutputFolder(filename_prefix, images)
        results: list[dict[str, Any]] = []
        after: list[Any] = [None] * len(images)
        progress = comfy.utils.ProgressBar(len(images))
        for index, image in enumerate(images):
            comfy.model_management.throw_exception_if_processing_interrupted()
            progress.update(1)
            if no_face == LEAVE_OUT and is_empty(verdict.images[index]):
                results.append(build_result(None, verdict.images[index], None))
                continue
            levels = eight_bits(image)
            picture = encode(levels, format, quality, texts)
            file = described(FILE_FORMATS[format], picture)
            said, reports = None, {}
            if made_with is not None:
                said = build_report(verdict, index, file_format=format, file_sha256=file["sha256"], **made_with)
                if html_report:
                    before = None if original is None else eight_bits(original[index])
                    reports[PAGE_SUFFIX] = page_about(said, verdict.images[index], levels, before)
                if report:
                    reports[REPORT_SUFFIX] = _json(said)
            where = place.put(index, FILE_FORMATS[format], picture, reports)
            results.append(build_result({**file, **where}, verdict.images[index], said if report else None))
            after[index] = where if destination == OUTPUT_FOLDER else None
        # Of a list of pictures, the host joins what each run shows, and every run must show the same.
        shown = {
            RESULTS: results,
            TEXT: _left_out(results),
            COMPARISON: comparisons(verdict, images, after),
            **ui.SavedImages([saved for saved in after if saved is not None]).as_dict(),
        }
        return io.NodeOutput(ui=shown)


def _left_out(results: Sequence[Mapping[str, Any]]) -> list[str]:
    """Which pictures were not saved, for people; nothing if all were."""
    numbers = [str(number) for number, result in enumerate(results, start=1) if result["file"] is None]
    said = f"no face was found in image {', '.join(numbers)} of {len(results)}: left out, not saved"
    return [said] if numbers else []


def _check_proof(prove_original: bool, report: bool) -> bytes | None:
    """The secret that keys the original's digest, or None if no digest is wanted.

    Raises:
        ValueError: there is no secret or no report.
    """
    if not prove_original:
        return None
    if not report:
        raise ValueError(
            "prove_original is on, but report is off, so there is nowhere to put the digest; turn report on or "
            "prove_original off"
        )
    return read_secret()


def _check_page(html_report: bool, destination: str) -> None:
    """Refuse a page where no file is written.

    Raises:
        ValueError: there would be none.
    """
    if html_report and destination != OUTPUT_FOLDER:
        raise ValueError(
            f'html_report is on, but destination is "{destination}", where no file is written; turn html_report off, '
            f'or set destination to "{OUTPUT_FOLDER}"'
        )


def _check_faces(verdict: Verdict, no_face: str, unhandled: str) -> None:
    """Refuse faces and pictures that must not be saved.

    Raises:
        ValueError: there was no check, a face is not safe, or a picture has no face and that is not allowed.
    """
    if verdict.checker == NO_CHECKER:
        raise ValueError(
            "the verdict comes from Cover Faces without a check: nothing has searched for other faces. Put Identity "
            "Check after it and then Cover Faces again, with the verdict of that check"
        )

    def blocks(face: FaceVerdict) -> bool:
        if face.status == "anonymised":
            return judge_similarity(face.similarity, verdict.threshold) != "anonymised"
        return not face.may_stay(unhandled == SAVE)

    unsafe = name_faces(verdict, blocks)
    if unsafe:
        raise UnsafeFaceError(
            f"nothing of the batch was saved: {unsafe}. Put Cover Faces between Identity Check and this node, or "
            "change these faces again at a more negative scale (cfg); to keep people who were found but not chosen, "
            'set unhandled to "save"'
        )
    empty = [str(number) for number, faces in enumerate(verdict.images, start=1) if is_empty(faces)]
    if empty and no_face == BLOCK:
        raise NoFaceError(
            f"nothing of the batch was saved: no face was found in image {', '.join(empty)} of {len(verdict.images)}, "
            "before or after the change, so nothing was checked there. Look for faces that were missed (a lower "
            'threshold, a higher det_size); if there are none, set no_face to "save", or to "leave out" and save the '
            "others"
        )


def _check_format(images: Tensor, file_format: str) -> None:
    height, width, channels = images.shape[1:]
    limits = FILE_FORMATS[file_format]
    if channels == 4 and not limits.alpha:
        raise ValueError(
            f"the images have an alpha channel, which {file_format} cannot store; choose png or webp, or remove it"
        )
    if max(height, width) > limits.longest:
        raise ValueError(
            f"the images are {width}x{height}, but {file_format} allows {limits.longest} pixels a side; choose png"
        )


def _made_with(prompt: Mapping[str, Any]) -> dict[str, Any]:
    """What all reports of a batch have in common: arguments of `build_report`."""
    return {
        "created_by": {key: project_value(key) for key in ("name", "version")},
        "software": software_versions(comfyui_version.__version__),
        "model_hashes": model_hashes(prompt),
        "settings": own_settings(prompt),
    }


def _json(report: Mapping[str, Any]) -> bytes:
    return (json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()
