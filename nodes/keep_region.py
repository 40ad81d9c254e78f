"""Keep Region: keep a part of the picture as it is while the rest is generated."""

from __future__ import annotations

from comfy_api.latest import io
from torch import Tensor

from ..reverse_personalization.method.regions import keep_region
from ..reverse_personalization.method.trajectory import NoiseTrajectory
from .sockets import CATEGORY, SEARCH_ALIASES, NoiseTrajectorySocket

MODES = ("keep", "change")
"""What the white area of the mask means; the first is the default."""


class ReverseIdentityKeepRegion(io.ComfyNode):
    """REVERSE_IDENTITY_TRAJECTORY + MASK -> REVERSE_IDENTITY_TRAJECTORY that keeps a region."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs."""
        return io.Schema(
            node_id="ReverseIdentityKeepRegion",
            display_name="Keep Region",
            category=CATEGORY,
            description=(
                "Keeps eyes, mouth, glasses or any other part of the inverted picture while the rest is generated: "
                "the region is held in the latent during the run, so its surroundings fit it. What is kept still shows "
                "the person, so check the result."
            ),
            search_aliases=[*SEARCH_ALIASES, "inpaint", "NullFace", "latent noise mask", "eyes", "mouth", "glasses"],
            inputs=[
                NoiseTrajectorySocket.Input("trajectory", tooltip="From DPM-Solver++ Inversion."),
                io.Mask.Input(
                    "mask",
                    tooltip=(
                        "A mask of the inverted picture in its size, such as Face Region Mask makes: one for all "
                        "pictures or one for each. Grey lies between keeping and changing."
                    ),
                ),
                io.Combo.Input(
                    "mode",
                    options=list(MODES),
                    optional=True,
                    default=MODES[0],
                    tooltip="keep: the white area stays as it is. change: only the white area may change.",
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
                        "Fraction of the run that passes before the region is held. 0 holds it from the first step, 1 "
                        "only restores it after the last one. Later lets the rest change more but fits less well."
                    ),
                ),
            ],
            outputs=[
                NoiseTrajectorySocket.Output(
                    display_name="trajectory",
                    tooltip="The same trajectory, which is now replayed with the region kept.",
                )
            ],
        )

    @classmethod
    def execute(
        cls, trajectory: NoiseTrajectory, mask: Tensor, mode: str = MODES[0], start: float = 0.0
    ) -> io.NodeOutput:
        """Add the region to a copy of the trajectory.

        Args:
            trajectory: of the inverted pictures.
            mask: float [1, H, W] or [B, H, W] in [0, 1], in the pictures' size.
            mode: "keep" keeps the white area, "change" everything else.
            start: fraction of the run that passes before the region is held, in [0, 1].

        Raises:
            ValueError: the trajectory already keeps a region, or the mask does not fit its pictures.
        """
        return io.NodeOutput(keep_region(trajectory, mask, change=mode == MODES[1], start=start))
