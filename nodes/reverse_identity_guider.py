"""The guidance of the Reverse Identity Sampler as a separate node, for SamplerCustomAdvanced."""

from __future__ import annotations

from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io

from ..host.guider import reverse_identity_guider
from ..reverse_personalization.geometry.faces import Faces
from ..reverse_personalization.method.guidance import DEFAULT_TOWARDS, IdentityGuidance
from ..reverse_personalization.method.target import IdentityTarget
from ..reverse_personalization.method.trajectory import Conditioning, NoiseTrajectory
from .checks import typed_guidance
from .inputs import guidance_inputs
from .sockets import COMPOSE_CATEGORY, SEARCH_ALIASES


class ReverseIdentityGuider(io.ComfyNode):
    """Negative identity guidance (eq. 5) as a GUIDER."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node."""
        return io.Schema(
            node_id="ReverseIdentityGuider",
            display_name="Reverse Identity Guider",
            category=COMPOSE_CATEGORY,
            description="The guidance of the Reverse Identity Sampler alone, for SamplerCustomAdvanced.",
            search_aliases=[*SEARCH_ALIASES, "negative guidance", "CFGGuider"],
            inputs=guidance_inputs(),
            outputs=[io.Guider.Output(tooltip="For SamplerCustomAdvanced.")],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def validate_inputs(
        cls, cfg: float | None = None, identity_scale: float | None = None, towards: float | None = None
    ) -> bool | str:
        """Refuse a setting that pushes nobody away before anything is computed."""
        return typed_guidance(cfg, identity_scale, towards, cls.hidden)

    @classmethod
    def execute(
        cls,
        model: ModelPatcher,
        trajectory: NoiseTrajectory,
        faces: Faces,
        cfg: float,
        attributes: Conditioning | None = None,
        identity_scale: float = 1.0,
        source: Conditioning | None = None,
        target: IdentityTarget | None = None,
        towards: float = DEFAULT_TOWARDS,
    ) -> io.NodeOutput:
        """Make the guider."""
        guidance = IdentityGuidance(cfg, attributes, identity_scale, source, target, towards)
        return io.NodeOutput(reverse_identity_guider(model, trajectory, faces, guidance))
