"""The edit in one pass: inversion and generation together, without a recorded trajectory (`method.delta`).

A model that carries nothing but the identity adapter, with one plain text on each branch, is evaluated in the delta
form: source, null identity, identity and target in one call. Anything else - patches of other packs, ControlNets,
areas, texts limited to timesteps - gets an inversion and its replay, because these see what is evaluated, when and in
which order. Both give the same latents within rounding.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import comfy.samplers
import torch
from comfy.model_patcher import ModelPatcher
from torch import Tensor
from tqdm.auto import tqdm

from ..reverse_personalization.geometry.faces import Faces
from ..reverse_personalization.method.delta import Branch, GuidedPairs, SourcePredictions, edit
from ..reverse_personalization.method.guidance import IdentityGuidance
from ..reverse_personalization.method.quality import QUALITIES
from ..reverse_personalization.method.regions import hold_difference, kept_region
from ..reverse_personalization.method.schedule import NoiseDraws
from ..reverse_personalization.method.trajectory import Conditioning, KeptRegion, NoiseTrajectory
from .fingerprint import fingerprint
from .guider import NullIdentityGuider, reverse_identity_guider
from .guider_checks import check_one_face_each, check_weight
from .latent import checked_samples
from .patches import may_share_a_call
from .rows import check_rows, select_rows, stacked
from .sampling import (
    Callback,
    arithmetic_device,
    denoiser,
    record_trajectory,
    replay_trajectory,
    reported,
    sampling_sigmas,
)
from .stacked_guider import StackedGuider

ORDER = (Branch.SOURCE, Branch.NULL, Branch.IDENTITY, Branch.TARGET)
"""In which order the branches' rows are stacked; without a target there are three."""


@dataclass(frozen=True, eq=False)
class EditSource:
    """What is edited, and how finely.

    Attributes:
        samples: as ComfyUI's LATENT holds them, [B, C, h, w].
        text: of the photograph.
        sigmas: float32 [N + 1], see `sampling.sampling_sigmas`.
        seed: of the noisy copies.
        extrapolation_limit: of the solver.
        region: the part that must not change; None if everything may.
        gain: factor on the guidance scale.
    """

    samples: Tensor = field(repr=False)
    text: Conditioning = field(repr=False)
    sigmas: Tensor
    seed: int
    extrapolation_limit: float = math.inf
    region: KeptRegion | None = None
    gain: float = 1.0

    @property
    def batch(self) -> int:
        """B, the number of latents."""
        return self.samples.shape[0]

    @property
    def steps(self) -> int:
        """N."""
        return len(self.sigmas) - 1

    def select(self, rows: Sequence[int]) -> EditSource:
        """Some of the latents, each of which is edited as in the whole batch.

        Args:
            rows: numbers of latents from 0, in the order wanted.
        """
        chosen, region = list(rows), self.region
        return replace(
            self,
            samples=self.samples[chosen],
            text=select_rows(self.text, rows, self.batch),
            region=None if region is None else replace(region, mask=region.mask[chosen]),
        )


def edit_source(
    model: ModelPatcher,
    latent: dict[str, Any],
    text: Conditioning,
    *,
    quality: str,
    steps: int,
    denoise: float,
    seed: int,
    keep: Tensor | None,
) -> EditSource:
    """What a node's inputs say is to be edited.

    Args:
        model: with a discrete noise schedule.
        latent: ComfyUI's LATENT.
        text: of the photograph.
        quality: a key of `QUALITIES`.
        steps: N; 0 for the quality's.
        denoise: part of the schedule that is not skipped, in (0, 1].
        seed: of the noisy copies.
        keep: mask [H, W] or [M, H, W] in [0, 1] of what must not change, as `regions.keep_region` takes it, or None.

    Raises:
        ValueError: the model cannot invert this latent in these steps, the quality is unknown, or the mask does not
            fit.
    """
    if quality not in QUALITIES:
        raise ValueError(f'quality is "{quality}"; expected {" or ".join(QUALITIES)}')
    chosen = QUALITIES[quality]
    samples = checked_samples(model, latent)
    sigmas = sampling_sigmas(model, steps or chosen.steps_at(denoise), denoise, chosen.cleanest_at(denoise))
    region = None
    if keep is not None:
        region = kept_region(keep, tuple(samples.shape), len(sigmas) - 1, change=False, start=0.0)
    return EditSource(samples, text, sigmas, seed, chosen.extrapolation_limit, region, chosen.gain)


