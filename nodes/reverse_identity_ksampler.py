"""Generate with the recorded noise, away from the person."""

from __future__ import annotations

import comfy.model_management
import comfy.utils
import latent_preview
from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io

from ..host.guider import reverse_identity_guider
from ..host.sampling import replay_trajectory
from ..reverse_personalization.faces import Faces
from ..reverse_personalization.guidance import IdentityGuidance, pushes_nobody
from ..reverse_personalization.trajectory import Conditioning, NoiseTrajectory
from .sockets import CATEGORY, SEARCH_ALIASES, FacesSocket, NoiseTrajectorySocket

SCALE_RANGE = (-30.0, 30.0)
IDENTITY_SCALE_RANGE = (0.0, 2.0)


def guidance_inputs() -> list[io.Input]:
    """Inputs that the sampler and the guider on its own have in common."""
    return [
        io.Model.Input("model", tooltip="The model, with its identity adapter, that made the trajectory."),
        NoiseTrajectorySocket.Input("trajectory", tooltip="From DPM-Solver++ Inversion."),
        FacesSocket.Input(
            "faces", tooltip="Whom to run away from: one face for each latent, in the same order (Embed Faces)."
        ),
        io.Conditioning.Input(
            "attributes",
            optional=True,
            tooltip=(
                "What the new face is to be like (Attribute Prompt). It steers the branch without identity, whose "
                "weight is 1 - cfg. Left open: the inversion's own text."
            ),
        ),
        io.Float.Input(
            "cfg",
            default=-10.0,
            min=SCALE_RANGE[0],
            max=SCALE_RANGE[1],
            step=0.5,
            round=0.01,
            tooltip=(
                "Negative: away from the person. -5 to -20 is the useful range with SDXL; more negative is less "
                "recognisable and keeps expression, gaze and pose less well. 0 gives the picture back, positive "
                "values give back or exaggerate the person."
            ),
        ),
        io.Float.Input(
            "identity_scale",
            optional=True,
            default=1.0,
            min=IDENTITY_SCALE_RANGE[0],
            max=IDENTITY_SCALE_RANGE[1],
            step=0.05,
            advanced=True,
            tooltip="Length of the identity vector before its projection, 1 in the paper; 0 only with a scale of 0.",
        ),
        io.Conditioning.Input(
            "source",
            optional=True,
            advanced=True,
            tooltip="Text of the identity's branch. Left open: the inversion's own text, as in the paper.",
        ),
    ]


def typed_guidance(cfg: float | None, identity_scale: float | None) -> bool | str:
    """What `validate_inputs` answers about the scales: True, or the reason for a refusal.

    Args:
        cfg: as typed into the node; None if it is linked or left out.
        identity_scale: the same.
    """
    # The host leaves the ranges of what a node validates to the node.
    for name, value, (least, most) in (
        ("cfg", cfg, SCALE_RANGE),
        ("identity_scale", identity_scale, IDENTITY_SCALE_RANGE),
    ):
        if value is not None and not least <= value <= most:
            return f"{name} is {value:g}; expected {least:g} to {most:g}"
    reason = None if cfg is None or identity_scale is None else pushes_nobody(cfg, identity_scale)
    return reason or True


class ReverseIdentityKSampler(io.ComfyNode):
    """NOISE_TRAJECTORY + FACES -> LATENT of somebody else (eqs. 5 to 7)."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node."""
        return io.Schema(
            node_id="ReverseIdentityKSampler",
            display_name="Reverse Identity Sampler",
            category=CATEGORY,
            description=(
                "Replays a recorded picture while guidance at a negative scale pushes the face away from its "
                "identity. Two evaluations of the network a step."
            ),
            search_aliases=[*SEARCH_ALIASES, "negative guidance", "KSampler"],
            inputs=guidance_inputs(),
            outputs=[io.Latent.Output(tooltip="One latent for each of the trajectory's, to be VAE-decoded.")],
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
        """Generate every latent of the trajectory's batch."""
        guider = reverse_identity_guider(
            model, trajectory, faces, IdentityGuidance(cfg, attributes, identity_scale, source)
        )
        samples = replay_trajectory(
            guider,
            trajectory,
            callback=latent_preview.prepare_callback(model, trajectory.steps),
            disable_pbar=not comfy.utils.PROGRESS_BAR_ENABLED,
        )
        return io.NodeOutput({"samples": samples.to(comfy.model_management.intermediate_device())})
