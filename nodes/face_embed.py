"""Embed Faces: find the faces in an image batch and compute their identities, for the nodes that change them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import comfy.model_management
import comfy.utils
from comfy_api.latest import io, ui
from torch import Tensor

from ..host.closer_look import closer_search
from ..host.face_packs import DEFAULT_PACK, installed_packs
from ..host.insight import LEAST_SCORE, load_pack, to_picture
from ..host.previews import FOUND_FACES, found_faces, preview_files, previews_wanted
from ..reverse_personalization.assurance.verdict import pixels_digest
from ..reverse_personalization.errors import NoFaceError
from ..reverse_personalization.geometry.decisions import decisions_of_images, mask_boxes, numbers_chosen
from ..reverse_personalization.geometry.detections import detections_of_images
from ..reverse_personalization.geometry.drawn_faces import Decided, decide, with_detections
from ..reverse_personalization.geometry.evidence import DOUBT
from ..reverse_personalization.geometry.face_search import search_plan, second_search_plan
from ..reverse_personalization.geometry.faces import (
    DEFAULT_THRESHOLD,
    EMBEDDING_WIDTH,
    UNDECIDED,
    Detection,
    Face,
    Faces,
    choices_of_images,
    in_stable_order,
)
from ..reverse_personalization.geometry.template import face_of_crop
from .checks import check_choice, check_images, typed_boxes, typed_choices
from .inputs import (
    DEFAULT_DETECTOR_SIZE,
    DEFAULT_PROVIDER,
    detector_size_input,
    drawn_faces_input,
    not_faces_input,
    previews_input,
    provider_input,
)
from .sockets import CATEGORY, DETECTIONS, SEARCH_ALIASES, FacesSocket

DEFAULT_CHOICE = "largest"

COUNTED = "counted_faces"
"""Key of what the node tells programs; the editor ignores it."""

ON_DOUBT = ("treat", "cover", "ask")
"""What to do about a find that may be something else than a face; the first is the default."""

ON_NO_FACE = ("error", "empty list")
"""What to do about an image without a face; the first is the default."""


class FaceEmbed(io.ComfyNode):
    """IMAGE -> REVERSE_IDENTITY_FACES, with InsightFace."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs."""
        return io.Schema(
            node_id="FaceEmbed",
            display_name="Embed Faces (InsightFace)",
            category=CATEGORY,
            description=(
                "Finds the faces in an image and computes the identities that the samplers push away from. "
                "Runs on this computer and downloads nothing."
            ),
            search_aliases=[
                *SEARCH_ALIASES,
                "identity",
                "InsightFace",
                "ArcFace",
                "FaceID",
                "face detection",
            ],
            inputs=[
                io.Image.Input("image", tooltip="One image or a batch; each image's faces are kept apart."),
                io.Combo.Input(
                    "model_pack",
                    options=installed_packs(),
                    default=DEFAULT_PACK,
                    tooltip=(
                        "Folder under models/insightface/models. FaceID adapters need buffalo_l. InsightFace "
                        "licenses its buffalo packs for non-commercial research only."
                    ),
                ),
                provider_input(),
                io.Boolean.Input(
                    "detect",
                    optional=True,
                    default=True,
                    tooltip=(
                        "On: find all faces of each image. Off: each image is one aligned crop of one face "
                        "(FFHQ alignment); it is embedded even if the detector does not see it."
                    ),
                ),
                io.Float.Input(
                    "threshold",
                    optional=True,
                    default=DEFAULT_THRESHOLD,
                    min=LEAST_SCORE,
                    max=1.0,
                    step=0.01,
                    tooltip=(
                        "How sure the search must be that something is a face: the mean confidence of all looks that "
                        "could see it. A lower value misses fewer faces and takes more things for faces; raise it if "
                        "something other than a face is chosen."
                    ),
                ),
                detector_size_input(
                    "Size in pixels at which an image is searched for faces. Half and twice this size are searched "
                    "too, and large images also in tiles at half their own size. Raise it to find even smaller "
                    "faces; the time grows with its square."
                ),
                io.String.Input(
                    "select",
                    optional=True,
                    default=DEFAULT_CHOICE,
                    tooltip=(
                        'Which faces of each image: "largest", "all", "none", or numbers such as "1,3". Faces are '
                        "numbered from left to right, and from top to bottom where one is above another. A semicolon "
                        'separates the images of a batch: "all; 1,3". Faces that are not chosen stay as they are. '
                        "In the picture, press find faces and click the faces instead."
                    ),
                ),
                io.Combo.Input(
                    "no_face",
                    options=list(ON_NO_FACE),
                    optional=True,
                    default=ON_NO_FACE[0],
                    advanced=True,
                    tooltip=(
                        "What to do about an image without a face: stop with an error, or pass on an empty list, for "
                        "batches in which that is expected. Such an image is not anonymised."
                    ),
                ),
                io.Boolean.Input(
                    "search_turned",
                    optional=True,
                    default=True,
                    advanced=True,
                    tooltip=(
                        "Also search the image in quarter turns, for people who are lying down or upside down, and "
                        "mirrored and at sizes in between, as Identity Check does. Off is several times faster but "
                        "leaves these faces to Identity Check."
                    ),
                ),
                io.Combo.Input(
                    "doubtful",
                    options=list(ON_DOUBT),
                    optional=True,
                    default=ON_DOUBT[0],
                    advanced=True,
                    tooltip=(
                        f"What to do about a find that scores less than {DOUBT:g} above the threshold and so may be "
                        "something else than a face. treat: change it like the others, if it is chosen. cover: cover "
                        "it instead. ask: stop until you have confirmed it (draw a box around it) or struck it out. "
                        "The picture shows such finds dashed, and the report counts them."
                    ),
                ),
                not_faces_input(
                    "What is no face, although the search takes it for one. It is neither changed nor covered, here "
                    "and in Identity Check. In the picture, press the cross on a face."
                ),
                drawn_faces_input(
                    "Faces that the search misses. They are changed whatever select says, unless it is none, and come "
                    "after the others. In the picture, press + face and draw a box."
                ),
                io.Mask.Input(
                    "face_mask",
                    optional=True,
                    tooltip=(
                        "Faces that the search misses, painted: each connected region above a half is one, as if "
                        "drawn. From the host's mask editor or from any other node, in the photograph's size."
                    ),
                ),
                io.MultiType.Input(
                    "detections",
                    types=DETECTIONS,
                    optional=True,
                    tooltip=(
                        "Faces from your own detector, added to those that the search finds: the host's bounding "
                        "boxes or face landmarks, Impact Pack's SEGS, or JSON text."
                    ),
                ),
                previews_input(),
            ],
            outputs=[
                FacesSocket.Output("faces", tooltip="Each image's chosen faces: place, landmarks, identity."),
                io.String.Output("report", tooltip="Faces per image, model pack and provider."),
            ],
            # The report stays on the node when the faces come from the cache.
            has_intermediate_output=True,
        )

    @classmethod
    def validate_inputs(
        cls, select: str | None = None, not_faces: str | None = None, drawn_faces: str | None = None
    ) -> bool | str:
        """Refuse a choice of faces or boxes that cannot be read, as soon as the graph is queued."""
        return typed_choices(select=select) or typed_boxes(not_faces=not_faces, drawn_faces=drawn_faces) or True

    @classmethod
    def execute(
        cls,
        image: Tensor,
        model_pack: str,
        provider: str = DEFAULT_PROVIDER,
        detect: bool = True,
        threshold: float = DEFAULT_THRESHOLD,
        det_size: int = DEFAULT_DETECTOR_SIZE,
        select: str = DEFAULT_CHOICE,
        no_face: str = ON_NO_FACE[0],
        search_turned: bool = True,
        doubtful: str = ON_DOUBT[0],
        not_faces: str = "",
        drawn_faces: str = "",
        face_mask: Tensor | None = None,
        detections: Any = None,
        previews: bool = True,
    ) -> io.NodeOutput:
        """Find and embed.

        Args:
            image: float [B, H, W, C] in [0, 1]; C is 1, 3, or 4 with an alpha that is ignored.
            model_pack: folder name, as `installed_packs` lists it.
            provider: "auto" or a key of `PROVIDERS`.
            detect: False treats each image as one FFHQ-aligned crop of one face.
            threshold: lowest score of a face, in [LEAST_SCORE, 1].
            det_size: multiple of 32, in pixels.
            select: which faces of each image, for example "all; 1,3".
            no_face: "error" or "empty list".
            search_turned: whether images are also searched in quarter turns.
            doubtful: "treat", "cover" or "ask".
            not_faces: boxes of what is no face, as `boxes_of_images` reads them.
            drawn_faces: boxes of faces, likewise.
            face_mask: float [B, H, W] or [1, H, W] in [0, 1]; each connected region above a half is a face.
            detections: of another detector, as `detections_of_images` reads them.
            previews: whether the editor gets the pictures and their faces, unless the server allows none.

        Returns:
            `Faces` of the same batch length, and the report.

        Raises:
            ValueError: an input does not fit, an image has no face, or there is no face with a chosen number.
            FileNotFoundError: the pack, its detector or its recogniser is missing.
            RuntimeError: InsightFace cannot be imported, a file cannot be used, or the detector miscalculates.
        """
        check_images(image)
        check_choice("no_face", no_face, ON_NO_FACE)
        check_choice("doubtful", doubtful, ON_DOUBT)
        choices = choices_of_images(select, len(image))
        plan = second_search_plan if search_turned else search_plan
        batch, height, width = image.shape[:3]
        painted = mask_boxes(face_mask, batch, height, width)
        decisions = decisions_of_images(not_faces, drawn_faces, batch, height, width, painted)
        others = detections_of_images(detections, batch, height, width)
        if not detect and (any(others) or any(one != UNDECIDED for one in decisions)):
            raise ValueError(
                "detect is off, so each image is one face, but not_faces, drawn_faces, face_mask or detections say "
                "where faces are; turn detect on, or leave them empty"
            )
        pack = load_pack(model_pack, provider, threshold, EMBEDDING_WIDTH)
        images: list[tuple[Face, ...]] = []
        left_out: list[tuple[Detection, ...]] = []
        to_cover: list[tuple[Detection, ...]] = []
        open_questions = []
        counted = []
        pictures = []
        lines = []
        progress = comfy.utils.ProgressBar(len(image))
        closer = closer_search(pack, det_size)
        visible = previews_wanted(previews)
        asked = {"select": select, "not_faces": not_faces, "drawn_faces": drawn_faces}
        files = preview_files(image) if visible else [None] * len(image)
        rows = zip(image, choices, files, decisions, others, strict=True)
        for number, (one, choice, file, said, other) in enumerate(rows, start=1):
            comfy.model_management.throw_exception_if_processing_interrupted()
            picture = to_picture(one)
            if detect:
                seen = pack.search(picture, det_size, plan)
                found = in_stable_order(with_detections(seen, other, closer, picture))
                decided = decide(found, said, closer, picture)
                note = f"{len(found)} found{decided_note(decided)}{doubt_note(decided)}"
            else:
                seen = pack.search(picture, det_size)
                found = (face_of_crop(seen, *picture.shape[:2]),)
                decided = decide(found, said, closer, picture)
                note = "aligned crop, landmarks " + ("detected" if found[0] in seen else "at the standard places")
                if seen and found[0] not in seen:
                    note += f" (none of the {len(seen)} found is there; if this is not an aligned crop, turn detect on)"
            # An aligned crop is one face, however poorly the detector sees it.
            in_doubt = decided.doubtful if detect else ()
            unsure = in_doubt if doubtful == "cover" else ()
            chosen = choose(decided, choice, unsure, number)
            images.append(tuple(pack.embed(picture, decided.faces[face]) for face in chosen))
            kept = [face for face in decided.kept if face not in chosen and face not in unsure]
            left_out.append(tuple(decided.faces[face] for face in kept))
            to_cover.append(tuple(decided.faces[face] for face in unsure))
            counted.append(
                {
                    "faces": len(chosen) + len(kept) + len(unsure),
                    "doubtful": [face + 1 for face in in_doubt],
                    "chosen": len(chosen),
                    "left_out": len(kept),
                    "to_cover": len(unsure),
                }
            )
            open_questions += [f"image {number}: face {face + 1}" for face in in_doubt]
            if file is not None:
                pictures.append(found_faces(file, decided, said, len(painted[number - 1]), image, asked))
            lines.append(f"image {number}: {note}, {len(images[-1])} chosen")
            progress.update(1)
        empty = [str(number) for number, count in enumerate(counted, start=1) if not count["faces"]]
        if empty and no_face == ON_NO_FACE[0]:
            raise NoFaceError(
                f"no face was found in image {', '.join(empty)} of {len(images)}. Try a threshold below "
                f"{threshold:g} or a det_size above {det_size}; for aligned crops of one face turn detect off; "
                'to let images without a face pass unchanged, set no_face to "empty list"'
            )
        faces = Faces(
            images=tuple(images),
            height=image.shape[1],
            width=image.shape[2],
            model_pack=pack.name,
            provider=pack.provider,
            pictures=tuple(map(pixels_digest, image)),
            left_out=tuple(left_out),
            decisions=decisions,
            to_cover=tuple(to_cover),
            threshold=threshold,
        )
        report = "\n".join([f"{pack.name} on {pack.provider}, asked for {provider}", *lines])
        shown = {**ui.PreviewText(report).as_dict(), COUNTED: counted, **({FOUND_FACES: pictures} if visible else {})}
        if doubtful == "ask" and open_questions:
            question = (
                f"may be something else than a face: {', '.join(open_questions)}. Confirm each by drawing a box around "
                "it (drawn_faces), or strike it out (not_faces); or set doubtful to treat or cover"
            )
            return io.NodeOutput(block_execution=question, ui=shown)
        return io.NodeOutput(faces, report, ui=shown)


def decided_note(decided: Decided) -> str:
    """What a person has decided about one image, for the report: "" if nothing."""
    parts = []
    if decided.numbers_struck:
        parts.append(f", {len(decided.numbers_struck)} struck out by a person")
    if decided.drawn:
        unseen = sum(decided.faces[number].score == 0 for number in set(decided.drawn))
        parts.append(f", {len(set(decided.drawn))} drawn by a person")
        if unseen:
            parts.append(f" ({unseen} of them with landmarks at the standard places)")
    return "".join(parts)


def doubt_note(decided: Decided) -> str:
    """How many finds of one image may be something else than a face, for the report: "" if none."""
    return f", {len(decided.doubtful)} of them doubtful" if decided.doubtful else ""


def choose(decided: Decided, select: str, unsure: Collection[int], number: int) -> tuple[int, ...]:
    """Numbers, from 0, of the chosen faces of image `number`; none if it has no faces, whatever was asked for.

    Faces whose numbers are in `unsure` cannot be chosen.
    """
    try:
        return numbers_chosen(decided.faces, select, {*decided.numbers_struck, *unsure}, decided.drawn)
    except ValueError as error:
        raise ValueError(f"image {number}: {error}") from None
