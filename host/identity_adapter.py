"""The identity adapter inside ComfyUI: how its weights are held and how it enters the cross-attention.

The layers live in their own model patcher, an additional model of the diffusion model, so the host loads,
offloads and casts them together with it. A wrapper around the diffusion model adds the identity's attention
to whatever each cross-attention does at that moment: it chains another pack's attn2 replacement, whether
installed before or after, instead of overwriting it. The wrapper holds no weights: it uses the adapter of the
running model patcher, which on another device is a copy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import comfy.conds
import comfy.lora
import comfy.model_management
import comfy.ops
import comfy.utils
import torch
from comfy.ldm.modules.attention import optimized_attention
from comfy.model_patcher import CoreModelPatcher, ModelPatcher
from comfy.patcher_extension import WrappersMP
from torch import Tensor

from ..reverse_personalization.fingerprinting.digest import digest
from ..reverse_personalization.geometry.faces import EMBEDDING_WIDTH
from ..reverse_personalization.method.adapter import IdentityAdapter
from ..reverse_personalization.method.adapter_file import (
    AdapterFileError,
    FaceIDWeights,
    NetworkShape,
    read_face_id,
)
from ..reverse_personalization.method.attention_layout import TransformerSite, transformer_sites
from ..reverse_personalization.method.trajectory import Conditioning

KEY = "reverse_personalization.identity"
"""Name of our attachment, additional model and wrapper on a model patcher."""

IDENTITY_COND = "identity_embedding"
"""Name under which a conditioning carries [B, 512] embeddings to the network."""

WITNESS = f"{KEY}.witness"
"""Name under which transformer options carry an `IdentityWitness` to the network."""

MEMORY = f"{KEY}.memory"
"""Name under which transformer options carry an `IdentityMemory` to the network."""

_LAYERS = f"{KEY}.layers"
"""Name under which transformer options carry the `IdentityAdapter` of the running model patcher."""

AttentionReplacement = Callable[[Tensor, Tensor, Tensor, dict[str, Any]], Tensor]


@dataclass
class IdentityWitness:
    """Records whether identities reach the network's attention.

    If an identity were lost on the way, for example to another pack's patch, guidance would reproduce the photograph.
    """

    seen: bool = False


class IdentityMemory:
    """Keys and values of the identities of one run, which are the same at every step.

    The host gives every conditioning of a run an id. Rows of a call are known again by the ids of the conditionings
    that they are made of, their number, and what they are computed in.
    """

    def __init__(self) -> None:
        self._known: dict[Any, tuple[Tensor, Tensor]] = {}

    def get(self, key: Any, compute: Callable[[], tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        """What is known under a key, or is computed now."""
        if key not in self._known:
            self._known[key] = compute()
        return self._known[key]


@dataclass(frozen=True)
class AttachedAdapter:
    """What a model patcher knows of the adapter attached to it.

    Attributes:
        name: of the file.
        digest: of its weights.
        weight: of the identity's attention, the paper's ip_scale.
    """

    name: str
    digest: str
    weight: float

    def __str__(self) -> str:
        return f"{self.digest} (weight {self.weight:g})"


def attached_adapter(model: ModelPatcher) -> AttachedAdapter:
    """The adapter of a model.

    Raises:
        ValueError: the model has none.
    """
    adapter = model.get_attachment(KEY)
    if adapter is None:
        raise ValueError(
            "the model has no identity adapter, and the null identity is not the same as no adapter; "
            'put a "Load Identity Adapter" node between the checkpoint and this node'
        )
    return adapter


def attach_adapter(model: ModelPatcher, path: str, name: str, weight: float) -> ModelPatcher:
    """A copy of the model with a FaceID file's adapter and LoRA.

    Args:
        model: SDXL or SD1.5.
        path: of the file.
        name: of the file, for messages.
        weight: of the identity's attention; the LoRA is always applied in full.

    Raises:
        AdapterFileError: the file does not fit, see `read_face_id`.
        ValueError: the model already has an identity adapter.
    """
    present = model.get_attachment(KEY)
    if present is not None:
        raise ValueError(
            f'the model already has the identity adapter "{present.name}"; use one Load Identity Adapter node'
        )
    network = _network_shape(model)
    weights = read_face_id(_load(path, name), network, name)
    identifier = digest(_named_tensors(weights))
    patched = model.clone()
    _add_lora(patched, weights)
    adapter = _adapter_patcher(weights)
    # The host uses this to make copies for other devices. It reads the file again: keeping the weights for a copy
    # that is rarely made would double their memory.
    adapter.cached_patcher_init = (_read_adapter, (path, name, network, identifier))
    patched.set_additional_models(KEY, [adapter])
    patched.set_attachments(KEY, AttachedAdapter(name, identifier, weight))
    patched.add_wrapper_with_key(WrappersMP.APPLY_MODEL, KEY, _with_own_layers)
    patched.add_wrapper_with_key(WrappersMP.DIFFUSION_MODEL, KEY, _IdentityAttention(network.sites, weight))
    return patched


def with_identity(conditioning: Conditioning, embeddings: Tensor) -> Conditioning:
    """A copy of a conditioning that carries an identity for each latent of the batch.

    Args:
        conditioning: any text.
        embeddings: float [B, 512], or [1, 512] for all latents; zero is the null identity.

    Raises:
        ValueError: the embeddings have another shape, or values that are not finite.
    """
    if embeddings.ndim != 2 or embeddings.shape[1] != EMBEDDING_WIDTH:
        raise ValueError(
            f"the identity embeddings have the shape {tuple(embeddings.shape)}; expected [faces, {EMBEDDING_WIDTH}], "
            "as Embed Faces makes them with an ArcFace model"
        )
    if not torch.isfinite(embeddings).all():
        raise ValueError("the identity embeddings hold values that are not finite; embed the faces again")
    identity = {IDENTITY_COND: comfy.conds.CONDRegular(embeddings)}
    return [
        [text, {**options, "model_conds": {**options.get("model_conds", {}), **identity}}]
        for text, options in conditioning
    ]


def _with_own_layers(
    executor: Any,  # the host's WrapperExecutor, around its model's own signature
    x: Tensor,
    t: Tensor,
    c_concat: Tensor | None,
    c_crossattn: Tensor | None,
    control: Any,
    transformer_options: dict[str, Any],
    **kwargs: Any,
) -> Tensor:
    """Wrapper around the model that passes the running patcher's layers to the network.

    Raises:
        RuntimeError: that patcher has no adapter.
    """
    running = executor.class_obj.current_patcher
    adapters = [] if running is None else running.get_additional_models_with_key(KEY)
    if len(adapters) != 1:
        raise RuntimeError(
            f"the running model has {len(adapters)} identity adapters instead of one; a node after Load Identity "
            "Adapter replaced the model but kept its options: move that node before Load Identity Adapter"
        )
    options = {**transformer_options, _LAYERS: adapters[0].model}
    return executor(x, t, c_concat, c_crossattn, control, options, **kwargs)


class _IdentityAttention:
    """Wrapper around the diffusion model's forward that adds the identity to every cross-attention."""

    def __init__(self, sites: Sequence[TransformerSite], weight: float) -> None:
        self.sites = sites
        self.weight = weight

    def __call__(  # the diffusion model's own signature, after the executor
        self,
        executor: Callable[..., Tensor],
        x: Tensor,
        timesteps: Tensor,
        context: Tensor | None,
        y: Tensor | None,
        control: Any,
        transformer_options: dict[str, Any],
        **kwargs: Any,
    ) -> Tensor:
        embedding = kwargs.pop(IDENTITY_COND, None)
        witness = transformer_options.get(WITNESS) if embedding is not None else None
        if self.weight == 0:
            _testify(witness)
        else:
            adapter: IdentityAdapter = transformer_options[_LAYERS]
            if embedding is None:  # a sampler that passes no identities gets the null identity
                embedding = x.new_zeros(x.shape[0], adapter.embedding_width)
            keys_values = _keys_values(adapter, embedding.to(x), transformer_options)
            replaced = transformer_options.get("patches_replace", {})
            attn2 = dict(replaced.get("attn2", {}))
            for i, site in enumerate(self.sites):
                previous = attn2.get(site.patch_key, attn2.get(site.patch_key[:2], _plain_attention))
                attn2[site.patch_key] = self._replacement(partial(keys_values, i), previous, witness)
            transformer_options = {**transformer_options, "patches_replace": {**replaced, "attn2": attn2}}
        return executor(x, timesteps, context, y, control, transformer_options, **kwargs)

    def _replacement(
        self,
        keys_values: Callable[[], tuple[Tensor, Tensor]],
        previous: AttentionReplacement,
        witness: IdentityWitness | None,
    ) -> AttentionReplacement:
        def attend(q: Tensor, k: Tensor, v: Tensor, extra_options: dict[str, Any]) -> Tensor:
            _testify(witness)  # not earlier: a later wrapper may have replaced this attention
            text = previous(q, k, v, extra_options)
            identity = _plain_attention(q, *keys_values(), extra_options)
            return text + self.weight * identity

        return attend


