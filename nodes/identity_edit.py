"""Change who is in a picture, in one pass."""

from __future__ import annotations

from typing import Any

import comfy.model_management
import comfy.utils
import latent_preview
from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io
from torch import Tensor

from ..host.edit import Editor, edit_source
from ..reverse_personalization.geometry.faces import Faces
from ..reverse_personalization.method.guidance import DEFAULT_TOWARDS, IdentityGuidance
from ..reverse_personalization.method.target import IdentityTarget
from ..reverse_personalization.method.trajectory import Conditioning
from .checks import typed_guidance, typed_schedule
from .inputs import edit_inputs
from .sockets import CATEGORY, SEARCH_ALIASES


class ReverseIdentityEdit(io.ComfyNode):
    """LATENT + REVERSE_IDENTITY_FACES -> LATENT of somebody else: inversion and generation in one (eqs. 4 to 7)."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node."""
        return io.Schema(
            node_id="ReverseIdentityEdit",
            display_name="Change Identity",
            category=CATEGORY,
            description=(
                "Changes who is in a picture: inversion and generation in one pass, without a trajectory. fast takes "
                "23 evaluations of the network instead of 300."
            ),
            search_aliases=[*SEARCH_ALIASES, "negative guidance", "KSampler", "fast", "img2img"],
            inputs=list(edit_inputs().values()),
            outputs=[io.Latent.Output(tooltip="One latent for each that came in; decode them with the VAE.")],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def validate_inputs(
        cls,
        cfg: float | None = None,
        identity_scale: float | None = None,
        denoise: float | None = None,
        steps: int | None = None,
        towards: float | None = None,
    ) -> bool | str:
        """Refuse settings that cannot work before anything is computed."""
        return typed_schedule(steps, denoise) or typed_guidance(cfg, identity_scale, towards, cls.hidden)

    @classmethod
    def execute(
        cls,
        model: ModelPatcher,
        latent: dict[str, Any],
        faces: Faces,
        source: Conditioning,
        quality: str,
        cfg: float,
        denoise: float,
        seed: int,
        attributes: Conditioning | None = None,
        keep: Tensor | None = None,
        identity_scale: float = 1.0,
        steps: int = 0,
        target: IdentityTarget | None = None,
        towards: float = DEFAULT_TOWARDS,
    ) -> io.NodeOutput:
        """Edit every latent of the batch."""
        edited = edit_source(model, latent, source, quality=quality, steps=steps, denoise=denoise, seed=seed, keep=keep)
        samples = Editor(model, edited).run(
            faces,
            IdentityGuidance(cfg, attributes, identity_scale, target=target, towards=towards),
            callback=latent_preview.prepare_callback(model, edited.steps),
            disable_pbar=not comfy.utils.PROGRESS_BAR_ENABLED,
        )
        return io.NodeOutput({"samples": samples.to(comfy.model_management.intermediate_device())})
