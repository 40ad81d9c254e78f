"""Generate faces, check them, and generate those still recognisable again at a stronger scale."""

from __future__ import annotations

from typing import Any

from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io, ui
from torch import Tensor

from ..host.checker import open_checker
from ..host.purifying import Purifier
from ..host.retry import RetryTask, replaying, retried
from ..reverse_personalization.assurance.retry import parse_scales
from ..reverse_personalization.geometry.faces import Faces
from ..reverse_personalization.geometry.placement import Placements
from ..reverse_personalization.method.guidance import DEFAULT_TOWARDS
from ..reverse_personalization.method.target import IdentityTarget
from ..reverse_personalization.method.trajectory import Conditioning, NoiseTrajectory
from .checks import check_images, typed_checker, typed_retry
from .inputs import (
    DEFAULT_PROVIDER,
    checker_inputs,
    guidance_inputs,
    placed_inputs,
    provider_input,
    purify_input,
    scales_input,
    target_inputs,
)
from .sockets import CATEGORY, SEARCH_ALIASES, retry_outputs


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
                scales_input(),
                *checker_inputs(),
                *placed_inputs(),
                guidance["attributes"],
                guidance["identity_scale"],
                guidance["source"],
                provider_input(),
                purify_input(),
                *target_inputs(),
            ],
            outputs=retry_outputs(),
            hidden=[io.Hidden.unique_id],
            # The report stays on the node when the crops come from the cache.
            has_intermediate_output=True,
        )

    @classmethod
    def validate_inputs(
        cls,
        scales: str | None = None,
        identity_scale: float | None = None,
        checker: str | None = None,
        towards: float | None = None,
    ) -> bool | str:
        """Refuse scales that are no list or push nobody away, and a checker that cannot check, when it is queued."""
        return typed_checker(checker, cls.hidden) or typed_retry(scales, identity_scale, towards, cls.hidden)

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
        image: Tensor | None = None,
        placements: Placements | None = None,
        attributes: Conditioning | None = None,
        identity_scale: float = 1.0,
        source: Conditioning | None = None,
        provider: str = DEFAULT_PROVIDER,
        purify: bool = False,
        target: IdentityTarget | None = None,
        towards: float = DEFAULT_TOWARDS,
    ) -> io.NodeOutput:
        """Generate, check and retry. The placeholder crop of a picture without faces is passed on unchanged.

        Returns:
            crops, float [B, H, W, 3], the report, and `Retries`.

        Raises:
            ValueError: an input does not fit, the inputs do not belong together, or the checker is the guide.
            FileNotFoundError: a model of the checker or the guide is missing.
            RuntimeError: InsightFace cannot be imported, or a model cannot be used.
        """
        in_order = parse_scales(scales)
        check_images(crops, "crops")
        if image is not None:
            check_images(image)
        task = RetryTask(
            regenerate=replaying(model, trajectory),
            latents=trajectory.x_T.shape,
            steps=trajectory.steps,
            vae=vae,
            faces=faces,
            crops=crops,
            photographs=image,
            placements=placements,
            purifier=Purifier(vae, model, trajectory.source if source is None else source) if purify else None,
            attributes=attributes,
            identity_scale=identity_scale,
            source=source,
            target=target,
            towards=towards,
        )
        judge = open_checker(checker, provider, threshold, faces.threshold, faces.model_pack)
        result, report, retries = retried(task, in_order, judge)
        return io.NodeOutput(result, report, retries, ui=ui.PreviewText(report))
