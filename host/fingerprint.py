"""Fingerprints of a ComfyUI model with its patches, so that a trajectory is replayed only by its own network."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import comfy.model_base
from comfy.model_patcher import ModelPatcher
from torch import Tensor, nn

from ..reverse_personalization.fingerprinting.code_digest import readable_name
from ..reverse_personalization.fingerprinting.digest import UndigestibleError, Weight, digest
from ..reverse_personalization.fingerprinting.fingerprint import ModelFingerprint
from ..reverse_personalization.fingerprinting.first_sight import FirstSight, running_cells
from .identity_adapter import KEY, attached_adapter

_SAMPLING = "model_sampling"
_OTHER_DEVICES = "multigpu"
"""The host's name for copies of the network on other devices; in a model's options it is a prefix."""

_ORDERED = ("wrappers", "callbacks")
"""Groups in which the order of the names counts too, because it is the order of the calls."""

_FIRST_SIGHT = FirstSight()

Patch = tuple[tuple[Any, ...], Any]
"""A patch's place on a model, by names from the outermost to the innermost, and the patch itself."""


def fingerprint(model: ModelPatcher) -> ModelFingerprint:
    """Digest everything on a model that affects its predictions.

    This covers a sample of each weight as it was before patching, the patches on the weights, the noise schedule, the
    adapter, and every patch, wrapper, callback and object on the model, with its code and settings. A patch counts as
    it was when first seen, because what it writes while running is not a setting. The fingerprint does not depend on
    whether the weights are loaded, nor on the process.

    Args:
        model: with an identity adapter attached.

    Returns:
        A digest of the model, and one of each of its parts.

    Raises:
        ValueError: the model has no identity adapter, or something on it cannot be compared; the message names it.
    """
    adapter = attached_adapter(model)
    parts = tuple(_Parts().of(model))
    return ModelFingerprint(model=digest(parts), adapter=str(adapter), parts=parts)


class _Parts:
    """Digests of the parts of one model and of the models that its patches hold."""

    def __init__(self) -> None:
        self._modules: dict[int, str] = {}
        self._weights: dict[int, str] = {}
        self._running: frozenset[int] = frozenset()

    def of(self, model: ModelPatcher) -> Iterator[tuple[str, str]]:
        """Name and digest of each part, in the order in which patches act."""
        patches = list(_patches(model))
        self._running |= running_cells(patch for _, patch in patches)
        self._read_network(model)
        for name, value in self._basis(model):
            yield name, self._digest(name, value)
        for place, patch in patches:
            name = _label(place, patch)
            own = _FIRST_SIGHT.digest(patch, partial(self._digest, name, patch))
            yield name, digest([(str(place), own)])

    def _basis(self, model: ModelPatcher) -> Iterator[tuple[str, Any]]:
        yield "the set of weights", self._weights[id(model.model)]
        yield "the noise schedule", [_bases(model.get_model_object(_SAMPLING)), model.get_model_object(_SAMPLING)]
        yield "the kind of model", [_bases(model.model), getattr(model.model, "model_type", None)]
        hooked = [patches for _, patches in model.hook_patches.items() if patches]
        if model.patches or hooked:
            yield "the set of LoRAs and merges", [_weight_patches(patches) for patches in (model.patches, *hooked)]

    def _read_network(self, model: ModelPatcher) -> None:
        """Remember a network's modules, to which patches may refer, and the digest of its weights."""
        if id(model.model) in self._weights:
            return
        with model.use_ejected():
            weights: list[tuple[str, Any]] = []
            for name, module in _original_modules(model):
                self._modules[id(module)] = name
                weights.extend(_original_weights(model, name, module))
        self._weights[id(model.model)] = digest((name, Weight(tensor)) for name, tensor in sorted(weights, key=_name))

    def _digest(self, name: str, value: Any) -> str:
        try:
            return digest([("", value)], expand=self._expand, running=self._running)
        except UndigestibleError as error:
            raise ValueError(
                f"{name} holds something that cannot be compared between the inversion and the sampler ({error}), so "
                "a different model would go unnoticed; remove the node that adds it from the model of both"
            ) from error

    def _expand(self, value: Any) -> Any:
        """What represents the host's own objects inside a patch."""
        if isinstance(value, nn.Module):
            if id(value) in self._modules:
                return "network", self._modules[id(value)]
            if isinstance(value, comfy.model_base.BaseModel):
                return "model", _bases(value), value.diffusion_model
        if isinstance(value, ModelPatcher):
            self._read_network(value)
            patches = list(_patches(value))
            self._running |= running_cells(patch for _, patch in patches)
            return "model", list(self._basis(value)), [(str(place), patch) for place, patch in patches]
        patcher = getattr(value, "patcher", None) if not isinstance(value, type) else None
        return ("loaded", readable_name(value), patcher) if isinstance(patcher, ModelPatcher) else value


