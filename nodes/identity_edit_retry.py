"""Change who is in each crop in one pass, check the faces, and change those still recognisable more strongly."""

from __future__ import annotations

from typing import Any

from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io, ui
from torch import Tensor

from ..host.checker import open_checker
from ..host.edit import Editor, edit_source
from ..host.purifying import Purifier
from ..host.retry import RetryTask, editing, retried
from ..reverse_personalization.assurance.retry import parse_scales
from ..reverse_personalization.geometry.faces import Faces
from ..reverse_personalization.geometry.placement import Placements
from ..reverse_personalization.method.guidance import DEFAULT_TOWARDS
from ..reverse_personalization.method.target import IdentityTarget
from ..reverse_personalization.method.trajectory import Conditioning
from .checks import check_images, typed_checker, typed_retry, typed_schedule
from .inputs import (
    DEFAULT_PROVIDER,
    checker_inputs,
    edit_inputs,
    placed_inputs,
    provider_input,
    purify_input,
    scales_input,
    target_inputs,
)
from .sockets import CATEGORY, SEARCH_ALIASES, retry_outputs


class ReverseIdentityEditRetry(io.ComfyNode):
    """Latents, their faces and crops -> crops of somebody else, each at the weakest scale that suffices."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node."""
        edits = edit_inputs()
        return io.Schema(
            node_id="ReverseIdentityEditRetry",
            display_name="Change Identity with Retry",
            category=CATEGORY,
            description=(
                "Changes all faces in one pass at the first scale, checks them with a second recogniser, and changes "
                "those still recognisable at the next scale. A face that fails at every scale is passed on anyway: "
                "Identity Check on the whole photograph finds it, and Cover Faces hides it."
            ),
            search_aliases=[*SEARCH_ALIASES, "negative guidance", "KSampler", "fast", "retry", "verify"],
            inputs=[
                edits["model"],
                io.Vae.Input("vae", tooltip="Decodes the faces; use the VAE that encoded them."),
                edits["latent"],
                edits["faces"],
                io.Image.Input("crops", tooltip="The crops that were encoded; the results are compared with them."),
                edits["source"],
                edits["quality"],
                scales_input(),
                edits["denoise"],
                edits["seed"],
                *checker_inputs(),
                *placed_inputs(),
                edits["attributes"],
                edits["keep"],
                edits["identity_scale"],
                edits["steps"],
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
        denoise: float | None = None,
        steps: int | None = None,
        checker: str | None = None,
        towards: float | None = None,
    ) -> bool | str:
        """Refuse settings that cannot work before anything is computed."""
        refused = typed_schedule(steps, denoise) or typed_checker(checker, cls.hidden)
        return refused or typed_retry(scales, identity_scale, towards, cls.hidden)

    @classmethod
    def execute(
        cls,
        model: ModelPatcher,
        vae: Any,
        latent: dict[str, Any],
        faces: Faces,
        crops: Tensor,
        source: Conditioning,
        quality: str,
        scales: str,
        denoise: float,
        seed: int,
        checker: str,
        threshold: float = 0.0,
        image: Tensor | None = None,
        placements: Placements | None = None,
        attributes: Conditioning | None = None,
        keep: Tensor | None = None,
        identity_scale: float = 1.0,
        steps: int = 0,
        provider: str = DEFAULT_PROVIDER,
        purify: bool = False,
        target: IdentityTarget | None = None,
        towards: float = DEFAULT_TOWARDS,
    ) -> io.NodeOutput:
        """Edit, check and retry. The placeholder crop of a picture without faces is passed on unchanged.

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
        edited = edit_source(model, latent, source, quality=quality, steps=steps, denoise=denoise, seed=seed, keep=keep)
        task = RetryTask(
            regenerate=editing(Editor(model, edited)),
            latents=edited.samples.shape,
            steps=edited.steps,
            vae=vae,
            faces=faces,
            crops=crops,
            photographs=image,
            placements=placements,
            purifier=Purifier(vae, model, source) if purify else None,
            attributes=attributes,
            identity_scale=identity_scale,
            source=None,
            target=target,
            towards=towards,
        )
        judge = open_checker(checker, provider, threshold, faces.threshold, faces.model_pack)
        result, report, retries = retried(task, in_order, judge)
        return io.NodeOutput(result, report, retries, ui=ui.PreviewText(report))
