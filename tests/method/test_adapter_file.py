"""FaceID files: the right ones are taken apart, the wrong ones are named."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from reverse_personalization.method.adapter_file import AdapterFileError, NetworkShape, read_face_id
from reverse_personalization.method.attention_layout import transformer_sites

WIDTH, CONTEXT, RANK = 8, 16, 2
Flat = dict[str, Tensor]


def network(sites: int = 3, context: int = CONTEXT) -> NetworkShape:
    places = ["input_blocks.4.1", "middle_block.1", "output_blocks.0.1", "output_blocks.1.1"][:sites]
    keys = [f"diffusion_model.{place}.transformer_blocks.0.attn2.to_q.weight" for place in places]
    return NetworkShape(context, transformer_sites(keys), [WIDTH] * sites)


def face_id(sites: int = 3, context: int = CONTEXT, tokens: int = 4, lora: bool = True) -> Flat:
    flat = {
        "image_proj.proj.0.weight": torch.randn(32, 512),
        "image_proj.proj.0.bias": torch.randn(32),
        "image_proj.proj.2.weight": torch.randn(tokens * context, 32),
        "image_proj.proj.2.bias": torch.randn(tokens * context),
        "image_proj.norm.weight": torch.ones(context),
        "image_proj.norm.bias": torch.zeros(context),
    }
    for i in range(sites):
        for layer in ("to_k_ip", "to_v_ip"):
            flat[f"ip_adapter.{2 * i + 1}.{layer}.weight"] = torch.randn(WIDTH, context)
        for number in (2 * i, 2 * i + 1):
            for target in ("to_q", "to_k", "to_v", "to_out") if lora else ():
                flat[f"ip_adapter.{number}.{target}_lora.up.weight"] = torch.randn(WIDTH, RANK)
                flat[f"ip_adapter.{number}.{target}_lora.down.weight"] = torch.randn(RANK, WIDTH)
    return flat


def nested(flat: Flat) -> dict[str, Flat]:
    out: dict[str, Flat] = {}
    for key, value in flat.items():
        part, _, rest = key.partition(".")
        out.setdefault(part, {})[rest] = value
    return out


def test_nested_and_flat_files_are_the_same() -> None:
    flat = face_id()
    one, other = read_face_id(flat, network(), "a"), read_face_id(nested(flat), network(), "b")
    assert one.layers.keys() == other.layers.keys()
    assert one.lora.keys() == other.lora.keys()
    assert (one.tokens, one.context_width) == (4, CONTEXT)


def test_numbers_follow_input_output_middle() -> None:
    flat = face_id()
    lora = read_face_id(flat, network(), "a").lora
    up, _ = lora["diffusion_model.middle_block.1.transformer_blocks.0.attn2.to_out.0.weight"]
    assert torch.equal(up, flat["ip_adapter.5.to_out_lora.up.weight"])
    up, _ = lora["diffusion_model.output_blocks.0.1.transformer_blocks.0.attn1.to_q.weight"]
    assert torch.equal(up, flat["ip_adapter.2.to_q_lora.up.weight"])
    assert len(lora) == 3 * 8


def plus(flat: Flat) -> Flat:
    return {**flat, "image_proj.perceiver_resampler.latents": torch.zeros(1)}


def instant_id(_: Flat) -> Flat:
    return {
        "image_proj.latents": torch.zeros(1, 16, CONTEXT),
        "image_proj.proj_in.weight": torch.zeros(8, 512),
        "ip_adapter.1.to_k_ip.weight": torch.zeros(WIDTH, CONTEXT),
    }


def picture_plus(flat: Flat) -> Flat:
    return {**instant_id(flat), "image_proj.proj_in.weight": torch.zeros(8, 1280)}


def picture(_: Flat) -> Flat:
    return {
        "image_proj.proj.weight": torch.zeros(8, 1024),
        "image_proj.norm.weight": torch.ones(CONTEXT),
        "ip_adapter.1.to_k_ip.weight": torch.zeros(WIDTH, CONTEXT),
    }


def only_lora(flat: Flat) -> Flat:
    return {key.removeprefix("ip_adapter."): value for key, value in flat.items() if "_lora." in key}


def without(*parts: str) -> Callable[[Flat], Flat]:
    return lambda flat: {key: value for key, value in flat.items() if not any(part in key for part in parts)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (plus, "FaceID Plus"),
        (instant_id, "InstantID"),
        (picture_plus, "IP-Adapter Plus file for pictures"),
        (picture, "IP-Adapter file for pictures"),
        (only_lora, "LoRA without an adapter"),
        (without("_lora."), "without its LoRA"),
        (lambda flat: face_id(tokens=16, lora=False), r"FaceID Portrait file \(16 tokens"),
        (lambda flat: {"model.weight": torch.zeros(1)}, r"not an IP-Adapter file .*model\.weight"),
        (without("image_proj."), "without its projection: it is truncated"),
        (without("ip_adapter."), "without its layers: it is truncated"),
        (without("image_proj.norm"), r"unknown form \(no norm\.bias"),
        (without("ip_adapter.5."), r"entries missing .*truncated"),
        (without("ip_adapter.3.to_v_ip"), r"1 entries missing \(ip_adapter\.3\.to_v_ip\.weight\)"),
        (lambda flat: {**flat, "ip_adapter.9.to_k_ip.weight": torch.zeros(1, 1)}, "1 entries unknown"),
        (
            lambda flat: {**flat, "ip_adapter.3.to_k_ip.weight": torch.zeros(WIDTH + 1, CONTEXT)},
            r"shape \(9, 16\).*needs \(8, 16\)",
        ),
        (
            lambda flat: {**flat, "ip_adapter.0.to_q_lora.up.weight": torch.zeros(WIDTH + 1, RANK)},
            r"LoRA of shapes \(9, 2\)",
        ),
    ],
)
def test_other_files_are_named(change: Callable[[Flat], Flat], message: str) -> None:
    with pytest.raises(AdapterFileError, match=message) as raised:
        read_face_id(change(face_id()), network(), "my-file.bin")
    assert '"my-file.bin"' in str(raised.value)


def test_another_family_is_named_on_both_sides() -> None:
    sd15 = NetworkShape(768, network(3).sites, [WIDTH] * 3)
    with pytest.raises(AdapterFileError, match=r"FaceID adapter for .*context width 2048.*the model is .*like SD1\.5"):
        read_face_id(face_id(context=2048), sd15, "ip-adapter-faceid_sdxl.bin")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float8_e5m2])
@pytest.mark.parametrize(
    "key", ["image_proj.norm.bias", "ip_adapter.1.to_v_ip.weight", "ip_adapter.2.to_k_lora.down.weight"]
)
def test_values_that_are_not_finite_are_refused(key: str, dtype: torch.dtype, value: float) -> None:
    flat = {name: tensor.to(dtype) for name, tensor in face_id().items()}
    read_face_id(flat, network(), "whole.bin")
    broken = flat[key].float()
    broken.view(-1)[-1] = value
    flat[key] = broken.to(dtype)
    with pytest.raises(AdapterFileError, match=rf'"damaged\.bin" holds values that are not finite, in {key}'):
        read_face_id(flat, network(), "damaged.bin")