def _original_modules(model: ModelPatcher) -> Iterator[tuple[str, nn.Module]]:
    """A network's modules without object patches, which are in place only while it is loaded."""
    originals = {name: value for name, value in model.object_patches_backup.items() if name != _SAMPLING}
    replaced = tuple(f"{name}." for name in (*originals, _SAMPLING))
    for name, module in model.model.named_modules():
        if not f"{name}.".startswith(replaced):
            yield name, module
    for name, value in originals.items():
        if isinstance(value, nn.Module):
            yield from value.named_modules(prefix=name)


def _original_weights(model: ModelPatcher, name: str, module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """A module's own weights as they were before the host patched or cast them."""
    lasting = {n: t for n, t in module._buffers.items() if n not in module._non_persistent_buffers_set}
    for own, tensor in (*module._parameters.items(), *lasting.items()):
        key = f"{name}.{own}" if name else own
        if tensor is None:
            continue
        if key in model.backup:
            tensor = model.backup[key].weight
        elif key in model.hook_backup:
            tensor = model.hook_backup[key][0]
        elif key in getattr(model, "backup_buffers", {}):  # only if the host loads piecemeal
            tensor = model.backup_buffers[key]
        yield key, tensor


def _patches(model: ModelPatcher) -> Iterator[Patch]:
    """Everything on a model except weights and the noise schedule."""
    objects = {name: value for name, value in model.object_patches.items() if name != _SAMPLING}
    attachments = {name: value for name, value in model.attachments.items() if name != KEY}
    others = {name: models for name, models in model.additional_models.items() if name != KEY}
    yield from _leaves((), model.model_options)
    yield from _leaves(("object patch",), objects)
    yield from _leaves(("wrappers",), model.wrappers)
    yield from _leaves(("callbacks",), model.callbacks)
    yield from _leaves(("injection",), model.injections)
    yield from _leaves(("attachment",), attachments)
    yield from _leaves(("additional model",), others)
    yield from _leaves(("weight wrapper",), model.weight_wrapper_patches)


def _leaves(place: tuple[Any, ...], value: Any) -> Iterator[Patch]:
    if place[-1:] == (KEY,):
        yield place, KEY  # only the place: the adapter has its own digest
    elif isinstance(value, Mapping):
        inner = value.items() if {*place} & {*_ORDERED} else sorted(value.items(), key=_name)
        for name, item in inner:
            if not str(name).startswith(_OTHER_DEVICES):
                yield from _leaves((*place, name), item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _leaves(place, item)
    else:
        yield place, value


def _label(place: tuple[Any, ...], patch: Any) -> str:
    names = [name for name in place if isinstance(name, str) and name not in ("transformer_options", "patches")]
    plain = patch is None or isinstance(patch, (str, int, float, Tensor))
    return " ".join(names) if plain else f'{" ".join(names)} "{readable_name(patch)}"'


def _weight_patches(patches: Mapping[str, Any]) -> list[Any]:
    return [[key, _simplified(patches[key])] for key in sorted(patches)]


def _simplified(value: Any) -> Any:
    """A weight patch reduced to what counts: a sample of each tensor, and only the code of a layer's method."""
    if isinstance(value, Tensor):
        return Weight(value)
    if isinstance(value, (list, tuple)):
        return [_simplified(item) for item in value]
    if isinstance(value, types.MethodType):
        return value.__func__
    if hasattr(value, "weights"):  # the host's classes for LoRA and the like; names in the file do not count
        return [readable_name(value), _simplified(value.weights)]
    return value


def _bases(value: Any) -> list[str]:
    return [base.__name__ for base in type(value).__mro__]


def _name(named: tuple[Any, Any]) -> str:
    return str(named[0])