class Editor:
    """Edits one source, at several scales if asked: what does not depend on the scale is evaluated once.

    Args:
        model: with an identity adapter.
        source: to edit.
    """

    def __init__(self, model: ModelPatcher, source: EditSource) -> None:
        check_rows("source", source.text, source.batch)
        self.model = model
        self.source = source
        self._predictions = SourcePredictions()
        self._trajectory: NoiseTrajectory | None = None

    def run(
        self,
        faces: Faces,
        guidance: IdentityGuidance,
        rows: Sequence[int] | None = None,
        *,
        callback: Callback | None,
        disable_pbar: bool,
        finite: bool = True,
    ) -> Tensor:
        """Edit the latents away from faces.

        Args:
            faces: one for each of the rows, in the same order.
            guidance: its texts have one row for all of these latents, or one for each.
            rows: numbers of the latents to edit; None for all.
            callback: of the host, for previews and progress.
            disable_pbar: no progress bar on the console.
            finite: whether latents that are not finite are an error.

        Returns:
            [R, C, h, w], as ComfyUI's LATENT holds them.

        Raises:
            ValueError: there is not one face for each latent, the target is for other faces, the adapter's weight is 0
                but a scale is not, or a conditioning does not fit the latents.
            RuntimeError: a latent came out with values that are not finite, see `finite`.
        """
        check_weight(self.model, guidance)
        guidance = replace(guidance, scale=guidance.scale * self.source.gain)
        part = self.source if rows is None else self.source.select(rows)
        check_one_face_each(part.batch, faces)
        identity, null = guidance.texts(part.text)
        targets = guidance.targets(faces)
        texts = {"source": part.text, "attributes": null, "identity": identity}
        if targets is not None:
            texts["target"] = null
        together = stacked([*texts.values()], part.batch) if may_share_a_call(self.model, texts.values()) else None
        if together is None:
            return self._replayed(faces, guidance, rows, callback=callback, disable_pbar=disable_pbar, finite=finite)
        own = faces.embeddings() * guidance.identity_scale
        embeddings = torch.cat([torch.zeros(2 * len(own), own.shape[1]), own, own[:0] if targets is None else targets])
        guider = StackedGuider(self.model, together, embeddings, texts, finite=finite)
        sampler = EditSampler(
            part,
            guidance.scale,
            null_is_source=null is part.text,
            sources=self._predictions if rows is None else self._predictions.select(rows),
            p=guidance.p,
        )
        return guider.sample(
            torch.zeros_like(part.samples),  # the sampler brings its own noise
            part.samples,
            sampler,
            part.sigmas,
            callback=callback,
            disable_pbar=disable_pbar,
            seed=part.seed,
        )

    def _replayed(
        self,
        faces: Faces,
        guidance: IdentityGuidance,
        rows: Sequence[int] | None,
        *,
        callback: Callback | None,
        disable_pbar: bool,
        finite: bool,
    ) -> Tensor:
        if self._trajectory is None:
            source, model = self.source, self.model
            recorded = record_trajectory(
                NullIdentityGuider(model, source.text, None, 1.0),
                source.samples,
                source.sigmas,
                source.text,
                seed=source.seed,
                batch=1,
                extrapolation_limit=source.extrapolation_limit,
                fingerprint=fingerprint(model),
                callback=None if callback is None else _half(callback, 0),
                disable_pbar=disable_pbar,
            )
            self._trajectory = replace(recorded, region=source.region)
        second = None if callback is None else _half(callback, self._trajectory.steps)
        return replay_rows(
            self.model,
            self._trajectory,
            faces,
            guidance,
            rows,
            callback=second,
            disable_pbar=disable_pbar,
            finite=finite,
        )


class EditSampler(comfy.samplers.Sampler):
    """The delta form as a sampler, for a `StackedGuider`.

    Args:
        source: to edit.
        scale: g of equation 5.
        null_is_source: whether the null identity's branch has the source's text.
        sources: source predictions that are known, or are to be remembered.
        p: scale of the targets; 0 without them.
    """

    def __init__(
        self, source: EditSource, scale: float, *, null_is_source: bool, sources: SourcePredictions, p: float = 0.0
    ) -> None:
        self.source = source
        self.scale = scale
        self.p = p
        self.null_is_source = null_is_source
        self.sources = sources

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
        device = arithmetic_device(latent_image.device)
        levels = sigmas.tolist()
        steps = len(levels) - 1

        predict = denoiser(model_wrap, extra_args, latent_image.device)

        def denoise(branches: Sequence[Branch], y: Tensor, sigma: float) -> Tensor:
            model_wrap.ask([ORDER.index(branch) for branch in branches])
            return predict(y, torch.full((len(y),), sigma))

        pairs = GuidedPairs(denoise, self.scale, null_is_source=self.null_is_source, sources=self.sources, p=self.p)
        with tqdm(total=steps, disable=disable_pbar, desc="edit") as bar:
            latent = edit(
                pairs,
                latent_image.float().to(device),
                NoiseDraws(latent_image.shape[1:], steps, self.source.seed),
                levels,
                extrapolation_limit=self.source.extrapolation_limit,
                progress=reported(bar, callback, steps),
                hold=hold_difference(self.source.region, device),
            )
        return latent.float().to(noise.device)


def replay_rows(
    model: ModelPatcher,
    trajectory: NoiseTrajectory,
    faces: Faces,
    guidance: IdentityGuidance,
    rows: Sequence[int] | None,
    *,
    callback: Callback | None,
    disable_pbar: bool,
    finite: bool,
) -> Tensor:
    """Generate some latents of a trajectory, each as it comes out in the whole batch.

    Args:
        model: that made the trajectory.
        trajectory: of B latents.
        faces: one for each of the rows, in the same order.
        guidance: its texts have one row for all of these latents, or one for each.
        rows: numbers of the latents from 0; None for all.
        callback: of the host, for previews and progress.
        disable_pbar: no progress bar on the console.
        finite: whether latents that are not finite are an error.

    Returns:
        [R, C, h, w], as ComfyUI's LATENT holds them.

    Raises:
        ValueError: as for `guider.reverse_identity_guider`.
        RuntimeError: a latent came out with values that are not finite, see `finite`.
    """
    if rows is not None:
        trajectory = trajectory.select(rows, select_rows(trajectory.source, rows, trajectory.batch))
    guider = reverse_identity_guider(model, trajectory, faces, guidance, finite=finite)
    return replay_trajectory(guider, trajectory, callback=callback, disable_pbar=disable_pbar)


def _half(callback: Callback, done: int) -> Callback:
    """A callback for one of two runs of equal length, `done` steps after the start of the first."""

    def report(step: int, denoised: Tensor, y: Tensor, steps: int) -> None:
        callback(done + step, denoised, y, 2 * steps)

    return report
