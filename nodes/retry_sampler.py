"""Generate, check, and generate again with a stronger scale what is still recognisable."""

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

DEFAULT_SCALES = "-10, -14, -20"


class ReverseIdentityRetrySampler(io.ComfyNode):
    """A trajectory, its faces and crops -> crops of somebody else, each at the weakest scale that is enough."""

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
                "that it still recognises again at the next scale, on the same record. A face that fails at every "
                "scale is passed on as it is: Identity Check on the whole photograph finds it, Cover Faces covers it."
            ),
            search_aliases=[*SEARCH_ALIASES, "negative guidance", "KSampler", "retry", "verify"],
            inputs=[
                guidance["model"],
                io.Vae.Input("vae", tooltip="Decodes the faces; the one that encoded them."),
                guidance["trajectory"],
                guidance["faces"],
                io.Image.Input("crops", tooltip="The crops that were inverted, which the results are compared with."),
                io.String.Input(
                    "scales",
                    default=DEFAULT_SCALES,
                    tooltip=(
                        "Scales in the order they are tried, weakest first. More negative is less recognisable and "
                        "keeps expression, gaze and pose less well."
                    ),
                ),
                *checker_inputs(),
                guidance["attributes"],
                guidance["identity_scale"],
                guidance["source"],
                provider_input(),
            ],
            outputs=[
                io.Image.Output("crops", tooltip="One for each of the input's, decoded; grey if none came out finite."),
                io.String.Output("report", tooltip="For each face the scales that were tried and their similarity."),
                RetriesSocket.Output(
                    "retries", tooltip="The same for Identity Check, which passes it on to the report of the file."
                ),
            ],
            # The report stays on the node when the crops come from the cache.
            has_intermediate_output=True,
        )

    @classmethod
    def validate_inputs(cls, scales: str | None = None, identity_scale: float | None = None) -> bool | str:
        """Refuse scales that are no list, or that push nobody away, before anything is computed."""
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
        """Climb the ladder; not where there is nobody, see `ReverseIdentityFaceCrop`.

        Returns:
            crops, float [B, H, W, 3], the report, and `Retries`.

        Raises:
            ValueError: an input does not fit, see `parse_scales`, `check_images`, `check_crops`,
                `reverse_identity_guider` and `open_checker`.
            FileNotFoundError: see `open_checker`; also RuntimeError from there.
        """
        ladder = parse_scales(scales)
        check_images(crops)
        check_crops(trajectory, vae, faces, crops)
        judge = open_checker(checker, provider, threshold, DEFAULT_THRESHOLD, faces.model_pack)
        everyone = tuple(faces)
        if all(face.nobody for face in everyone):
            report = "nobody to change: nothing was generated"
            return io.NodeOutput(crops, report, Retries(faces.embeddings()[:0], ()), ui=ui.PreviewText(report))
        det_size = crop_search_size(max(crops.shape[1:3]), DEFAULT_DETECTOR_SIZE)
        progress = comfy.utils.ProgressBar(len(ladder) * trajectory.steps)

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
        outcomes = retry_faces(len(everyone), ladder, generate, similarity, judge.threshold)
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
