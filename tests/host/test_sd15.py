"""A UNet in SD1.5's form: convolutional projections, no size conditioning, attention at every level but the last."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from harness.in_process import load_pack, part, run_node
from tests.golden import faces_of

CONTEXT, CHANNELS = 24, 32


@pytest.fixture(scope="module")
def sd15() -> Any:
    load_pack()
    import comfy.model_patcher
    import comfy.supported_models

    unet_config = {
        "use_checkpoint": False,
        "image_size": 32,
        "in_channels": 4,
        "out_channels": 4,
        "model_channels": CHANNELS,
        "num_res_blocks": [2, 2, 2, 2],
        "channel_mult": [1, 2, 2, 2],
        "transformer_depth": [1, 1, 1, 1, 1, 1, 0, 0],
        "transformer_depth_middle": 1,
        "transformer_depth_output": [1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0],
        "use_spatial_transformer": True,
        "use_linear_in_transformer": False,
        "context_dim": CONTEXT,
        "num_heads": 4,
        "num_head_channels": -1,
        "legacy": False,
        "adm_in_channels": None,
        "use_temporal_attention": False,
    }
    small = type("SmallSD15", (comfy.supported_models.SD15,), {"unet_config": {}, "unet_extra_config": {}})
    config = small(unet_config)
    config.set_inference_dtype(torch.float32, None)
    cpu = torch.device("cpu")
    network = config.get_model({}, device=cpu)
    generator = torch.Generator().manual_seed(0)
    for name, weight in network.diffusion_model.state_dict().items():
        spread = 0.5 / max(1, weight[0].numel()) ** 0.5 if weight.ndim > 1 else 0.0
        offset = 1.0 if weight.ndim == 1 and name.endswith("weight") else 0.0
        weight.copy_(torch.randn(weight.shape, generator=generator) * spread + offset)
    return comfy.model_patcher.CoreModelPatcher(network, load_device=cpu, offload_device=cpu)


def face_id_file(model: Any, path: Path) -> dict[str, torch.Tensor]:
    """A random FaceID file for the model, numbered as SD1.5's is."""
    layout = part("reverse_personalization.method.attention_layout")
    state = model.model_state_dict("diffusion_model.")
    generator = torch.Generator().manual_seed(1)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator) / shape[-1] ** 0.5

    flat = {
        "image_proj.proj.0.weight": draw(16, 512) * 20,
        "image_proj.proj.0.bias": draw(16),
        "image_proj.proj.2.weight": draw(4 * CONTEXT, 16),
        "image_proj.proj.2.bias": draw(4 * CONTEXT),
        "image_proj.norm.weight": torch.ones(CONTEXT),
        "image_proj.norm.bias": torch.zeros(CONTEXT),
    }
    for i, site in enumerate(layout.transformer_sites(state)):
        for attention, number in (("attn1", 2 * i), ("attn2", 2 * i + 1)):
            for target, layer in layout.LORA_TARGETS.items():
                out, into = state[f"{site.module}.{attention}.{layer}.weight"].shape
                flat[f"ip_adapter.{number}.{target}_lora.up.weight"] = draw(out, 4) * 0.2
                flat[f"ip_adapter.{number}.{target}_lora.down.weight"] = draw(4, into)
        for layer in ("to_k_ip", "to_v_ip"):
            flat[f"ip_adapter.{2 * i + 1}.{layer}.weight"] = draw(out, CONTEXT)
    save_file(flat, path)
    return flat


def test_sites_are_numbered_as_in_sd15s_files(sd15: Any) -> None:
    sites = part("reverse_personalization.method.attention_layout").transformer_sites(sd15.model_state_dict())
    blocks = [("input", n) for n in (1, 2, 4, 5, 7, 8)] + [("output", n) for n in range(3, 12)] + [("middle", 0)]
    assert [(site.block, site.number) for site in sites] == blocks


def test_it_inverts_and_moves_away(sd15: Any, tmp_path: Path) -> None:
    import folder_paths

    face_id_file(sd15, tmp_path / "sd15.safetensors")
    folder_paths.add_model_folder_path("ipadapter", str(tmp_path))
    model = run_node("ReverseIdentityAdapterLoader", sd15, "sd15.safetensors", 1.0)
    text = [[torch.randn(1, 77, CONTEXT, generator=torch.Generator().manual_seed(2)), {}]]
    x0 = torch.randn(1, 4, 16, 8, generator=torch.Generator().manual_seed(3))
    latent = {"samples": model.model.process_latent_out(x0)}
    faces = faces_of(torch.nn.functional.normalize(torch.ones(1, 512)), 128, 64)
    trajectory = run_node("DPMSolverInversion", model, latent, text, 6, 0.3, 0)
    back, away = (
        model.model.process_latent_in(run_node("ReverseIdentityKSampler", model, trajectory, faces, cfg)["samples"])
        for cfg in (0.0, -10.0)
    )
    assert (back - x0).abs().max() <= 1e-6
    assert (away - x0).abs().max() > 1e-2


def test_the_wrong_familys_file_is_named(sd15: Any) -> None:
    from tests.small_model import SmallModel

    name = SmallModel().golden.adapter_files[0]
    with pytest.raises(ValueError, match=r"context width 48, 17 cross-attentions.*the model is .*context width 24, 16"):
        run_node("ReverseIdentityAdapterLoader", sd15, name, 1.0)
