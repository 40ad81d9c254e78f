"""Region control: a part of the picture that a replay leaves unchanged, held in the latent during generation.

After each step, the latent inside the region is replaced with the inverted picture's noisy copy at that level, as
masked diffusion samplers do (Avrahami, Lischinski, Fried, "Blended Latent Diffusion", 2023). The copies are those of
the inversion, so the surroundings fit the region at every level, and the region ends as the original's latent. NullFace
(Kung, Varanka, Sim, Sebe, 2025) keeps eyes, mouth or glasses this way while the identity changes.
"""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from .schedule import timestep_noise
from .solver import Hold, noisy_copy
from .trajectory import KeptRegion, NoiseTrajectory


def keep_region(trajectory: NoiseTrajectory, mask: Tensor, *, change: bool, start: float) -> NoiseTrajectory:
    """The same trajectory, replayed with a region held.

    Args:
        trajectory: without a region.
        mask: float [M, H, W] or [H, W] in [0, 1] (clipped), where M is 1 (one mask for all pictures) or B; H and W are
            the same whole multiple of the latent's height and width. White is kept.
        change: if true, white may change and black is kept.
        start: fraction of the run, in [0, 1], before the region is held; at 1 it is held only after the last step.

    Raises:
        ValueError: the trajectory already has a region or is one of DDIM, the mask does not fit its pictures or has
            values that are not finite, or `start` is outside [0, 1].
    """
    if trajectory.deterministic:
        raise ValueError(
            "the trajectory comes from DDIM Inversion, which has no noisy copies of the picture to hold a region with; "
            "use DPM-Solver++ Inversion"
        )
    if trajectory.region is not None:
        raise ValueError(
            "the trajectory already keeps a region, and it can keep only one; join the masks (Face Region Mask marks "
            "several parts at once, MaskComposite adds masks) and use one Keep Region node"
        )
    region = kept_region(mask, tuple(trajectory.x_T.shape), trajectory.steps, change=change, start=start)
    return replace(trajectory, region=region)


def kept_region(mask: Tensor, shape: tuple[int, ...], steps: int, *, change: bool, start: float) -> KeptRegion:
    """A region to hold during a run.

    Args:
        mask: float [M, H, W] or [H, W], as `keep_region` takes it.
        shape: of the latent, [B, C, h, w].
        steps: N.
        change: if true, white may change and black is kept.
        start: fraction of the run, in [0, 1], before the region is held.

    Raises:
        ValueError: the mask does not fit the latent or has values that are not finite, or `start` is outside [0, 1].
    """
    if not 0.0 <= start <= 1.0:
        raise ValueError(f"start is {start}; expected a fraction of the run from 0 (all steps) to 1 (the last step)")
    return KeptRegion(mask=latent_mask(mask, shape, change=change), first=round(start * (steps - 1)))


def latent_mask(mask: Tensor, shape: tuple[int, ...], *, change: bool) -> Tensor:
    """Reduce a mask to a latent's size; each latent pixel gets the mean of the pixels that it covers.

    Args:
        mask: float [M, H, W] or [H, W], as `keep_region` takes it.
        shape: of the latent, [B, C, h, w].
        change: if true, white may change and black is kept.

    Returns:
        float32 [B, 1, h, w] in [0, 1] on the CPU; 1 is kept.

    Raises:
        ValueError: the mask does not fit the latent or has values that are not finite.
    """
    batch, _, height, width = shape
    if mask.ndim not in (2, 3):
        raise ValueError(f"the mask has the shape {tuple(mask.shape)}; expected [batch, height, width]")
    masks = mask.detach().float().cpu().reshape(-1, 1, *mask.shape[-2:])
    if masks.shape[0] not in (1, batch):
        raise ValueError(
            f"there are {masks.shape[0]} masks for {batch} pictures in the trajectory; expected one for all or one "
            "for each, in the same order"
        )
    scale = masks.shape[2] // height
    if scale == 0 or tuple(masks.shape[2:]) != (scale * height, scale * width):
        raise ValueError(
            f"the mask is {masks.shape[3]}x{masks.shape[2]} pixels, but the latent is {width}x{height}; expected a "
            f"whole multiple of it, as the encoded picture has ({8 * width}x{8 * height} with an SDXL or SD1.5 VAE); "
            "make the mask from that picture, or resize it"
        )
    if not torch.isfinite(masks).all():
        raise ValueError("the mask has values that are not finite (NaN or infinity); the node that made it failed")
    white = F.avg_pool2d(masks.clamp(0, 1), scale)
    return (1 - white if change else white).expand(batch, -1, -1, -1).contiguous()


def hold_region(trajectory: NoiseTrajectory, device: torch.device) -> Hold | None:
    """The `hold` that keeps a trajectory's region unchanged in `solver.replay`; None if it has no region.

    Args:
        trajectory: the one to replay.
        device: to compute on, with float64.
    """
    region = trajectory.region
    if region is None:
        return None
    clean = trajectory.x0.to(device, torch.float64)
    noise = timestep_noise(clean.shape[1:], trajectory.steps, trajectory.seed)
    sigmas = trajectory.sigmas.tolist()
    kept = region.mask.to(device, torch.float64)

    def hold(i: int, y: Tensor) -> Tensor:
        if i <= region.first:
            return y
        # Written this way, a mask of exactly 1 or 0 gives the copy or y to the last bit.
        return kept * noisy_copy(clean, noise, sigmas, i) + (1 - kept) * y

    return hold


def hold_difference(region: KeptRegion | None, device: torch.device) -> Hold | None:
    """The `hold` that keeps a region unchanged in `delta.edit`; None if there is none.

    There y is the noisy copy plus a difference, so holding the copy where `kept` is 1 is to remove the difference.

    Args:
        region: to keep.
        device: to compute on, with float64.
    """
    if region is None:
        return None
    may_change = 1 - region.mask.to(device, torch.float64)
    first = region.first

    def hold(i: int, d: Tensor) -> Tensor:
        return d if i <= first else may_change * d

    return hold