def _keys_values(
    adapter: IdentityAdapter, embedding: Tensor, transformer_options: dict[str, Any]
) -> Callable[[int], tuple[Tensor, Tensor]]:
    """The identities' keys and values at a site, from the memory of the run if there is one."""
    tokens = cache(partial(adapter.tokens, embedding))
    memory: IdentityMemory | None = transformer_options.get(MEMORY)
    made_of = tuple(transformer_options.get("uuids", ()))
    if memory is None or not made_of:
        return lambda site: adapter.keys_values(site, tokens())
    rows = (made_of, len(embedding), embedding.dtype, embedding.device)
    return lambda site: memory.get((rows, site), lambda: adapter.keys_values(site, tokens()))


def _testify(witness: IdentityWitness | None) -> None:
    if witness is not None:
        witness.seen = True


def _plain_attention(q: Tensor, k: Tensor, v: Tensor, extra_options: dict[str, Any]) -> Tensor:
    """What the host's cross-attention does where nothing replaces it."""
    return optimized_attention(
        q,
        k,
        v,
        extra_options["n_heads"],
        attn_precision=extra_options["attn_precision"],
        transformer_options=extra_options,
    )


def _network_shape(model: ModelPatcher) -> NetworkShape:
    state = model.model_state_dict("diffusion_model.")
    sites = transformer_sites(state)
    if not sites:
        raise AdapterFileError(
            f"the model is {type(model.model).__name__}, which has no cross-attention as in a UNet; "
            "FaceID adapters work with SDXL and SD1.5 models"
        )
    return NetworkShape(
        context_width=model.model.model_config.unet_config["context_dim"],
        sites=sites,
        widths=[state[f"{site.module}.attn2.to_q.weight"].shape[0] for site in sites],
    )


