"""Generate faces, check them, and generate those still recognisable again at a stronger scale."""

from __future__ import annotations

from typing import Any

import comfy.model_management
import comfy.utils
import torch
from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io, ui
from torch import Tensor

from ..host.checker import open_checker
from ..host.retry import check_crops, generator
from ..reverse_personalization.assurance.checking import Original
from ..reverse_personalization.assurance.retry import Retries, parse_scales, retry_faces
from ..reverse_personalization.geometry.cropping import EMPTY_LEVEL
from ..reverse_personalization.geometry.face_search import crop_search_size
from ..reverse_personalization.geometry.faces import Faces
from ..reverse_personalization.method.trajectory import Conditioning, NoiseTrajectory
from .checks import check_images, typed_guidance
from .inputs import (
    DEFAULT_DETECTOR_SIZE,
    DEFAULT_PROVIDER,
    DEFAULT_THRESHOLD,
    checker_inputs,
    guidance_inputs,
    provider_input,
    to_picture,
)
from .sockets import CATEGORY, SEARCH_ALIASES, RetriesSocket

DEFAULT_SCALES = "-10, -14, -20, -28"


class ReverseIdentityRetrySampler(io.ComfyNode):
    """A trajectory, its faces and crops -> crops of somebody else, each at the weakest scale that suffices."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node."""
        guidance = {entry.id: entry for entry in guidance_inputs()}
        return io.Schema(
            node_id="ReverseIdentityRetrySampler",
            display_name="Reverse Identity Sampler with Retry",
            category=CATEGORY,
            description=(
                "Generates all faces at the first scale, checks them with a second recogniser, and generates those "
                "still recognisable again at the next scale, from the same trajectory. A face that fails at every "
                "scale is passed on anyway: Identity Check on the whole photograph finds it, and Cover Faces hides it."
            ),
            search_aliases=[*SEARCH_ALIASES, "negative guidance", "KSampler", "retry", "verify"],
            inputs=[
                guidance["model"],
                io.Vae.Input("vae", tooltip="Decodes the faces; use the VAE that encoded them."),
                guidance["trajectory"],
                guidance["faces"],
                io.Image.Input("crops", tooltip="The crops that were inverted; the results are compared with them."),
                io.String.Input(
                    "scales",
                    default=DEFAULT_SCALES,
                    tooltip=(
                        "The scales to try, weakest first. More negative is less recognisable but keeps expression, "
                        "gaze and pose less well."
                    ),
                ),
                *checker_inputs(),
                guidance["attributes"],
                guidance["identity_scale"],
                guidance["source"],
                provider_input(),
            ],
            outputs=[
                io.Image.Output("crops", tooltip="One result for each input crop; grey if none came out finite."),
                io.String.Output("report", tooltip="The scales tried on each face, and the similarity at each."),
                RetriesSocket.Output(
                    "retries", tooltip="The same for Identity Check, which passes it on to the saved report."
                ),
            ],
            # The report stays on the node when the crops come from the cache.
            has_intermediate_output=True,
        )

    @classmethod
    def validate_inputs(cls, scales: str | None = None, identity_scale: float | None = None) -> bool | str:
        """Refuse scales that are not a list or that push nobody away, before anything is computed."""
        if scales is None:
            return typed_guidance(None, identity_scale)
        try:
            weakest, *_ = parse_scales(scales)
        except ValueError as error:
            return str(error)
        return typed_guidance(weakest, identity_scale)

    @classmethod
    def execute(
        cls,
        model: ModelPatcher,
        vae: Any,
        trajectory: NoiseTrajectory,
        faces: Faces,
        crops: Tensor,
        scales: str,
        checker: str,
        threshold: float = 0.0,
        attributes: Conditioning | None = None,
        identity_scale: float = 1.0,
        source: Conditioning | None = None,
        provider: str = DEFAULT_PROVIDER,
    ) -> io.NodeOutput:
        """Generate, check and retry. The placeholder crop of a picture without faces is passed on unchanged.

        Returns:
            crops, float [B, H, W, 3], the report, and `Retries`.

        Raises:
            ValueError: an input does not fit, the inputs do not belong together, or the checker is the guide.
            FileNotFoundError: a model of the checker or the guide is missing.
            RuntimeError: InsightFace cannot be imported, or a model cannot be used.
        """
        scales_in_order = parse_scales(scales)
        check_images(crops)
        check_crops(trajectory, vae, faces, crops)
        judge = open_checker(checker, provider, threshold, DEFAULT_THRESHOLD, faces.model_pack)
        everyone = tuple(faces)
        if all(face.nobody for face in everyone):
            report = "nobody to change: nothing was generated"
            return io.NodeOutput(crops, report, Retries(faces.embeddings()[:0], ()), ui=ui.PreviewText(report))
        det_size = crop_search_size(max(crops.shape[1:3]), DEFAULT_DETECTOR_SIZE)
        progress = comfy.utils.ProgressBar(len(scales_in_order) * trajectory.steps)

        originals: dict[int, Original] = {}

        def similarity(row: int, crop: Tensor) -> float | None:
            comfy.model_management.throw_exception_if_processing_interrupted()
            if row not in originals:
                originals[row] = judge.original(to_picture(crops[row]), everyone[row])
            return judge.similarity_of_crop(originals[row], to_picture(crop), det_size)

        generate = generator(
            model,
            vae,
            trajectory,
            faces,
            attributes,
            identity_scale=identity_scale,
            source=source,
            callback=lambda step, denoised, y, steps: progress.update(1),
        )
        outcomes = retry_faces(len(everyone), scales_in_order, generate, similarity, judge.threshold)
        progress.update_absolute(progress.total)
        report = "\n".join(
            [
                f"checked by {judge.name} on {judge.recogniser.provider}, threshold {judge.threshold:.2f}",
                *(f"face {number}: {outcome}" for number, outcome in enumerate(outcomes, start=1)),
            ]
        )
        grey = torch.full((*crops.shape[1:3], 3), EMPTY_LEVEL)
        result = torch.stack([grey if one.crop is None else one.crop[..., :3].float().cpu() for one in outcomes])
        result = result.to(comfy.model_management.intermediate_device())
        retries = Retries(faces.embeddings(), tuple(one.retries for one in outcomes))
        return io.NodeOutput(result, report, retries, ui=ui.PreviewText(report))
