"""Generate with the recorded noise, away from the person."""

from __future__ import annotations

import comfy.model_management
import comfy.utils
import latent_preview
from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io

from ..host.guider import reverse_identity_guider
from ..host.sampling import replay_trajectory
from ..reverse_personalization.geometry.faces import Faces
from ..reverse_personalization.method.guidance import DEFAULT_TOWARDS, IdentityGuidance
from ..reverse_personalization.method.target import IdentityTarget
from ..reverse_personalization.method.trajectory import Conditioning, NoiseTrajectory
from .checks import typed_guidance
from .inputs import guidance_inputs
from .sockets import CATEGORY, SEARCH_ALIASES


class ReverseIdentityKSampler(io.ComfyNode):
    """REVERSE_IDENTITY_TRAJECTORY + REVERSE_IDENTITY_FACES -> LATENT of somebody else (eqs. 5 to 7)."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node."""
        return io.Schema(
            node_id="ReverseIdentityKSampler",
            display_name="Reverse Identity Sampler",
            category=CATEGORY,
            description=(
                "Replays a trajectory while guidance at a negative scale pushes the face away from its "
                "identity. Two network evaluations per step."
            ),
            search_aliases=[*SEARCH_ALIASES, "negative guidance", "KSampler"],
            inputs=guidance_inputs(),
            outputs=[io.Latent.Output(tooltip="One latent for each of the trajectory's; decode them with the VAE.")],
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
        """Generate every latent of the trajectory's batch."""
        guidance = IdentityGuidance(cfg, attributes, identity_scale, source, target, towards)
        guider = reverse_identity_guider(model, trajectory, faces, guidance)
        samples = replay_trajectory(
            guider,
            trajectory,
            callback=latent_preview.prepare_callback(model, trajectory.steps),
            disable_pbar=not comfy.utils.PROGRESS_BAR_ENABLED,
        )
        return io.NodeOutput({"samples": samples.to(comfy.model_management.intermediate_device())})
