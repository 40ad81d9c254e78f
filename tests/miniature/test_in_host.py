"""The real host accepts the miniature's checkpoint and samples with it."""

from __future__ import annotations

import asyncio
import importlib
import re
from collections.abc import Iterator

import numpy as np
import pytest
import safetensors.torch
import torch

from miniature.adapter import attention_names
from miniature.checkpoint import UNET_PREFIX, checkpoint_specs, unet_shapes
from miniature.config import MINIATURE
from miniature.files import TensorSpec
from miniature.layout import ADAPTER, CHECKPOINT, EXTENSION
from miniature.weights import PREDICTION_GAIN
from tests.miniature.portraits import FACES, overlap, portrait

# InsightFace 2.1 calls a scikit-image function that is on its way out.
pytestmark = pytest.mark.filterwarnings("ignore:`estimate` is deprecated:FutureWarning")


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Layers this small are done before a second thread has woken up."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("one_thread")
class TestInHost:
    def test_the_extension_adds_no_node_and_one_model(self, nodes):
        supported = importlib.import_module("comfy.supported_models").models
        assert asyncio.run(nodes.load_custom_node(str(EXTENSION)))
        assert [model.__name__ for model in supported].count("MiniatureSDXL") == 1
        assert not any("miniature" in name.lower() for name in nodes.NODE_CLASS_MAPPINGS)

    def test_the_hosts_own_sdxl_is_still_detected(self, nodes):
        from miniature.config import SDXL

        detection = importlib.import_module("comfy.model_detection")
        specs = {UNET_PREFIX + name: shape for name, shape in unet_shapes(SDXL.unet).items()}
        tensors = {name: torch.empty(shape, device="meta") for name, shape in specs.items()}
        assert type(detection.model_config_from_unet(tensors, UNET_PREFIX)).__name__ == "SDXL"

    def test_the_file_has_every_tensor_the_host_wants(self, models, loaded):
        model, clip, vae = loaded
        stored = safetensors.torch.load_file(models / CHECKPOINT)
        assert {n: TensorSpec(tuple(t.shape), t.dtype) for n, t in stored.items()} == checkpoint_specs(MINIATURE)
        unet = model.model.diffusion_model.state_dict()
        assert {name for name in stored if name.startswith(UNET_PREFIX)} == {UNET_PREFIX + name for name in unet}
        assert {re.sub("^first_stage_model.", "", n) for n in stored if n.startswith("first")} == set(vae.get_sd())
        text = clip.get_sd()
        name = "clip_g.transformer.text_model.encoder.layers.2.self_attn.v_proj.weight"
        packed = stored["conditioner.embedders.1.model.transformer.resblocks.2.attn.in_proj_weight"]
        assert torch.equal(text[name].float(), packed[128:].float())

    def test_it_is_small(self, loaded):
        parameters = sum(weight.numel() for weight in loaded[0].model.diffusion_model.parameters())
        assert type(loaded[0].model).__name__ == "SDXL"
        assert 7e6 < parameters < 8e6

    def test_text_becomes_conditioning_of_order_one(self, nodes, loaded):
        with torch.inference_mode():
            (old,) = nodes.CLIPTextEncode().encode(loaded[1], "an old woman")
            (young,) = nodes.CLIPTextEncode().encode(loaded[1], "a (young:1.2) man")
        assert old[0][0].shape == (1, 77, 128)
        assert old[0][1]["pooled_output"].shape == (1, 64)
        assert 0.3 < old[0][0].std() < 3
        assert (old[0][0] - young[0][0]).abs().mean() > 0.01
        assert (old[0][1]["pooled_output"] - young[0][1]["pooled_output"]).abs().mean() > 0.1

    def test_a_picture_survives_the_autoencoder(self, nodes, loaded, analysis):
        model, _, vae = loaded
        picture = torch.from_numpy(portrait("portrait_09")[::2, ::2, ::-1].copy())[None] / 255
        with torch.inference_mode():
            (latent,) = nodes.VAEEncode().encode(vae, picture)
            (back,) = nodes.VAEDecode().decode(vae, latent)
        assert latent["samples"].shape == (1, 4, 32, 32)
        assert 0.2 < model.model.process_latent_in(latent["samples"]).std() < 3
        assert back.shape == picture.shape
        assert (back - picture).abs().mean() < 0.08
        (face,) = analysis.get((back[0].numpy()[:, :, ::-1] * 255).round().astype(np.uint8))
        assert overlap(face.bbox * 2, FACES["portrait_09"]) >= 0.4

    def test_the_sampler_runs_and_heeds_the_text(self, nodes, loaded):
        model, clip, vae = loaded
        picture = torch.from_numpy(portrait("portrait_22")[::4, ::4, ::-1].copy())[None] / 255
        with torch.inference_mode():
            (old,) = nodes.CLIPTextEncode().encode(clip, "an old woman")
            (empty,) = nodes.CLIPTextEncode().encode(clip, "")
            (latent,) = nodes.VAEEncode().encode(vae, picture)

            def sample(positive):
                arguments = (model, 0, 3, 3.0, "euler", "normal", positive, empty, latent)
                return nodes.common_ksampler(*arguments, denoise=0.3)[0]

            with_text, without = sample(old), sample(empty)
            (decoded,) = nodes.VAEDecode().decode(vae, with_text)
        assert with_text["samples"].isfinite().all()
        assert (with_text["samples"] - without["samples"]).abs().mean() > 0.01
        assert decoded.shape == (1, 128, 128, 3)
        assert decoded.isfinite().all()
        assert decoded.std() > 0.05

    def test_the_denoiser_answers_moderately_and_the_lora_changes_it(self, models, loaded):
        unet = loaded[0].model.diffusion_model.float()
        generator = torch.Generator().manual_seed(0)
        inputs = [torch.randn(size, generator=generator) for size in ((1, 4, 16, 16), (1, 77, 128), (1, 1600))]
        weights = unet.state_dict()
        kept = {name: weight.clone() for name, weight in weights.items()}
        layers = torch.load(models / ADAPTER, weights_only=True)["ip_adapter"]

        def predict() -> torch.Tensor:
            with torch.inference_mode():
                return unet(inputs[0], torch.tensor([300.0]), context=inputs[1], y=inputs[2])

        plain = predict()
        with torch.inference_mode():
            for number, attention in enumerate(attention_names(weights)):
                for target, layer in (("q", "to_q"), ("k", "to_k"), ("v", "to_v"), ("out", "to_out.0")):
                    up = layers[f"{number}.to_{target}_lora.up.weight"].float()
                    down = layers[f"{number}.to_{target}_lora.down.weight"].float()
                    weights[f"{attention}.{layer}.weight"] += up @ down
        changed = predict()
        with torch.inference_mode():
            for name, weight in weights.items():
                weight.copy_(kept[name])
        assert 0.3 * PREDICTION_GAIN < plain.std() < 3 * PREDICTION_GAIN
        assert 0.02 < (changed - plain).std() / plain.std() < 0.5
