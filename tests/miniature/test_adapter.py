"""The adapter has the numbering, keys and shapes of real files."""

from __future__ import annotations

import json

import pytest
import safetensors.torch
import torch

from harness.environment import ROOT
from miniature.adapter import adapter_specs, attention_names
from miniature.checkpoint import UNET_PREFIX, unet_shapes
from miniature.config import MINIATURE, AdapterSizes, ModelSizes, UNetSizes
from miniature.files import TensorSpec
from miniature.layout import ADAPTER

GOLDEN = ROOT / "tests" / "golden_set"


@pytest.fixture(scope="module")
def golden_sizes() -> ModelSizes:
    config = json.loads((GOLDEN / "unet_config.json").read_text())
    sizes = {name: config[name] for name in UNetSizes.__dataclass_fields__}
    unet = UNetSizes(**{name: tuple(size) if isinstance(size, list) else size for name, size in sizes.items()})
    adapter = AdapterSizes(tokens=4, projection_hidden=1024, lora_rank=8)
    return ModelSizes(unet, MINIATURE.clip_l, MINIATURE.clip_g, "taesd", adapter)


class TestAdapter:
    def test_the_numbering_is_the_one_of_the_golden_set(self, golden_sizes):
        """As FORMAT.md lists it."""
        names = attention_names(unet_shapes(golden_sizes.unet))
        assert len(names) == 34
        cross = {
            "input_blocks.4.1": [1],
            "input_blocks.5.1": [3],
            "input_blocks.7.1": [5, 7],
            "input_blocks.8.1": [9, 11],
            "output_blocks.0.1": [13, 15],
            "output_blocks.1.1": [17, 19],
            "output_blocks.2.1": [21, 23],
            "output_blocks.3.1": [25],
            "output_blocks.4.1": [27],
            "output_blocks.5.1": [29],
            "middle_block.1": [31, 33],
        }
        for block, numbers in cross.items():
            for depth, number in enumerate(numbers):
                assert names[number] == f"{block}.transformer_blocks.{depth}.attn2"
                assert names[number - 1] == f"{block}.transformer_blocks.{depth}.attn1"

    def test_keys_and_shapes_are_the_golden_adapters(self, golden_sizes):
        golden = torch.load(GOLDEN / "ip-adapter-faceid_tiny.bin", weights_only=True)
        wanted = {group: {name: tuple(t.shape) for name, t in part.items()} for group, part in golden.items()}
        specs = adapter_specs(golden_sizes)
        assert {group: {name: spec.shape for name, spec in part.items()} for group, part in specs.items()} == wanted

    def test_unet_keys_and_shapes_are_the_golden_unets(self, golden_sizes):
        golden = safetensors.torch.load_file(GOLDEN / "unet_comfy.safetensors")
        wanted = {name.removeprefix(UNET_PREFIX): tuple(tensor.shape) for name, tensor in golden.items()}
        assert unet_shapes(golden_sizes.unet) == wanted

    def test_more_than_ten_blocks_are_numbered_by_value(self):
        keys = [f"output_blocks.{n}.1.transformer_blocks.0.attn1.to_q.weight" for n in (10, 9, 2)]
        assert attention_names(keys) == [f"output_blocks.{n}.1.transformer_blocks.0.attn1" for n in (2, 9, 10)]

    def test_the_written_file_is_what_was_specified(self, models):
        groups = torch.load(models / ADAPTER, weights_only=True)
        for group, specs in adapter_specs(MINIATURE).items():
            assert {name: TensorSpec(tuple(t.shape), t.dtype) for name, t in groups[group].items()} == specs
        numbers = {int(name.split(".")[0]) for name in groups["ip_adapter"]}
        unet = MINIATURE.unet
        blocks = sum(unet.transformer_depth) + sum(unet.transformer_depth_output) + unet.transformer_depth_middle
        assert numbers == set(range(2 * blocks))

    def test_the_null_identity_has_tokens_of_its_own(self, models):
        projection = {k: v.float() for k, v in torch.load(models / ADAPTER, weights_only=True)["image_proj"].items()}

        def tokens(embedding: torch.Tensor) -> torch.Tensor:
            hidden = embedding @ projection["proj.0.weight"].T + projection["proj.0.bias"]
            hidden = torch.nn.functional.gelu(hidden) @ projection["proj.2.weight"].T + projection["proj.2.bias"]
            rows = hidden.reshape(4, -1)
            return torch.nn.functional.layer_norm(rows, rows.shape[-1:])

        generator = torch.Generator().manual_seed(0)
        people = torch.nn.functional.normalize(torch.randn(2, 512, generator=generator), dim=-1)
        null, one, other = tokens(torch.zeros(512)), tokens(people[0]), tokens(people[1])
        for first, second in ((null, one), (null, other), (one, other)):
            assert (first - second).pow(2).mean().sqrt() > 0.2
