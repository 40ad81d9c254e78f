"""Reads IP-Adapter FaceID files, and says what another file is instead.

A FaceID file holds three things: a projection of a face's 512-vector to context tokens (`image_proj.*`), key and value
layers for those tokens at every cross-attention, and a LoRA for the query, key, value and output layers of every
attention (both `ip_adapter.<number>.*`). It comes nested (`.bin`, `{"image_proj": {...}, "ip_adapter": {...}}`) or flat
(`.safetensors`). In the order of `attention_layout.transformer_sites`, the i-th self-attention has the number 2i and
the i-th cross-attention 2i + 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..errors import PackError
from ..geometry.faces import EMBEDDING_WIDTH
from .attention_layout import LORA_TARGETS, TransformerSite

_FAMILIES = {(2048, 70): "SDXL", (768, 16): "SD1.5", (1024, 16): "SD2"}
_FACE_ID_TOKENS = 4
_EXPECTED = (
    "expected an IP-Adapter FaceID file with its LoRA, such as ip-adapter-faceid_sdxl.bin or ip-adapter-faceid_sd15.bin"
)


class AdapterFileError(PackError, ValueError):
    """The file is not a FaceID adapter for this model; the message says what it is and what is needed."""


@dataclass(frozen=True)
class NetworkShape:
    """The properties of a network that decide which adapter fits it.

    Attributes:
        context_width: of the text embedding.
        sites: the transformer blocks, in the files' order.
        widths: hidden width of each site's attention.
    """

    context_width: int
    sites: Sequence[TransformerSite]
    widths: Sequence[int]

    @property
    def family(self) -> str:
        """Name of the model family, for messages."""
        return _family(self.context_width, len(self.sites))


@dataclass(frozen=True, eq=False)
class FaceIDWeights:
    """The contents of a FaceID file, checked against a network.

    Attributes:
        layers: projection and key/value layers, under their names in the file (flat).
        lora: low-rank pairs (up [out, rank], down [rank, in]), keyed by the name of the weight that they change in the
            network's state dict.
        tokens: number of context tokens for a face.
        context_width: of those tokens.
    """

    layers: Mapping[str, Tensor]
    lora: Mapping[str, tuple[Tensor, Tensor]]
    tokens: int
    context_width: int


def read_face_id(state: Mapping[str, Any], network: NetworkShape, name: str) -> FaceIDWeights:
    """Read a FaceID file and check it against a network.

    Args:
        state: the file's content as loaded, nested or flat.
        network: the one that the adapter will join.
        name: of the file, for messages.

    Raises:
        AdapterFileError: the file is of another kind or for another model family, is incomplete, or holds values that
            are not finite.
    """
    flat = _flatten(state)
    kind = _kind(flat)
    if kind is not None:
        raise AdapterFileError(f'"{name}" is {kind}; {_EXPECTED}')
    context_width = flat["image_proj.norm.weight"].shape[0]
    file_sites = len({key.split(".")[1] for key in flat if key.endswith(".to_k_ip.weight")})
    if context_width != network.context_width:
        raise AdapterFileError(
            f'"{name}" is a FaceID adapter for {_family(context_width, file_sites)}, but the model is '
            f"{network.family}. Choose an adapter file for the model's family"
        )
    layer_shapes, lora_keys = _expected_keys(network)
    expected = {*layer_shapes, *(key for pair in lora_keys.values() for key in pair)}
    projection = {key for key in flat if key.startswith("image_proj.")}
    missing, unknown = expected - flat.keys(), flat.keys() - expected - projection
    if missing or unknown:
        raise AdapterFileError(
            f'"{name}" does not fit {network.family} ({len(network.sites)} transformer blocks): '
            f"{_some(missing, 'missing')}{_some(unknown, 'unknown')}. The file is truncated or for another "
            f"model; {_EXPECTED}"
        )
    for key, shape in layer_shapes.items():
        if tuple(flat[key].shape) != shape:
            raise AdapterFileError(
                f'"{name}" has {key} of shape {tuple(flat[key].shape)}, but {network.family} needs {shape}. '
                f"The adapter is for another model of the same family"
            )
    lora = {}
    for site, width in zip(network.sites, network.widths, strict=True):
        for weight in _lora_weights(site):
            up, down = (flat[key] for key in lora_keys[weight])
            if up.ndim != 2 or down.ndim != 2 or up.shape[0] != width or up.shape[1] != down.shape[0]:
                raise AdapterFileError(
                    f'"{name}" has a LoRA of shapes {tuple(up.shape)} and {tuple(down.shape)} for {weight}, '
                    f"whose width is {width}"
                )
            lora[weight] = (up, down)
    broken = next((key for key in sorted(expected | projection) if not _is_finite(flat[key])), None)
    if broken is not None:
        raise AdapterFileError(
            f'"{name}" holds values that are not finite, in {broken}: the file is damaged. Download it again and '
            "compare its hash with the publisher's"
        )
    layers = {key: flat[key] for key in sorted({*layer_shapes, *projection})}
    tokens = flat["image_proj.proj.2.weight"].shape[0] // context_width
    return FaceIDWeights(layers=layers, lora=lora, tokens=tokens, context_width=context_width)


def _flatten(state: Mapping[str, Any]) -> dict[str, Tensor]:
    flat = {}
    for key, value in state.items():
        if isinstance(value, Mapping):
            flat.update({f"{key}.{inner}": tensor for inner, tensor in value.items()})
        else:
            flat[key] = value
    return {key: value for key, value in flat.items() if isinstance(value, Tensor)}


def _is_finite(tensor: Tensor) -> bool:
    if not tensor.is_floating_point() or tensor.numel() == 0:
        return True
    values = tensor.float() if tensor.element_size() == 1 else tensor  # torch cannot compare float8
    return all(bool(extreme.isfinite()) for extreme in torch.aminmax(values))  # NaN if any value is NaN


def _kind(flat: Mapping[str, Tensor]) -> str | None:
    """What the file is instead of a FaceID adapter; None if it is one."""
    projection = {key.removeprefix("image_proj.") for key in flat if key.startswith("image_proj.")}
    layers = [key for key in flat if key.startswith("ip_adapter.")]
    if not projection and not layers:
        if any("lora" in key for key in flat):
            return "a LoRA without an adapter (it ships beside a FaceID file)"
        return f"not an IP-Adapter file (its first entries: {', '.join(list(flat)[:3]) or 'none'})"
    if not projection or not layers:
        return f"an IP-Adapter file without its {'layers' if projection else 'projection'}: it is truncated"
    if any(key.startswith("perceiver_resampler.") for key in projection):
        return "an IP-Adapter FaceID Plus file, which also needs a picture of the face"
    if "latents" in projection:
        width = flat["image_proj.proj_in.weight"].shape[1] if "proj_in.weight" in projection else None
        return "an InstantID file" if width == EMBEDDING_WIDTH else "an IP-Adapter Plus file for pictures"
    if "proj.weight" in projection:
        return "an IP-Adapter file for pictures, not for face embeddings"
    needed = {f"{layer}.{part}" for layer in ("proj.0", "proj.2", "norm") for part in ("weight", "bias")}
    if needed - projection:
        return f"an IP-Adapter file of an unknown form (no {', '.join(sorted(needed - projection)[:3])})"
    if flat["image_proj.proj.0.weight"].shape[1] != EMBEDDING_WIDTH:
        return "an IP-Adapter file for pictures, not for face embeddings"
    tokens = flat["image_proj.proj.2.weight"].shape[0] // flat["image_proj.norm.weight"].shape[0]
    if tokens != _FACE_ID_TOKENS:
        return f"an IP-Adapter FaceID Portrait file ({tokens} tokens for several pictures of a face)"
    if not any("_lora." in key for key in layers):
        return "an IP-Adapter FaceID file without its LoRA"
    return None


def _expected_keys(
    network: NetworkShape,
) -> tuple[dict[str, tuple[int, ...]], dict[str, tuple[str, str]]]:
    """Shapes of the key/value layers by name, and the names of each LoRA pair by the weight that it changes."""
    shapes: dict[str, tuple[int, ...]] = {}
    lora: dict[str, tuple[str, str]] = {}
    for i, (site, width) in enumerate(zip(network.sites, network.widths, strict=True)):
        for layer in ("to_k_ip", "to_v_ip"):
            shapes[f"ip_adapter.{2 * i + 1}.{layer}.weight"] = (width, network.context_width)
        numbers = [2 * i] * len(LORA_TARGETS) + [2 * i + 1] * len(LORA_TARGETS)
        for weight, number, target in zip(_lora_weights(site), numbers, 2 * [*LORA_TARGETS], strict=True):
            stem = f"ip_adapter.{number}.{target}_lora"
            lora[weight] = (f"{stem}.up.weight", f"{stem}.down.weight")
    return shapes, lora


def _lora_weights(site: TransformerSite) -> list[str]:
    """Weights that the LoRA changes at a site: the self-attention's four, then the cross-attention's."""
    return [
        f"{site.module}.{attention}.{module}.weight"
        for attention in ("attn1", "attn2")
        for module in LORA_TARGETS.values()
    ]


def _family(context_width: int, sites: int) -> str:
    exact = _FAMILIES.get((context_width, sites))
    if exact is not None:
        return exact
    by_width = {width: family for (width, _), family in _FAMILIES.items()}
    like = f"like {by_width[context_width]}, " if context_width in by_width else ""
    return f"a network of another size ({like}context width {context_width}, {sites} cross-attentions)"


def _some(keys: set[str], what: str) -> str:
    if not keys:
        return ""
    shown = ", ".join(sorted(keys)[:3])
    return f"{len(keys)} entries {what} ({shown}{', ...' if len(keys) > 3 else ''}) "
