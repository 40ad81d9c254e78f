"""Inversion and replay as samplers of ComfyUI: it loads the model, prepares the text and shows previews."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import comfy.model_sampling
import comfy.samplers
import torch
from comfy.model_patcher import ModelPatcher
from torch import Tensor
from tqdm.auto import tqdm

from ..reverse_personalization.fingerprinting.fingerprint import ModelFingerprint
from ..reverse_personalization.method.ddim import replay_ddim
from ..reverse_personalization.method.regions import hold_region
from ..reverse_personalization.method.schedule import FIRST_TIMESTEP, timestep_noise, timesteps, visited_sigmas
from ..reverse_personalization.method.solver import Denoiser, Progress, invert, noisiest_copy, replay
from ..reverse_personalization.method.trajectory import Conditioning, NoiseTrajectory
from .guider import IdentityGuider, NegativeIdentityGuider, NullIdentityGuider
from .guider_checks import check_finite
from .memory import rows_that_fit
from .patches import may_share_a_call

Callback = Callable[[int, Tensor, Tensor, int], None]
"""The host's sampling callback: step, denoised [B, C, h, w], current x, number of steps."""

LARGEST_AUTOMATIC_BATCH = 16
"""More timesteps at once gain nothing, and make cancelling slow."""

_FLOAT64_DEVICES = ("cpu", "cuda")
"""Device types on which the solver's sums run; for all others (Apple's, some of Intel's) they run on the CPU."""


def sampling_sigmas(model: ModelPatcher, steps: int, denoise: float, cleanest: int = FIRST_TIMESTEP) -> Tensor:
    """Noise levels of a run, float32 [N + 1] on the CPU, noisiest first, the last at t = 0.

    Args:
        model: with a discrete noise schedule.
        steps: N.
        denoise: part of the schedule that is not skipped.
        cleanest: the last timestep, see `timesteps`.

    Raises:
        ValueError: the model has no such schedule, or `timesteps` refuses N.
    """
    sampling = model.get_model_object("model_sampling")
    if isinstance(sampling, comfy.model_sampling.CONST) or not hasattr(sampling, "sigmas"):
        raise ValueError(
            f"the model samples with {type(sampling).__name__}, but the inversion needs a schedule of discrete "
            "noise levels as SDXL and SD1.5 have; use such a model, or remove the node that changed its sampling"
        )
    return visited_sigmas(sampling.sigmas, timesteps(steps, denoise, len(sampling.sigmas), cleanest))


class InversionSampler(comfy.samplers.Sampler):
    """Finds the noise z_t of a latent; `z`, `x_T` and `x0` hold the result once the host has run it.

    Args:
        seed: of the noisy copies.
        batch: timesteps evaluated together, see `timesteps_together`; 0 lets the free memory decide.
        extrapolation_limit: of the solver.
    """

    def __init__(self, seed: int, batch: int, extrapolation_limit: float = math.inf) -> None:
        self.seed = seed
        self.batch = batch
        self.extrapolation_limit = extrapolation_limit
        self.z: Tensor | None = None
        self.x_T: Tensor | None = None
        self.x0: Tensor | None = None

    def sample(
        self,
        model_wrap: Any,
        sigmas: Tensor,
        extra_args: dict[str, Any],
        callback: Callback | None,
        noise: Tensor,
        latent_image: Tensor,
        denoise_mask: Tensor | None = None,
        disable_pbar: bool = False,
    ) -> Tensor:
        """Called by the host with the clean latent in model space, [B, C, h, w]."""
        levels = sigmas.tolist()
        steps = len(levels) - 1
        batch = self.batch or _batch_that_fits(model_wrap, latent_image)
        copies = timestep_noise(latent_image.shape[1:], steps, self.seed)
        x0 = latent_image.float().to(arithmetic_device(latent_image.device))
        x_T = noisiest_copy(x0, copies, levels)  # noqa: N806 - the paper's symbol
        with tqdm(total=steps, disable=disable_pbar, desc="inversion") as bar:
            z = invert(
                denoiser(model_wrap, {**extra_args, "seed": self.seed}, latent_image.device),
                x0,
                x_T,
                copies,
                levels,
                batch=min(batch, steps),
                extrapolation_limit=self.extrapolation_limit,
                progress=reported(bar, callback, steps),
            )
        self.z, self.x_T, self.x0 = z.cpu(), x_T.cpu(), x0.cpu()
        return latent_image


