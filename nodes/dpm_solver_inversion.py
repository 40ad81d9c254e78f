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
                "Records, step by step, the noise that leads back to a picture. Everything but the identity is "
                "kept in it. One evaluation of the network a step; other scales or attributes reuse the record."
            ),
            search_aliases=[*SEARCH_ALIASES, "invert", "DDIM inversion", "edit friendly"],
            inputs=[
                io.Model.Input("model", tooltip="With the identity adapter on it (Load Identity Adapter)."),
                io.Latent.Input("latent", tooltip="The picture, VAE-encoded; a batch is inverted in one call."),
                io.Conditioning.Input(
                    "source", tooltip="Text of the picture; the empty text, as in the paper, is right for most."
                ),
                io.Int.Input(
                    "steps",
                    default=100,
                    min=2,
                    max=1000,
                    tooltip="100 in the paper; 25 looks nearly the same. All of them lie in the part set by denoise.",
                ),
                io.Float.Input(
                    "denoise",
                    default=0.30,
                    min=0.003,
                    max=1.0,
                    step=0.01,
                    round=0.001,
                    tooltip=(
                        "How far back towards noise to go; 0.30 is the paper's skip of 0.7. Higher gives more "
                        "freedom to change the face and keeps less of the picture."
                    ),
                ),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=0xFFFFFFFFFFFFFFFF,
                    control_after_generate=io.ControlAfterGenerate.fixed,
                    tooltip="Of the noisy copies. The same seed and picture give the same record.",
                ),
                io.Conditioning.Input(
                    "negative",
                    optional=True,
                    advanced=True,
                    tooltip="Second text to guide the inversion with; only used where cfg is not 1.",
                ),
                io.Float.Input(
                    "cfg",
                    optional=True,
                    default=1.0,
                    min=-30.0,
                    max=30.0,
                    step=0.5,
                    round=0.01,
                    advanced=True,
                    tooltip=(
                        "Scale between source and negative during the inversion. 1: source only, one evaluation "
                        "a step. Without a negative it changes nothing."
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
                        "Timesteps evaluated together: faster on a large GPU; 0 = as many as memory allows (up to "
                        "16). With 1 the record gives the picture back to the last bit of rounding."
                    ),
                ),
            ],
            outputs=[
                NoiseTrajectorySocket.Output(
                    display_name="trajectory",
                    tooltip="The record; with it the picture can be given back, so it is as private as the picture.",
                )
            ],
        )

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
            fingerprint=fingerprint(model),
            callback=latent_preview.prepare_callback(model, steps),
            disable_pbar=not comfy.utils.PROGRESS_BAR_ENABLED,
        )
        return io.NodeOutput(trajectory)
