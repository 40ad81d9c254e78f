"""Inversion and replay as samplers of ComfyUI: it loads the model, prepares the text and shows previews."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import comfy.model_management
import comfy.model_sampling
import comfy.samplers
import torch
from comfy.model_patcher import ModelPatcher
from torch import Tensor
from tqdm.auto import tqdm

from ..reverse_personalization.fingerprint import ModelFingerprint
from ..reverse_personalization.regions import hold_region
from ..reverse_personalization.schedule import timestep_noise, timesteps, visited_sigmas
from ..reverse_personalization.solver import Denoiser, Progress, invert, noisiest_copy, replay
from ..reverse_personalization.trajectory import Conditioning, NoiseTrajectory

Callback = Callable[[int, Tensor, Tensor, int], None]
"""The host's sampling callback: step, denoised [B, C, h, w], current x, number of steps."""

LARGEST_AUTOMATIC_BATCH = 16
"""More timesteps at once gain nothing, and make cancelling slow."""

_FLOAT64_DEVICES = ("cpu", "cuda")


def sampling_sigmas(model: ModelPatcher, steps: int, denoise: float) -> Tensor:
    """Noise levels of a run, float32 [N + 1] on the CPU, noisiest first, the last at t = 0.

    Args:
        model: with a discrete noise schedule.
        steps: N.
        denoise: part of the schedule that is not skipped.

    Raises:
        ValueError: the model has no such schedule, or `timesteps` refuses N.
    """
    sampling = model.get_model_object("model_sampling")
    if isinstance(sampling, comfy.model_sampling.CONST) or not hasattr(sampling, "sigmas"):
        raise ValueError(
            f"the model samples with {type(sampling).__name__}, but the inversion needs a schedule of discrete "
            "noise levels as SDXL and SD1.5 have; use such a model, or remove the node that changed its sampling"
        )
    return visited_sigmas(sampling.sigmas, timesteps(steps, denoise, len(sampling.sigmas)))


class InversionSampler(comfy.samplers.Sampler):
    """Finds the noise z_t of a latent; `z`, `x_T` and `x0` hold the result once the host has run it.

    Args:
        seed: of the noisy copies.
        batch: timesteps evaluated together; 0 lets the free memory decide.
    """

    def __init__(self, seed: int, batch: int) -> None:
        self.seed = seed
        self.batch = batch
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
        conds = [cond for branch in model_wrap.conds.values() for cond in branch]
        batch = self.batch or _batch_that_fits(model_wrap, conds, latent_image.shape)
        if any(_depends_on_timestep(cond) for cond in conds):
            batch = 1
        copies = timestep_noise(latent_image.shape[1:], steps, self.seed)
        x_T = noisiest_copy(latent_image, copies, levels)  # noqa: N806 - the paper's symbol
        with tqdm(total=steps, disable=disable_pbar, desc="inversion") as bar:
            z = invert(
                _denoiser(model_wrap, extra_args),
                latent_image,
                x_T,
                copies,
                levels,
                batch=min(batch, steps),
                arithmetic=_arithmetic(latent_image.device),
                progress=_progress(bar, callback, steps),
            )
        self.z, self.x_T, self.x0 = z.cpu(), x_T.cpu(), latent_image.float().cpu()
        return latent_image


class ReplaySampler(comfy.samplers.Sampler):
    """Generates with a trajectory's noise; the noise and latent that the host passes count for their size.

    Args:
        trajectory: to replay.
    """

    def __init__(self, trajectory: NoiseTrajectory) -> None:
        self.trajectory = trajectory

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
        """
        trajectory = self.trajectory
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
        arithmetic = _arithmetic(noise.device)
        with tqdm(total=trajectory.steps, disable=disable_pbar, desc="generation") as bar:
            return replay(
                _denoiser(model_wrap, extra_args),
                trajectory.x_T.to(noise.device),
                trajectory.z,
                trajectory.sigmas.tolist(),
                arithmetic=arithmetic,
                progress=_progress(bar, callback, trajectory.steps),
                hold=hold_region(trajectory, noise.device, arithmetic),
            )


def record_trajectory(
    guider: comfy.samplers.CFGGuider,
    latent: Tensor,
    sigmas: Tensor,
    source: Conditioning,
    *,
    seed: int,
    batch: int,
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
        batch: timesteps evaluated together; 0 lets the free memory decide.
        fingerprint: of the guider's model.
        callback: of the host, for previews and progress.
        disable_pbar: no progress bar on the console.
    """
    sampler = InversionSampler(seed, batch)
    # The host reserves memory for the batch of the noise that it is handed.
    reserved = torch.zeros(max(1, batch) * latent.shape[0], *latent.shape[1:])
    guider.sample(reserved, latent, sampler, sigmas, callback=callback, disable_pbar=disable_pbar, seed=seed)
    assert sampler.z is not None
    assert sampler.x_T is not None
    assert sampler.x0 is not None
    return NoiseTrajectory(
        sigmas=sigmas,
        z=sampler.z,
        x_T=sampler.x_T,
        x0=sampler.x0,
        source=source,
        seed=seed,
        fingerprint=fingerprint,
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


def _denoiser(model_wrap: Any, extra_args: dict[str, Any]) -> Denoiser:
    """The guider as a function of [K, B, C, h, w] and K noise levels."""

    def denoise(y: Tensor, levels: Tensor) -> Tensor:
        comfy.model_management.throw_exception_if_processing_interrupted()
        rows = y.flatten(0, 1)
        return model_wrap(rows, levels.repeat_interleave(y.shape[1]), **extra_args).view_as(y)

    return denoise


def _batch_that_fits(model_wrap: Any, conds: list[dict[str, Any]], shape: torch.Size) -> int:
    """The largest power of two of timesteps that fits the free memory, by the host's own estimate."""
    model = model_wrap.inner_model
    free = model.current_patcher.get_free_memory(model_wrap.model_patcher.load_device)
    cond_shapes: dict[str, list[Any]] = {}
    for cond in conds:
        for key, value in cond["model_conds"].items():
            cond_shapes.setdefault(key, []).append(value.size())
    branches = len(model_wrap.conds)
    batch = LARGEST_AUTOMATIC_BATCH
    while batch > 1:
        rows = batch * branches * shape[0]
        # The margin is the host's, where it decides whether both branches of the guidance fit one batch.
        if model.memory_required([rows, *shape[1:]], cond_shapes=cond_shapes) * 1.5 < free:
            break
        batch //= 2
    return batch


def _depends_on_timestep(cond: dict[str, Any]) -> bool:
    """Whether the host decides by a batch's first timestep what a conditioning does."""
    return any(key in cond for key in ("timestep_start", "timestep_end", "control", "hooks"))


def _arithmetic(device: torch.device) -> torch.dtype:
    return torch.float64 if device.type in _FLOAT64_DEVICES else torch.float32


def _progress(bar: Any, callback: Callback | None, steps: int) -> Progress:
    def report(step: int, denoised: Tensor, y: Tensor) -> None:
        bar.update()
        if callback is not None:
            callback(step, denoised, y.float(), steps)

    return report


def _levels(sigmas: Tensor) -> str:
    return f"{len(sigmas)} levels from {float(sigmas[0]):.4g} to {float(sigmas[-1]):.4g}"