class ReplaySampler(comfy.samplers.Sampler):
    """Generates with a trajectory's noise; of the noise and latent that the host passes, only the size counts.

    Args:
        trajectory: to replay.
        finite: whether latents that are not finite are an error; the pack's own guiders check this themselves.
    """

    def __init__(self, trajectory: NoiseTrajectory, *, finite: bool = False) -> None:
        self.trajectory = trajectory
        self.finite = finite

    def sample(
        self,
        model_wrap: Any,
        sigmas: Tensor,
        extra_args: dict[str, Any],
        callback: Callback | None,
        noise: Tensor,
        latent_image: Tensor,
        denoise_mask: Tensor | None = None,
        disable_pbar: bool = False,
    ) -> Tensor:
        """Called by the host.

        Raises:
            ValueError: the sigmas or the latent's size are not the trajectory's, or there is a noise mask.
            RuntimeError: a latent came out with values that are not finite, see `finite`.
        """
        trajectory = self.trajectory
        if not isinstance(model_wrap, NegativeIdentityGuider):
            raise ValueError(
                f"the guider is {type(model_wrap).__name__}, which knows of no identity, so the record would give the "
                "photograph back; connect Reverse Identity Guider to SamplerCustomAdvanced"
            )
        if noise.shape != trajectory.x_T.shape:
            raise ValueError(
                f"the latent has the shape {tuple(noise.shape)}, but the trajectory was recorded for "
                f"{tuple(trajectory.x_T.shape)}; connect the latent that was inverted, or an empty one of its "
                "batch and size"
            )
        if not torch.equal(sigmas.cpu().float(), trajectory.sigmas):
            raise ValueError(
                f"the sigmas are {_levels(sigmas)}, but the trajectory was recorded at "
                f"{_levels(trajectory.sigmas)}; connect the trajectory's own sigmas"
            )
        if denoise_mask is not None:
            raise ValueError(
                "the latent has a noise mask, which a replay cannot honour; remove the mask from the latent"
            )
        device = arithmetic_device(noise.device)
        with tqdm(total=trajectory.steps, disable=disable_pbar, desc="generation") as bar:
            # Not the host's seed: the patches' random numbers must be those of the inversion.
            denoise = denoiser(model_wrap, {**extra_args, "seed": trajectory.seed}, noise.device)
            x_T, levels = trajectory.x_T.to(device), trajectory.sigmas.tolist()  # noqa: N806 - the paper's symbol
            progress = reported(bar, callback, trajectory.steps)
            if trajectory.deterministic:
                latent = replay_ddim(denoise, x_T, levels, progress=progress)
            else:
                latent = replay(
                    denoise,
                    x_T,
                    trajectory.z,
                    levels,
                    extrapolation_limit=trajectory.extrapolation_limit,
                    progress=progress,
                    hold=hold_region(trajectory, device),
                )
        samples = latent.float().to(noise.device)
        if self.finite:
            check_finite(samples)
        return samples


def record_trajectory(
    guider: NullIdentityGuider,
    latent: Tensor,
    sigmas: Tensor,
    source: Conditioning,
    *,
    seed: int,
    batch: int,
    extrapolation_limit: float = math.inf,
    fingerprint: ModelFingerprint,
    callback: Callback | None,
    disable_pbar: bool,
) -> NoiseTrajectory:
    """Invert a latent.

    Args:
        guider: that predicts under the null identity.
        latent: as ComfyUI's LATENT holds it, [B, C, h, w].
        sigmas: float32 [N + 1], see `sampling_sigmas`.
        source: the guider's text, for the record.
        seed: of the noisy copies.
        batch: timesteps that may be evaluated together; 0 lets the free memory decide.
        extrapolation_limit: of the solver, 0 or more.
        fingerprint: of the guider's model.
        callback: of the host, for previews and progress.
        disable_pbar: no progress bar on the console.

    Raises:
        RuntimeError: the recorded noise of a latent is not finite.
    """
    together = timesteps_together(guider, batch, len(sigmas) - 1)
    guider.reserve(max(1, together) * latent.shape[0])
    sampler = InversionSampler(seed, together, extrapolation_limit)
    nothing = torch.zeros_like(latent)  # the sampler brings its own noise
    guider.sample(nothing, latent, sampler, sigmas, callback=callback, disable_pbar=disable_pbar, seed=seed)
    assert sampler.z is not None
    assert sampler.x_T is not None
    assert sampler.x0 is not None
    check_finite(sampler.z.movedim(1, 0))
    return NoiseTrajectory(
        sigmas=sigmas,
        z=sampler.z,
        x_T=sampler.x_T,
        x0=sampler.x0,
        source=source,
        seed=seed,
        fingerprint=fingerprint,
        extrapolation_limit=extrapolation_limit,
    )


