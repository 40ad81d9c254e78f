"""The real sizes, on shapes alone: nothing is allocated or written."""

from __future__ import annotations

import importlib
import math

import pytest
import torch

from harness.in_process import start_host
from miniature.adapter import adapter_specs
from miniature.checkpoint import UNET_PREFIX, checkpoint_specs
from miniature.config import SDXL
from miniature.files import TensorSpec


@pytest.fixture(scope="module")
def checkpoint() -> dict[str, TensorSpec]:
    start_host()
    return checkpoint_specs(SDXL)


@pytest.fixture(scope="module")
def adapter() -> dict[str, dict[str, TensorSpec]]:
    start_host()
    return adapter_specs(SDXL)


def test_the_checkpoint_has_the_real_files_tensors(checkpoint):
    assert len(checkpoint) == 2515
    assert math.isclose(sum(spec.nbytes for spec in checkpoint.values()), 6.94e9, rel_tol=0.01)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("model.diffusion_model.input_blocks.0.0.weight", (320, 4, 3, 3)),
        ("model.diffusion_model.label_emb.0.0.weight", (1280, 2816)),
        ("model.diffusion_model.middle_block.1.transformer_blocks.9.attn2.to_k.weight", (1280, 2048)),
        ("model.diffusion_model.output_blocks.5.1.transformer_blocks.1.ff.net.0.proj.weight", (5120, 640)),
        ("conditioner.embedders.0.transformer.text_model.embeddings.token_embedding.weight", (49408, 768)),
        ("conditioner.embedders.0.transformer.text_model.encoder.layers.11.mlp.fc1.weight", (3072, 768)),
        ("conditioner.embedders.0.transformer.text_model.embeddings.position_ids", (1, 77)),
        ("conditioner.embedders.1.model.transformer.resblocks.31.attn.in_proj_weight", (3840, 1280)),
        ("conditioner.embedders.1.model.text_projection", (1280, 1280)),
        ("conditioner.embedders.1.model.logit_scale", ()),
        ("first_stage_model.encoder.conv_out.weight", (8, 512, 3, 3)),
        ("first_stage_model.decoder.mid.attn_1.q.weight", (512, 512, 1, 1)),
        ("first_stage_model.post_quant_conv.weight", (4, 4, 1, 1)),
    ],
)
def test_a_tensor_is_where_the_real_file_has_it(checkpoint, name, shape):
    assert checkpoint[name].shape == shape


def test_the_host_takes_it_for_sdxl(checkpoint):
    detection = importlib.import_module("comfy.model_detection")
    tensors = {name: torch.empty(spec.shape, dtype=spec.dtype, device="meta") for name, spec in checkpoint.items()}
    config = detection.model_config_from_unet(tensors, UNET_PREFIX)
    assert type(config) is importlib.import_module("comfy.supported_models").SDXL


def test_the_adapter_has_the_real_files_tensors(adapter):
    layers = adapter["ip_adapter"]
    assert {int(name.split(".")[0]) for name in layers} == set(range(140))
    keys = [int(name.split(".")[0]) for name in layers if name.endswith("to_k_ip.weight")]
    assert sorted(keys) == list(range(1, 140, 2))
    assert layers["0.to_q_lora.down.weight"].shape == (128, 640)
    assert layers["139.to_v_ip.weight"].shape == (1280, 2048)
    assert adapter["image_proj"]["proj.0.weight"].shape == (1024, 512)
    assert adapter["image_proj"]["proj.2.weight"].shape == (4 * 2048, 1024)
    total = sum(spec.nbytes for group in adapter.values() for spec in group.values())
    assert math.isclose(total, 1.07e9, rel_tol=0.01)
