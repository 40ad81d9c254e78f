"""Second Pass: send faces that only Identity Check found through the same graph as the others, once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import comfy.model_management
from comfy_api.latest import io
from torch import Tensor

from ..host.face_packs import PROVIDERS
from ..host.graph_path import Link, NoPathError, link_of, path_between
from ..host.insight import LEAST_SCORE, load_pack, to_picture
from ..reverse_personalization.assurance.matching import measurable
from ..reverse_personalization.assurance.verdict import SAFE, Verdict, pixels_digest
from ..reverse_personalization.geometry.faces import Detection, Face, Faces
from .checks import check_found_in, check_images, check_photographs, check_verdict
from .inputs import DEFAULT_PROVIDER
from .sockets import CATEGORY, SEARCH_ALIASES, FacesSocket, IdentityVerdictSocket

SECOND_PASS = "ReverseIdentitySecondPass"
CHECK = "ReverseIdentityCheck"


class ReverseIdentitySecondPass(io.ComfyNode):
    """A checked result -> the same, or the result of a second run for the faces that only the check found."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node."""
        return io.Schema(
            node_id=SECOND_PASS,
            display_name="Second Pass for Missed Faces",
            category=CATEGORY,
            description=(
                "If Identity Check found a face in the result that nobody had found before, runs the nodes between "
                "Embed Faces and the pasted picture once more for that face alone, with the same models and settings, "
                "and checks again. Otherwise passes everything on unchanged."
            ),
            search_aliases=[*SEARCH_ALIASES, "second pass", "missed face", "again"],
            inputs=[
                io.Image.Input("image", tooltip="The pictures that were checked, from Paste Faces."),
                IdentityVerdictSocket.Input("verdict", tooltip="From Identity Check on these pictures."),
                FacesSocket.Input("faces", tooltip="The faces of the originals: the same that Identity Check got."),
                io.Image.Input("original", tooltip="The original photographs: the same that Identity Check got."),
                io.String.Input(
                    "report",
                    optional=True,
                    default="",
                    force_input=True,
                    tooltip="From Identity Check; passed on, or replaced by the report of the second check.",
                ),
            ],
            outputs=[
                io.Image.Output(display_name="image", tooltip="The pictures, for Cover Faces."),
                IdentityVerdictSocket.Output(display_name="verdict", tooltip="On these pictures, for Cover Faces."),
                io.String.Output(
                    display_name="report", tooltip="One line for each face, and why a face was not sent through again."
                ),
                io.Boolean.Output(
                    display_name="passed", tooltip="Whether every face was measured and none is recognisable."
                ),
            ],
            hidden=[io.Hidden.dynprompt, io.Hidden.unique_id],
            enable_expand=True,
        )

    @classmethod
    def execute(
        cls, image: Tensor, verdict: Verdict, faces: Faces, original: Tensor, report: str = ""
    ) -> io.NodeOutput:
        """Pass everything on, or let the host run copies of the nodes that made the image.

        Args:
            image: float [B, H, W, C] in [0, 1], the results.
            verdict: on exactly these pixels.
            faces: of the originals, as they were given to the check.
            original: as `image`, the photographs.
            report: of the check.

        Returns:
            Pictures, the verdict on them, the report, and whether the verdict is safe. Where the nodes cannot be run
            again, all is passed on and the report says why: the faces are then covered like any that fail.

        Raises:
            ValueError: the inputs do not belong together, or a face has no embedding.
            FileNotFoundError: the guide's pack is missing.
            RuntimeError: InsightFace cannot be imported, or a model cannot be used.
        """
        found = tuple(
            tuple(face.found for face in one if face.found is not None and face.status not in SAFE)
            for one in verdict.images
        )
        if not any(found):
            return io.NodeOutput(image, verdict, report, verdict.safe)
        check_images(image)
        check_images(original, "original")
        check_verdict(verdict, image)
        check_photographs(image, faces)
        check_found_in(faces, tuple(map(pixels_digest, original)), "original")
        clear = tuple(tuple(filter(measurable, one)) for one in found)
        try:
            if not any(clear):
                raise NoPathError("they are too small or too unclear to be measured")
            return _sent_through(cls.hidden, image, verdict, faces, original, _embedded(image, clear, faces))
        except NoPathError as error:
            count = sum(map(len, found))
            missed = (
                "1 face that only the check found is" if count == 1 else f"{count} faces that only the check found are"
            )
            said = f"{missed} not sent through again, and left to Cover Faces: {error}"
            return io.NodeOutput(image, verdict, "\n".join(filter(None, [report, said])), verdict.safe)


def _embedded(image: Tensor, found: Sequence[Sequence[Detection]], faces: Faces) -> Faces:
    """The finds with their identities, which the guide's pack reads from the results.

    Where nothing was changed, these have the originals' pixels.
    """
    names = {provider: name for name, provider in PROVIDERS.items()}
    # The threshold is for searches, and nothing is searched here.
    pack = load_pack(faces.model_pack, names.get(faces.provider, DEFAULT_PROVIDER), LEAST_SCORE)
    images: list[tuple[Face, ...]] = []
    for one, detections in zip(image, found, strict=True):
        comfy.model_management.throw_exception_if_processing_interrupted()
        images.append(tuple(replace(pack.embed(to_picture(one), face), second_pass=True) for face in detections))
    return replace(faces, images=tuple(images), pictures=tuple(map(pixels_digest, image)), left_out=(), to_cover=())


def _sent_through(
    hidden: Any, image: Tensor, verdict: Verdict, faces: Faces, original: Tensor, new: Faces
) -> io.NodeOutput:
    """Copies of the nodes that made the image, for the new faces in it, and of the check, for everybody.

    Raises:
        NoPathError: the nodes cannot be run again.
    """
    prompt = hidden.dynprompt
    inputs = prompt.get_node(hidden.unique_id)["inputs"]
    own: dict[str, Link] = {name: link_of(inputs, name) for name in ("image", "verdict", "faces", "original")}
    check, _ = own["verdict"]
    if prompt.get_node(check)["class_type"] != CHECK:
        raise NoPathError("the verdict does not come straight from Identity Check")
    given = prompt.get_node(check)["inputs"]
    for theirs, ours in (("result", "image"), ("faces", "faces"), ("original", "original")):
        if link_of(given, theirs) != own[ours]:
            raise NoPathError(f"Identity Check got another {theirs} than this node")
    path = path_between(prompt, (own["faces"], own["original"]), own["faces"], own["image"])
    if any(prompt.get_node(node_id)["class_type"] == SECOND_PASS for node_id in path.nodes):
        raise NoPathError("they went through a second pass before")
    everybody = tuple(known + late for known, late in zip(faces.images, new.images, strict=True))
    final: dict[str, Any] = {"faces": replace(faces, images=everybody), "original": original, "earlier": verdict}
    if "retries" in given and given["retries"][0] not in path.nodes:
        final["retries"] = None
    graph, copies = path.copy({own["faces"]: new, own["original"]: image}, {check: final})
    made, output = own["image"]
    checked = copies[check]
    return io.NodeOutput(
        copies[made].out(output), checked.out(0), checked.out(1), checked.out(2), expand=graph.finalize()
    )
