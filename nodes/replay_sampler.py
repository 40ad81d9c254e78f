"""The replay of a trajectory as a SAMPLER, for SamplerCustomAdvanced."""

from __future__ import annotations

from comfy_api.latest import io

from ..host.sampling import ReplaySampler
from ..reverse_personalization.method.trajectory import NoiseTrajectory
from .sockets import COMPOSE_CATEGORY, SEARCH_ALIASES, NoiseTrajectorySocket


class ReverseIdentityReplaySampler(io.ComfyNode):
    """The replay of recorded noise (eqs. 6 and 7) as a SAMPLER."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node."""
        return io.Schema(
            node_id="ReverseIdentityReplaySampler",
            display_name="Noise Trajectory Sampler",
            category=COMPOSE_CATEGORY,
            description=(
                "Replays a trajectory in SamplerCustomAdvanced. It brings its own start and noise: there, connect "
                "DisableNoise, the trajectory's sigmas, and the inverted latent, of which only the size counts."
            ),
            search_aliases=[*SEARCH_ALIASES, "replay", "DPM-Solver++"],
            inputs=[NoiseTrajectorySocket.Input("trajectory", tooltip="From DPM-Solver++ Inversion.")],
            outputs=[io.Sampler.Output(tooltip="For SamplerCustomAdvanced.")],
        )

    @classmethod
    def execute(cls, trajectory: NoiseTrajectory) -> io.NodeOutput:
        """Make the sampler."""
        return io.NodeOutput(ReplaySampler(trajectory, finite=True))
