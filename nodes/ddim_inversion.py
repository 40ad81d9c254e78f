"""DDIM Inversion: the deterministic inversion that the paper compares its own with."""

from __future__ import annotations

from typing import Any

import comfy.utils
import latent_preview
from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io

from ..host.ddim import record_ddim
from ..host.fingerprint import fingerprint
from ..host.guider import NullIdentityGuider
from ..host.latent import checked_samples
from ..host.sampling import sampling_sigmas
from ..reverse_personalization.method.trajectory import Conditioning
from .checks import typed_schedule
from .inputs import denoise_input
from .sockets import CATEGORY, SEARCH_ALIASES, NoiseTrajectorySocket


class ReverseIdentityDDIMInversion(io.ComfyNode):
    """A latent -> a trajectory without noise."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node."""
        return io.Schema(
            node_id="ReverseIdentityDDIMInversion",
            display_name="DDIM Inversion",
            category=CATEGORY,
            description=(
                "Follows a picture deterministically to the noise from which it would be generated, as the paper does "
                "for comparison. Nothing is recorded on the way, so that the picture does not quite come back, and "
                "strong guidance leads further away from it than with DPM-Solver++ Inversion. One network evaluation "
                "per step."
            ),
            search_aliases=[*SEARCH_ALIASES, "invert", "DDIM", "deterministic", "ablation"],
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
                    tooltip=(
                        "More steps bring the picture back more closely. All of them lie in the part that denoise sets."
                    ),
                ),
                denoise_input(),
            ],
            outputs=[
                NoiseTrajectorySocket.Output(
                    display_name="trajectory",
                    tooltip=(
                        "The trajectory, for any node that takes one but Keep Region. It can nearly reproduce the "
                        "picture, so it is just as private."
                    ),
                )
            ],
        )

    @classmethod
    def validate_inputs(cls, steps: int | None = None, denoise: float | None = None) -> bool | str:
        """Refuse a schedule that cannot be before anything is computed."""
        return typed_schedule(steps, denoise) or True

    @classmethod
    def execute(
        cls, model: ModelPatcher, latent: dict[str, Any], source: Conditioning, steps: int, denoise: float
    ) -> io.NodeOutput:
        """Invert every latent of the batch.

        Args:
            model: with an identity adapter.
            latent: ComfyUI's LATENT.
            source: text of the photograph.
            steps: N, 2 or more.
            denoise: part of the schedule that is not skipped, in (0, 1].

        Raises:
            ValueError: the model cannot invert this latent in these steps.
            RuntimeError: the noisy latent is not finite.
        """
        samples = checked_samples(model, latent)
        sigmas = sampling_sigmas(model, steps, denoise)
        trajectory = record_ddim(
            NullIdentityGuider(model, source, None, 1.0),
            samples,
            sigmas,
            source,
            fingerprint=fingerprint(model),
            callback=latent_preview.prepare_callback(model, steps),
            disable_pbar=not comfy.utils.PROGRESS_BAR_ENABLED,
        )
        return io.NodeOutput(trajectory)
