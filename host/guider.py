"""Negative identity guidance (eq. 5) as a guider of ComfyUI."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import comfy.model_management
import comfy.samplers
import torch
from comfy.model_patcher import ModelPatcher, create_model_options_clone
from comfy.patcher_extension import WrappersMP, add_wrapper_with_key
from torch import Tensor

from ..reverse_personalization.geometry.faces import Faces
from ..reverse_personalization.method.guidance import IdentityGuidance, drawn, guided
from ..reverse_personalization.method.trajectory import Conditioning, NoiseTrajectory
from .fingerprint import fingerprint
from .guider_checks import check_finite, check_one_face_each, check_weight
from .identity_adapter import (
    KEY,
    MEMORY,
    WITNESS,
    IdentityMemory,
    IdentityWitness,
    attached_adapter,
    null_identity,
    with_identity,
)
from .memory import equal_parts, rows_that_fit
from .patches import has_guidance_hooks, may_share_a_call
from .randomness import call_seed, generators_kept, seed_generators, seeding_every_call
from .rows import ProcessedConds, check_rows, select_processed
from .text_coverage import TextCoverage

_IDENTITY, NULL_BRANCH = "positive", "negative"
"""The host's names of the two branches. The null identity is in the second, slot 1 of the host's `cond_or_uncond`, in
both inversion and generation, because other packs' patches may treat the two slots differently."""

_TARGET = "target"
"""Name of the third branch, which the host does not know: it prepares it as it does the second."""

_TARGET_KEY, _SEEDING_KEY = f"{KEY}.target", f"{KEY}.seeding"
"""Of wrappers. They must not be KEY itself, which is that of the adapter's own: one would replace the other."""

Conds = list[ProcessedConds | None]
"""The branches of one call, None for one that is left out."""


