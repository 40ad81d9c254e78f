"""Negative identity guidance (eq. 5) as a guider of ComfyUI."""

from __future__ import annotations

from typing import Any

import comfy.samplers
from comfy.model_patcher import ModelPatcher
from torch import Tensor

from ..reverse_personalization.faces import Faces
from ..reverse_personalization.trajectory import Conditioning, NoiseTrajectory
from .fingerprint import fingerprint
from .identity_adapter import WITNESS, IdentityWitness, attached_adapter, null_identity, with_identity

_SEES_BOTH_BRANCHES = (
    "disable_cfg1_optimization",
    "sampler_cfg_function",
    "sampler_pre_cfg_function",
    "sampler_post_cfg_function",
    "sampler_calc_cond_batch_function",
)


class _IdentityGuider(comfy.samplers.CFGGuider):
    """The host's guider, for a model with an identity adapter; it stops if identities do not reach the network."""

    def __init__(self, model: ModelPatcher) -> None:
        attached_adapter(model)
        super().__init__(model)
        self.texts: dict[str, Conditioning] = {}

    def sample(self, noise: Tensor, latent_image: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """The host's, which repeats or cuts texts that do not fit the batch.

        Raises:
            ValueError: there are several texts, but not one for each latent.
        """
        batch = latent_image.shape[0]
        for name, conditioning in self.texts.items():
            for text, _ in conditioning:
                if text.shape[0] not in (1, batch):
                    raise ValueError(
                        f"the {name} conditioning holds {text.shape[0]} texts for {batch} latents; expected one for "
                        "all or one for each"
                    )
        return super().sample(noise, latent_image, *args, **kwargs)

    def predict_noise(
        self, x: Tensor, timestep: Tensor, model_options: dict[str, Any] | None = None, seed: int | None = None
    ) -> Tensor:
        """The host's guided prediction.

        Raises:
            RuntimeError: the network was evaluated without the identities.
        """
        witness = IdentityWitness()
        options = dict(model_options or {})
        options["transformer_options"] = {**options.get("transformer_options", {}), WITNESS: witness}
        denoised = comfy.samplers.sampling_function(
            self.inner_model,
            x,
            timestep,
            self.conds.get("negative"),
            self._identity_branch(options),
            self.cfg,
            model_options=options,
            seed=seed,
        )
        if not witness.seen:
            raise RuntimeError(
                "the identities did not reach the network, so nothing would be anonymised; a node that replaces the "
                "whole network or its inputs stands between Load Identity Adapter and this one: remove it"
            )
        return denoised

    def _identity_branch(self, model_options: dict[str, Any]) -> list[dict[str, Any]] | None:
        """Conditions of the branch that the scale multiplies, None where it need not be evaluated."""
        return self.conds["positive"]


class NullIdentityGuider(_IdentityGuider):
    """Predicts under the null identity, for the inversion.

    Args:
        model: with an identity adapter.
        source: text of the photograph.
        negative: text of the other branch, or None.
        cfg: scale between the two; at 1, or without a negative, there is one evaluation a step.
    """

    def __init__(self, model: ModelPatcher, source: Conditioning, negative: Conditioning | None, cfg: float) -> None:
        super().__init__(model)
        null = null_identity()
        self.texts["source"] = source
        branches = {"positive": with_identity(source, null)}
        if negative is None:
            cfg = 1.0  # guidance between a text and itself is that text's own prediction
        elif cfg != 1.0:
            self.texts["negative"] = negative
            branches["negative"] = with_identity(negative, null)
        self.inner_set_conds(branches)
        self.set_cfg(cfg)


class NegativeIdentityGuider(_IdentityGuider):
    """Predicts g eps(identity, source) + (1 - g) eps(null identity, attributes), eq. 5.

    The attribute text is on the branch of the null identity, whose weight 1 - g is positive: on the other
    it would be pushed away with the person.

    Args:
        model: with an identity adapter.
        identities: float [B, 512], one for each latent.
        source: text of the photograph, on the identity's branch.
        attributes: text on the null identity's branch; None for the source.
        cfg: g; below 0 generation runs away from the identity, at 0 the identity has no say.
    """

    def __init__(
        self,
        model: ModelPatcher,
        identities: Tensor,
        source: Conditioning,
        attributes: Conditioning | None,
        cfg: float,
    ) -> None:
        super().__init__(model)
        self.batch = identities.shape[0]
        null_text = source if attributes is None else attributes
        self.texts.update(source=source, attribute=null_text)
        self.set_conds(with_identity(source, identities), with_identity(null_text, null_identity()))
        self.set_cfg(cfg)

    def sample(self, noise: Tensor, latent_image: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """The host's, for as many latents as there are identities.

        Raises:
            ValueError: the batch is another.
        """
        if noise.shape[0] != self.batch:
            raise ValueError(
                f"there are {noise.shape[0]} latents but {self.batch} faces; guidance needs one face for each "
                "latent, in the same order"
            )
        return super().sample(noise, latent_image, *args, **kwargs)

    def _identity_branch(self, model_options: dict[str, Any]) -> list[dict[str, Any]] | None:
        if self.cfg == 0.0 and not any(model_options.get(key) for key in _SEES_BOTH_BRANCHES):
            return None
        return super()._identity_branch(model_options)


def reverse_identity_guider(
    model: ModelPatcher,
    trajectory: NoiseTrajectory,
    faces: Faces,
    attributes: Conditioning | None,
    *,
    cfg: float,
    identity_scale: float,
    source: Conditioning | None,
) -> NegativeIdentityGuider:
    """The guider that regenerates a trajectory's pictures away from their faces.

    Args:
        model: that made the trajectory.
        trajectory: to be replayed.
        faces: one for each of its latents, in the same order.
        attributes: text on the null identity's branch; None for the source.
        cfg: g.
        identity_scale: factor on the unit embeddings.
        source: text on the identity's branch; None for the trajectory's.

    Raises:
        ValueError: the trajectory is another model's or another batch's.
    """
    present = fingerprint(model)
    if present != trajectory.fingerprint:
        raise ValueError(
            f"the trajectory was recorded with {trajectory.fingerprint}, but the model here is {present}: "
            f"{'; '.join(trajectory.fingerprint.differences(present))}. Connect the same model, LoRAs, patches and "
            "adapter to the inversion and to this node"
        )
    if len(faces) != trajectory.batch:
        per_image = ", ".join(str(len(image)) for image in faces.images)
        raise ValueError(
            f"there are {trajectory.batch} latents in the trajectory but {len(faces)} faces (by image: "
            f"{per_image}); guidance needs one face for each latent, in the same order. In Embed Faces select "
            '"largest" for pictures of one person, or give it the pictures that were inverted'
        )
    return NegativeIdentityGuider(
        model,
        faces.embeddings() * identity_scale,
        trajectory.source if source is None else source,
        attributes,
        cfg,
    )
