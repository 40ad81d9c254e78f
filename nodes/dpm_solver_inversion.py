"""Invert a latent: find the noise that leads back to it."""

from __future__ import annotations

from typing import Any

import comfy.utils
import latent_preview
from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io

from ..host.fingerprint import fingerprint
from ..host.guider import NullIdentityGuider
from ..host.latent import checked_samples
from ..host.sampling import record_trajectory, sampling_sigmas
from ..reverse_personalization.method.trajectory import Conditioning
from .checks import typed_schedule
from .inputs import NO_EXTRAPOLATION_LIMIT, SCALE_RANGE, denoise_input, extrapolation_limit_input, seed_input
from .sockets import CATEGORY, SEARCH_ALIASES, NoiseTrajectorySocket


class DPMSolverInversion(io.ComfyNode):
    """LATENT -> REVERSE_IDENTITY_TRAJECTORY under the null identity (eq. 4)."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node."""
        return io.Schema(
            node_id="DPMSolverInversion",
            display_name="DPM-Solver++ Inversion",
            category=CATEGORY,
            description=(
                "Records, step by step, the noise that leads back to a picture. The trajectory keeps everything but "
                "the identity and can be replayed at any scale and with any attributes. One network evaluation per "
                "step."
            ),
            search_aliases=[*SEARCH_ALIASES, "invert", "DDIM inversion", "edit friendly"],
            inputs=[
                io.Model.Input("model", tooltip="The model with its identity adapter (Load Identity Adapter)."),
                io.Latent.Input("latent", tooltip="The picture, VAE-encoded; a batch is inverted in one call."),
                io.Conditioning.Input(
                    "source", tooltip="Text that describes the picture; usually empty, as in the paper."
                ),
                io.Int.Input(
                    "steps",
                    default=100,
                    min=2,
                    max=1000,
                    tooltip="100 in the paper; 25 looks nearly the same. All steps lie in the part that denoise sets.",
                ),
                denoise_input(),
                seed_input(),
                io.Conditioning.Input(
                    "negative",
                    optional=True,
                    advanced=True,
                    tooltip="Second text that guides the inversion; used only if cfg is not 1.",
                ),
                io.Float.Input(
                    "cfg",
                    optional=True,
                    default=1.0,
                    min=SCALE_RANGE[0],
                    max=SCALE_RANGE[1],
                    step=0.5,
                    round=0.01,
                    advanced=True,
                    tooltip=(
                        "Guidance scale between source and negative during the inversion. 1: source only, one "
                        "evaluation per step. Has no effect without a negative."
                    ),
                ),
                io.Int.Input(
                    "batch",
                    optional=True,
                    default=1,
                    min=0,
                    max=1000,
                    advanced=True,
                    tooltip=(
                        "Timesteps evaluated together: more is faster on a large GPU; 0 takes as many as memory allows "
                        "(up to 16). At 1 the trajectory reproduces the picture up to rounding."
                    ),
                ),
                extrapolation_limit_input(NO_EXTRAPOLATION_LIMIT),
            ],
            outputs=[
                NoiseTrajectorySocket.Output(
                    display_name="trajectory",
                    tooltip="The trajectory. It can reproduce the picture, so it is just as private.",
                )
            ],
        )

    @classmethod
    def validate_inputs(cls, steps: int | None = None, denoise: float | None = None) -> bool | str:
        """Refuse a schedule that cannot be before anything is computed."""
        return typed_schedule(steps, denoise) or True

    @classmethod
    def execute(
        cls,
        model: ModelPatcher,
        latent: dict[str, Any],
        source: Conditioning,
        steps: int,
        denoise: float,
        seed: int,
        negative: Conditioning | None = None,
        cfg: float = 1.0,
        batch: int = 1,
        extrapolation_limit: float = NO_EXTRAPOLATION_LIMIT,
    ) -> io.NodeOutput:
        """Invert every latent of the batch."""
        samples = checked_samples(model, latent)
        sigmas = sampling_sigmas(model, steps, denoise)
        trajectory = record_trajectory(
            NullIdentityGuider(model, source, negative, cfg),
            samples,
            sigmas,
            source,
            seed=seed,
            batch=batch,
            extrapolation_limit=extrapolation_limit,
            fingerprint=fingerprint(model),
            callback=latent_preview.prepare_callback(model, steps),
            disable_pbar=not comfy.utils.PROGRESS_BAR_ENABLED,
        )
        return io.NodeOutput(trajectory)