def _load(path: str, name: str) -> dict[str, Any]:
    try:
        return comfy.utils.load_torch_file(path, safe_load=True)
    # The zip, pickle and safetensors readers each raise their own errors for a broken file; to the user they
    # all mean the same.
    except Exception as error:
        raise AdapterFileError(
            f'"{name}" cannot be read: {error}. The file is truncated or not a model file; fetch it again and '
            f"compare its size and hash with the publisher's ({path})"
        ) from error


def _add_lora(model: ModelPatcher, weights: FaceIDWeights) -> None:
    named = {}
    for key, (up, down) in weights.lora.items():
        named[f"{key}.lora_up.weight"] = up
        named[f"{key}.lora_down.weight"] = down
    patches = comfy.lora.load_lora(named, {key: key for key in weights.lora})
    model.add_patches(patches, strength_patch=1.0)


def _adapter_patcher(weights: FaceIDWeights, disable_dynamic: bool = False) -> ModelPatcher:
    offload_device = comfy.model_management.unet_offload_device()
    dtype = next(iter(weights.layers.values())).dtype
    adapter = IdentityAdapter(weights, operations=comfy.ops.manual_cast, dtype=dtype, device=offload_device)
    kind = ModelPatcher if disable_dynamic else CoreModelPatcher
    patcher = kind(adapter, load_device=comfy.model_management.get_torch_device(), offload_device=offload_device)
    adapter.load_state_dict(dict(weights.layers), assign=patcher.is_dynamic())
    adapter.eval().requires_grad_(False)
    return patcher


def _read_adapter(
    path: str, name: str, network: NetworkShape, identifier: str, disable_dynamic: bool = False
) -> ModelPatcher:
    """A new patcher with the adapter's weights; the host calls this for a copy on another device.

    Raises:
        AdapterFileError: the file is no longer the one that was attached.
    """
    weights = read_face_id(_load(path, name), network, name)
    if digest(_named_tensors(weights)) != identifier:
        raise AdapterFileError(
            f'"{name}" has changed since it was loaded, so a copy for another device would be a different adapter; '
            "run Load Identity Adapter again"
        )
    return _adapter_patcher(weights, disable_dynamic)


def _named_tensors(weights: FaceIDWeights) -> list[tuple[str, Any]]:
    return [*weights.layers.items(), *weights.lora.items()]


def null_identity() -> Tensor:
    """The zero vector that stands for no identity, float32 [1, 512]."""
    return torch.zeros(1, EMBEDDING_WIDTH)