class IdentityGuider(comfy.samplers.CFGGuider):
    """The host's guider, for a model with an identity adapter; it stops if identities do not reach the network."""

    def __init__(self, model: ModelPatcher) -> None:
        attached_adapter(model)
        super().__init__(model)
        self.texts: dict[str, Conditioning] = {}
        self.finite = True
        self.p = 0.0
        self._target_shares_call = False
        self._latents = 1
        self._coverage: TextCoverage | None = None
        self._rows_together: int | None = None
        self._parts: dict[tuple[int, ...], dict[str, ProcessedConds]] = {}
        self._memory = IdentityMemory()
        self._announced: tuple[Tensor, float] | None = None

    def announce(self, timestep: Tensor, level: float) -> None:
        """Say which noise level a tensor of the next call starts with: to read it would wait for the device.

        Args:
            timestep: of all rows of the call, on the device.
            level: of its first row.
        """
        self._announced = timestep, level

    def _level(self, timestep: Tensor) -> float:
        """The first noise level of a call."""
        if self._announced is not None and self._announced[0] is timestep:
            return self._announced[1]
        return float(timestep[0])

    def set_cfg(self, cfg: float) -> None:
        """The host's; whoever changes the scale later, during a run, is found out."""
        super().set_cfg(cfg)
        self._scale = cfg

    def sample(
        self,
        noise: Tensor,
        latent_image: Tensor,
        sampler: comfy.samplers.Sampler,
        sigmas: Tensor,
        *args: Any,
        **kwargs: Any,
    ) -> Tensor:
        """Sample as the host does, after checking the texts.

        Raises:
            ValueError: a conditioning does not have one text for all latents or one for each, or it leaves timesteps or
                parts of the picture without a text.
            RuntimeError: a latent came out with values that are not finite.
        """
        self._latents = latent_image.shape[0]
        for name, conditioning in self.texts.items():
            check_rows(name, conditioning, self._latents)
        sampling = self.model_patcher.get_model_object("model_sampling")
        self._coverage = TextCoverage(self.texts, sampling, latent_image.shape)
        self._coverage.check(sigmas[:-1].tolist())
        try:
            samples = super().sample(noise, latent_image, sampler, sigmas, *args, **kwargs)
        finally:
            self._rows_together, self._coverage, self._announced = None, None, None
            self._parts.clear()
            self._memory = IdentityMemory()
        if self.finite:
            check_finite(samples)
        return samples

    def predict_noise(
        self, x: Tensor, timestep: Tensor, model_options: dict[str, Any] | None = None, seed: int | None = None
    ) -> Tensor:
        """The guided prediction, evaluated in as many parts as memory requires.

        Raises:
            ValueError: there is no text for this timestep.
            RuntimeError: the network was evaluated without the identities.
        """
        if self.cfg != self._scale:
            raise RuntimeError(
                f"something on the model, such as CFG Override, replaced the guidance scale {self._scale:g} by "
                f"{self.cfg:g}, so people would not be pushed away as asked; remove that node and set the scale here"
            )
        level = self._level(timestep)
        assert self._coverage is not None
        self._coverage.check([level])
        witness = IdentityWitness()
        options = dict(model_options or {})
        transformer_options = {**options.get("transformer_options", {}), WITNESS: witness, MEMORY: self._memory}
        number = call_seed(seed or 0, level)
        options = seeding_every_call({**options, "transformer_options": transformer_options}, _SEEDING_KEY, number)
        parts = []
        with generators_kept([x.device, *options.get("multigpu_clones", {})]):
            for rows, conds in self._parts_of(x):
                part = slice(rows.start, rows.stop)
                seed_generators(number, x.device)
                parts.append(self._predict(x[part], timestep[part], conds, options, seed))
        denoised = torch.cat(parts)
        if not witness.seen:
            raise RuntimeError(
                "the identities did not reach the network, so nothing would be anonymised; a node between Load "
                "Identity Adapter and this one replaces the whole network or its inputs: remove that node"
            )
        return denoised

    def reserve(self, rows: int) -> None:
        """Have the host reserve memory for this many rows per call, if the sampler evaluates more than the latents."""

        def prepare(executor: Any, model: ModelPatcher, noise_shape: Any, *args: Any, **kwargs: Any) -> Any:
            return executor(model, [rows, *noise_shape[1:]], *args, **kwargs)

        self.model_options = create_model_options_clone(self.model_patcher.model_options)
        add_wrapper_with_key(WrappersMP.PREPARE_SAMPLING, KEY, prepare, self.model_options, is_model_options=True)

    def _predict(
        self, x: Tensor, timestep: Tensor, conds: dict[str, ProcessedConds], options: dict[str, Any], seed: int | None
    ) -> Tensor:
        """The guidance for some rows: equation 5 and, with a target, what draws towards it."""
        comfy.model_management.throw_exception_if_processing_interrupted()
        null = conds.get(NULL_BRANCH)
        identity = conds.get(_IDENTITY)
        target = conds.get(_TARGET)

        def calculated(branches: Conds) -> list[Tensor]:
            predictions: list[Tensor] = comfy.samplers.calc_cond_batch(self.inner_model, branches, x, timestep, options)
            return predictions

        if has_guidance_hooks(options):
            return self._hooked(x, timestep, conds, options, seed, calculated)
        alone = math.isclose(self.cfg, 1.0) and target is None
        branches = [None if self.cfg == 0.0 else identity, None if alone else null]
        if target is not None and self._target_shares_call:
            of_identity, of_null, *of_target = calculated([*branches, target])
        else:
            of_identity, of_null = calculated(branches)
            # In the null identity's slot, so that patches treat it as they do that.
            of_target = [] if target is None else calculated([None, target])[1:]
        away = of_null if branches[0] is None else of_identity if alone else guided(of_identity, of_null, self.cfg)
        return drawn(away, of_target[0], of_null, self.p) if of_target else away

    def _hooked(
        self,
        x: Tensor,
        timestep: Tensor,
        conds: dict[str, ProcessedConds],
        options: dict[str, Any],
        seed: int | None,
        calculated: Callable[[Conds], list[Tensor]],
    ) -> Tensor:
        """The guidance for some rows of a model with guidance hooks.

        Hooks expect two branches and see the same two with a target as without; its pull is added to what they made.
        """
        null, target = conds.get(NULL_BRANCH), conds.get(_TARGET)
        seen: list[Tensor] = []

        def beside(executor: Callable[..., list[Tensor]], model: Any, branches: Conds, *args: Any) -> list[Tensor]:
            found = executor(model, branches, *args)
            if not seen and len(branches) == 2 and branches[1] is null:
                seen.extend((found[1], executor(model, [None, target], *args)[1]))
            return found

        if target is not None:
            options = create_model_options_clone(options)
            # Last, so that it is called closest to the network.
            add_wrapper_with_key(WrappersMP.CALC_COND_BATCH, _TARGET_KEY, beside, options, is_model_options=True)
        # At 0 the identity has no effect, and hooks see the same in the generation as in the inversion.
        shown = null if self.cfg == 0.0 else conds.get(_IDENTITY)
        away: Tensor = comfy.samplers.sampling_function(
            self.inner_model, x, timestep, null, shown, self.cfg, model_options=options, seed=seed
        )
        if target is None:
            return away
        # A hook may leave out the null identity, or ask for it in another way.
        of_null, of_target = seen or calculated([null, target])
        return drawn(away, of_target, of_null, self.p)

    def _parts_of(self, x: Tensor) -> list[tuple[range, dict[str, ProcessedConds]]]:
        """Rows that go through the network together, with their conditionings."""
        fit = rows_that_fit(self.inner_model, self.conds.values(), x.shape, x.device)
        if fit < x.shape[0] and (self._rows_together is None or fit < self._rows_together):
            # Never raised again in this run, so that what was prepared for the parts, such as hints, stays valid.
            self._rows_together = fit
            self._parts.clear()
        largest = min(x.shape[0], self._rows_together or x.shape[0])
        parts = equal_parts(x.shape[0], largest)
        numbers = self._numbers(x.shape[0])
        if len(parts) == 1 and self._are_all(numbers):
            return [(parts[0], self.conds)]
        found = []
        for rows in parts:
            chosen = tuple(numbers[row] for row in rows)
            if chosen not in self._parts:
                self._parts[chosen] = select_processed(self.conds, chosen, self._texts_rows())
            found.append((rows, self._parts[chosen]))
        return found

    def _texts_rows(self) -> int:
        """How many rows a conditioning has that is not the same for all."""
        return self._latents

    def _numbers(self, rows: int) -> list[int]:
        """For each row to evaluate the number of its row in the conditionings."""
        return [row % self._latents for row in range(rows)]

    def _are_all(self, numbers: list[int]) -> bool:
        """Whether the host gives these rows their conditionings by itself: all of them, in order, any times."""
        return True


