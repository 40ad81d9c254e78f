"""The noise levels of a trajectory as SIGMAS, for SamplerCustomAdvanced."""

from __future__ import annotations

from comfy_api.latest import io

from ..reverse_personalization.method.trajectory import NoiseTrajectory
from .sockets import COMPOSE_CATEGORY, SEARCH_ALIASES, NoiseTrajectorySocket


class ReverseIdentityReplaySigmas(io.ComfyNode):
    """A trajectory's noise levels as SIGMAS."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node."""
        return io.Schema(
            node_id="ReverseIdentityReplaySigmas",
            display_name="Noise Trajectory Sigmas",
            category=COMPOSE_CATEGORY,
            description="The noise levels a trajectory was recorded at, noisiest first.",
            search_aliases=[*SEARCH_ALIASES, "schedule"],
            inputs=[NoiseTrajectorySocket.Input("trajectory", tooltip="From DPM-Solver++ Inversion.")],
            outputs=[io.Sigmas.Output(tooltip="N + 1 levels; the last is that of timestep 0, not zero.")],
        )

    @classmethod
    def execute(cls, trajectory: NoiseTrajectory) -> io.NodeOutput:
        """Hand out a copy of the levels."""
        return io.NodeOutput(trajectory.sigmas.clone())