def replay_trajectory(
    guider: comfy.samplers.CFGGuider, trajectory: NoiseTrajectory, *, callback: Callback | None, disable_pbar: bool
) -> Tensor:
    """Generate every latent of a trajectory.

    Args:
        guider: that predicts.
        trajectory: to replay.
        callback: of the host, for previews and progress.
        disable_pbar: no progress bar on the console.

    Returns:
        as ComfyUI's LATENT holds it, [B, C, h, w].
    """
    nothing = torch.zeros_like(trajectory.x_T)  # the sampler brings its own noise and start
    return guider.sample(
        nothing,
        nothing,
        ReplaySampler(trajectory),
        trajectory.sigmas,
        callback=callback,
        disable_pbar=disable_pbar,
        seed=trajectory.seed,
    )


def timesteps_together(guider: NullIdentityGuider, batch: int, steps: int) -> int:
    """How many timesteps an inversion evaluates in one call.

    Args:
        guider: that predicts.
        batch: number wanted; 0 for as many as memory allows.
        steps: N.

    Returns:
        1 if the model or a text treats timesteps differently; else up to N, or 0 for what memory allows.
    """
    if not may_share_a_call(guider.model_patcher, guider.texts.values()):
        return 1
    return min(batch, steps)


def denoiser(model_wrap: Any, extra_args: dict[str, Any], device: torch.device) -> Denoiser:
    """A guider as the denoiser of a solver.

    Args:
        model_wrap: the guider, while it samples.
        extra_args: that the host passes to a sampler.
        device: on which the guider computes; the function takes and returns latents of any device, and takes levels on
            the CPU.
    """

    def denoise(y: Tensor, levels: Tensor) -> Tensor:
        rows = y.flatten(0, 1).to(device)
        of_rows = levels.repeat_interleave(y.shape[1]).to(device, non_blocking=True)
        if isinstance(model_wrap, IdentityGuider):
            model_wrap.announce(of_rows, float(levels[0]))
        return model_wrap(rows, of_rows, **extra_args).view_as(y).to(y.device)

    return denoise


def _batch_that_fits(guider: Any, latent: Tensor) -> int:
    """The largest power of two of timesteps that fits the free memory, by the host's own estimate."""
    shape = [LARGEST_AUTOMATIC_BATCH * latent.shape[0], *latent.shape[1:]]
    rows = rows_that_fit(guider.inner_model, guider.conds.values(), shape, latent.device)
    return 1 << (max(1, rows // latent.shape[0]).bit_length() - 1)


def arithmetic_device(device: torch.device) -> torch.device:
    """Where the solver's sums, which need float64, run: the device itself, or the CPU if it has none."""
    return device if device.type in _FLOAT64_DEVICES else torch.device("cpu")


def reported(bar: Any, callback: Callback | None, steps: int) -> Progress:
    """A `Progress` that moves a bar and calls the host's callback.

    Args:
        bar: of tqdm.
        callback: of the host, or None.
        steps: N.
    """

    def report(step: int, denoised: Tensor, y: Tensor) -> None:
        bar.update()
        if callback is not None:
            callback(step, denoised, y.float(), steps)

    return report


def _levels(sigmas: Tensor) -> str:
    return f"{len(sigmas)} levels from {float(sigmas[0]):.4g} to {float(sigmas[-1]):.4g}"
