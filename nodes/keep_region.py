"""Keep a part of the picture as it is while the rest is generated."""

from __future__ import annotations

from comfy_api.latest import io
from torch import Tensor

from ..reverse_personalization.regions import keep_region
from ..reverse_personalization.trajectory import NoiseTrajectory
from .sockets import CATEGORY, SEARCH_ALIASES, NoiseTrajectorySocket

MODES = ("keep", "change")
"""What the white of the mask does; the first is the default."""


class KeepRegion(io.ComfyNode):
    """NOISE_TRAJECTORY + MASK -> NOISE_TRAJECTORY that gives a region back."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node."""
        return io.Schema(
            node_id="KeepRegion",
            display_name="Keep Region",
            category=CATEGORY,
            description=(
                "Keeps eyes, mouth, glasses or any other part of the inverted picture while the rest is generated: "
                "the region is held in the latent during the run, so that what is around it fits to it. What is kept "
                "still shows the person; check the result."
            ),
            search_aliases=[*SEARCH_ALIASES, "inpaint", "NullFace", "latent noise mask", "eyes", "mouth", "glasses"],
            inputs=[
                NoiseTrajectorySocket.Input("trajectory", tooltip="From DPM-Solver++ Inversion."),
                io.Mask.Input(
                    "mask",
                    tooltip=(
                        "Of the inverted picture, in its size (Face Region Mask); one for all or one for each. Grey "
                        "is between keeping and changing."
                    ),
                ),
                io.Combo.Input(
                    "mode",
                    options=list(MODES),
                    optional=True,
                    default=MODES[0],
                    tooltip="keep: white stays as it is. change: only white may change.",
                ),
                io.Float.Input(
                    "start",
                    optional=True,
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    round=0.001,
                    tooltip=(
                        "Part of the run that is left free before the region is held. 0 holds it from the first step, "
                        "1 puts it back after the last one only; later fits less well and lets the rest change more."
                    ),
                ),
            ],
            outputs=[
                NoiseTrajectorySocket.Output(
                    display_name="trajectory", tooltip="The same record, to be replayed with the region kept."
                )
            ],
        )

    @classmethod
    def execute(
        cls, trajectory: NoiseTrajectory, mask: Tensor, mode: str = MODES[0], start: float = 0.0
    ) -> io.NodeOutput:
        """Put the region into a copy of the trajectory."""
        return io.NodeOutput(keep_region(trajectory, mask, change=mode == MODES[1], start=start))
