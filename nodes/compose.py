"""The sampler's parts as nodes of their own, for the host's SamplerCustomAdvanced."""

from __future__ import annotations

from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io

from ..host.guider import reverse_identity_guider
from ..host.sampling import ReplaySampler
from ..reverse_personalization.geometry.faces import Faces
from ..reverse_personalization.method.guidance import IdentityGuidance
from ..reverse_personalization.method.trajectory import Conditioning, NoiseTrajectory
from .checks import typed_guidance
from .inputs import guidance_inputs
from .sockets import CATEGORY, SEARCH_ALIASES, NoiseTrajectorySocket

_CATEGORY = f"{CATEGORY}/compose"


class ReverseIdentityGuider(io.ComfyNode):
    """Negative identity guidance (eq. 5) as a GUIDER."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node."""
        return io.Schema(
            node_id="ReverseIdentityGuider",
            display_name="Reverse Identity Guider",
            category=_CATEGORY,
            description="The guidance of the Reverse Identity Sampler alone, for SamplerCustomAdvanced.",
            search_aliases=[*SEARCH_ALIASES, "negative guidance", "CFGGuider"],
            inputs=guidance_inputs(),
            outputs=[io.Guider.Output(tooltip="For SamplerCustomAdvanced.")],
        )

    @classmethod
    def validate_inputs(cls, cfg: float | None = None, identity_scale: float | None = None) -> bool | str:
        """Refuse a setting that pushes nobody away before anything is computed."""
        return typed_guidance(cfg, identity_scale)

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
    ) -> io.NodeOutput:
        """Make the guider."""
        return io.NodeOutput(
            reverse_identity_guider(model, trajectory, faces, IdentityGuidance(cfg, attributes, identity_scale, source))
        )


class NoiseTrajectorySampler(io.ComfyNode):
    """The replay of recorded noise (eqs. 6 and 7) as a SAMPLER."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node."""
        return io.Schema(
            node_id="NoiseTrajectorySampler",
            display_name="Noise Trajectory Sampler",
            category=_CATEGORY,
            description=(
                "Replays a trajectory in SamplerCustomAdvanced. It brings its own start and noise, so connect "
                "DisableNoise there, the trajectory's sigmas, and the inverted latent for the size."
            ),
            search_aliases=[*SEARCH_ALIASES, "replay", "DPM-Solver++"],
            inputs=[NoiseTrajectorySocket.Input("trajectory", tooltip="From DPM-Solver++ Inversion.")],
            outputs=[io.Sampler.Output(tooltip="For SamplerCustomAdvanced.")],
        )

    @classmethod
    def execute(cls, trajectory: NoiseTrajectory) -> io.NodeOutput:
        """Make the sampler."""
        return io.NodeOutput(ReplaySampler(trajectory, finite=True))


class NoiseTrajectorySigmas(io.ComfyNode):
    """A trajectory's noise levels as SIGMAS."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node."""
        return io.Schema(
            node_id="NoiseTrajectorySigmas",
            display_name="Noise Trajectory Sigmas",
            category=_CATEGORY,
            description="The noise levels a trajectory was recorded at, noisiest first.",
            search_aliases=[*SEARCH_ALIASES, "schedule"],
            inputs=[NoiseTrajectorySocket.Input("trajectory", tooltip="From DPM-Solver++ Inversion.")],
            outputs=[io.Sigmas.Output(tooltip="N + 1 levels; the last is that of timestep 0, not zero.")],
        )

    @classmethod
    def execute(cls, trajectory: NoiseTrajectory) -> io.NodeOutput:
        """Hand out a copy of the levels."""
        return io.NodeOutput(trajectory.sigmas.clone())