class NullIdentityGuider(IdentityGuider):
    """Predicts under the null identity, for the inversion.

    Args:
        model: with an identity adapter.
        source: text of the photograph.
        negative: text of the other branch, or None.
        cfg: scale between the two; at 1, or without a negative, there is one evaluation per step (two if the model
            has guidance hooks, which expect two branches).
    """

    def __init__(self, model: ModelPatcher, source: Conditioning, negative: Conditioning | None, cfg: float) -> None:
        super().__init__(model)
        null = null_identity()
        self.texts["source"] = source
        if negative is None or cfg == 1.0:
            # What a generation at scale 0 evaluates.
            self.inner_set_conds({NULL_BRANCH: with_identity(source, null)})
            self.set_cfg(0.0)
        else:
            self.texts["negative"] = negative
            self.set_conds(with_identity(source, null), with_identity(negative, null))
            self.set_cfg(cfg)


class NegativeIdentityGuider(IdentityGuider):
    """Predicts g eps(identity, source) + (1 - g) eps(null identity, attributes), eq. 5, and draws towards a target.

    The attribute text is on the branch of the null identity, whose weight 1 - g is positive: on the other branch
    it would be pushed away along with the person. A target's branch has it too (`method.guidance`).

    Args:
        model: with an identity adapter.
        embeddings: float [B, 512], unit length or zero, one for each latent.
        guidance: scales, texts and the embeddings' factor.
        recorded: text of the inversion.
        targets: float [B, 512], `guidance.targets`, one for each latent; None draws nobody anywhere.
        finite: whether latents that are not finite are an error.
    """

    def __init__(
        self,
        model: ModelPatcher,
        embeddings: Tensor,
        guidance: IdentityGuidance,
        recorded: Conditioning,
        *,
        targets: Tensor | None = None,
        finite: bool = True,
    ) -> None:
        super().__init__(model)
        self.batch = embeddings.shape[0]
        self.finite = finite
        source, attributes = guidance.texts(recorded)
        self.texts["source"] = source
        if attributes is not source:
            self.texts["attributes"] = attributes
        branches = {
            _IDENTITY: with_identity(source, embeddings * guidance.identity_scale),
            NULL_BRANCH: with_identity(attributes, null_identity()),
        }
        if targets is not None:
            branches[_TARGET] = with_identity(attributes, targets)
            self.p = guidance.p
            self._target_shares_call = may_share_a_call(model, self.texts.values())
        self.inner_set_conds(branches)
        self.set_cfg(guidance.scale)

    def sample(self, noise: Tensor, latent_image: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """Sample, after checking that there is one identity for each latent.

        Raises:
            ValueError: there are more or fewer latents than identities.
        """
        if noise.shape[0] != self.batch:
            raise ValueError(
                f"there are {noise.shape[0]} latents but {self.batch} faces; guidance needs one face for each "
                "latent, in the same order"
            )
        return super().sample(noise, latent_image, *args, **kwargs)


def reverse_identity_guider(
    model: ModelPatcher, trajectory: NoiseTrajectory, faces: Faces, guidance: IdentityGuidance, *, finite: bool = True
) -> NegativeIdentityGuider:
    """The guider that regenerates a trajectory's pictures away from their faces.

    Args:
        model: that made the trajectory.
        trajectory: to be replayed.
        faces: one for each of its latents, in the same order.
        guidance: scales, texts, target and the embeddings' factor.
        finite: whether latents that are not finite are an error.

    Raises:
        ValueError: the trajectory belongs to another model or batch, the target to other faces, or the adapter's weight
            is 0 but a scale is not.
    """
    check_weight(model, guidance)
    present = fingerprint(model)
    if present != trajectory.fingerprint:
        raise ValueError(
            f"the trajectory was recorded with {trajectory.fingerprint}, but the model here is {present}: "
            f"{'; '.join(trajectory.fingerprint.differences(present))}. Connect the same model, LoRAs, patches and "
            "adapter to the inversion and to this node"
        )
    check_one_face_each(trajectory.batch, faces)
    return NegativeIdentityGuider(
        model, faces.embeddings(), guidance, trajectory.source, targets=guidance.targets(faces), finite=finite
    )
