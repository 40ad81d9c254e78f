"""Identity Scale Sweep: every face at several scales, side by side, and how similar it still is to the original."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io, ui
from torch import Tensor

from ..host.checker import open_checker
from ..host.edit import Editor, edit_source
from ..host.queued_graph import checkpoint_of
from ..host.retry import RetryTask, editing
from ..host.scale_sweep import curve, sweep_report, swept
from ..reverse_personalization.assurance.retry import parse_scales
from ..reverse_personalization.geometry.faces import Faces
from ..reverse_personalization.method.trajectory import Conditioning
from .checks import check_images, typed_checker, typed_retry, typed_schedule
from .inputs import DEFAULT_PROVIDER, checker_inputs, edit_inputs, provider_input, scales_input
from .sockets import CATEGORY, SEARCH_ALIASES

DEFAULT_SWEEP = "-5, -10, -15, -20"
"""What is useful with SDXL."""

CURVE = "guidance_curve"
"""Key under which the editor gets what was measured."""


class ReverseIdentityScaleSweep(io.ComfyNode):
    """Latents, their faces and crops -> a strip of each face at several scales, with its similarities."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node."""
        edits = edit_inputs()
        return io.Schema(
            node_id="ReverseIdentityScaleSweep",
            display_name="Identity Scale Sweep",
            category=CATEGORY,
            description=(
                "Changes every face at several scales, shows the results side by side behind the original, and "
                "measures how similar each still is to it. The editor draws these figures beside cfg and remembers "
                "them for the checkpoint."
            ),
            search_aliases=[*SEARCH_ALIASES, "guidance", "cfg", "strength", "compare", "XY plot"],
            inputs=[
                edits["model"],
                io.Vae.Input("vae", tooltip="Decodes the faces; use the VAE that encoded them."),
                edits["latent"],
                edits["faces"],
                io.Image.Input("crops", tooltip="The crops that were encoded; the results are compared with them."),
                edits["source"],
                edits["quality"],
                scales_input(DEFAULT_SWEEP),
                edits["denoise"],
                edits["seed"],
                *checker_inputs(),
                edits["attributes"],
                edits["identity_scale"],
                edits["steps"],
                provider_input(),
            ],
            outputs=[
                io.Image.Output("strips", tooltip="For each face its crop, and after it the result at every scale."),
                io.String.Output("report", tooltip="The similarity of each face at every scale."),
            ],
            hidden=[io.Hidden.unique_id, io.Hidden.prompt],
            # The figures stay on the node when the strips come from the cache.
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
    ) -> bool | str:
        """Refuse settings that cannot work before anything is computed."""
        refused = typed_schedule(steps, denoise) or typed_checker(checker, cls.hidden)
        return refused or typed_retry(scales, identity_scale, None, cls.hidden)

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
        attributes: Conditioning | None = None,
        identity_scale: float = 1.0,
        steps: int = 0,
        provider: str = DEFAULT_PROVIDER,
    ) -> io.NodeOutput:
        """Change every face at every scale.

        Returns:
            Strips, float [B, H, W * (1 + S), 3] for S scales, and the report. The editor is told the figures, and
            nothing of the picture.

        Raises:
            ValueError: an input does not fit, the inputs do not belong together, there is nobody in a crop, or the
                checker is the guide.
            FileNotFoundError: a model of the checker or the guide is missing.
            RuntimeError: InsightFace cannot be imported, or a model cannot be used.
        """
        in_order = parse_scales(scales)
        check_images(crops, "crops")
        if any(face.nobody for face in faces):
            raise ValueError(
                "there is a crop without a face; expected a photograph in which Embed Faces finds somebody"
            )
        edited = edit_source(model, latent, source, quality=quality, steps=steps, denoise=denoise, seed=seed, keep=None)
        task = RetryTask(
            regenerate=editing(Editor(model, edited)),
            latents=edited.samples.shape,
            steps=edited.steps,
            vae=vae,
            faces=faces,
            crops=crops,
            attributes=attributes,
            identity_scale=identity_scale,
            source=None,
        )
        judge = open_checker(checker, provider, threshold, faces.threshold, faces.model_pack)
        strips, points = swept(task, edited.samples, in_order, judge)
        report = sweep_report(points, judge)
        measured = curve(
            points,
            judge.threshold,
            checkpoint=checkpoint_of(getattr(cls.hidden, "prompt", None) or {}, getattr(cls.hidden, "unique_id", None)),
            quality=quality,
            checker=judge.name,
            date=datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S"),
        )
        return io.NodeOutput(strips, report, ui={**ui.PreviewText(report).as_dict(), CURVE: [measured]})
