"""The plain diffusers script computes what the authors' code computes, and what the pack computes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionXLPipeline
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from bench.comparison import counted_rows, files_for_script
from bench.conversion import scheduler, unet
from bench.pack import Pack, portrait_workflow, running_pack
from bench.photographs import Portraits
from bench.reference import Network, Script, Texts
from bench.setting import Setting
from harness.workflow import Workflow, node_of
from miniature.config import MINIATURE, UNetSizes
from miniature.layout import CHECKPOINT, WEIGHTS
from tests.executor import Executor
from tests.golden import FINAL_TOLERANCE, NOISE_MAP_TOLERANCE, START_TOLERANCE

GOLDEN = Path(__file__).parents[1] / "golden_set"

LATENT_TOLERANCE = 1e-4
"""Largest difference from the pack's latent in model space, where the change itself moves values by about 1."""


@pytest.fixture(scope="module")
def golden_pipeline() -> Any:
    config = json.loads((GOLDEN / "unet_config.json").read_text(encoding="utf-8"))
    values = {field.name: config[field.name] for field in fields(UNetSizes)}
    sizes = UNetSizes(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})
    network = unet(load_file(GOLDEN / "unet_comfy.safetensors"), sizes)
    nothing = dict.fromkeys(("vae", "text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2"))
    pipeline = StableDiffusionXLPipeline(unet=network, scheduler=scheduler(), **nothing)
    pipeline.load_ip_adapter(
        str(GOLDEN), subfolder="", weight_name="ip-adapter-faceid_tiny.bin", image_encoder_folder=None
    )
    return pipeline


@pytest.mark.parametrize("case", ["A1", "A2", "A3"])
def test_it_gives_the_authors_numbers(golden_pipeline: Any, case: str) -> None:
    data = np.load(GOLDEN / f"{case}.npz")
    golden_pipeline.set_ip_adapter_scale(float(data["ip_scale"]))
    exact, noisiest, recorded = golden_run(golden_pipeline.unet, data, exact=True)
    published, _, _ = golden_run(golden_pipeline.unet, data, exact=False)
    assert largest(noisiest, data["init_latents"]) <= START_TOLERANCE
    scale = np.abs(data["zs"]).max()
    assert largest(torch.cat(recorded), data["zs"]) <= NOISE_MAP_TOLERANCE * scale
    assert largest(exact, data["final_exact"]) <= FINAL_TOLERANCE
    # For the memory that is left over, today's scheduler takes another level than theirs did; without it, the result is
    # much further away.
    assert largest(published, data["final_asis"]) <= 0.02
    assert largest(exact, data["final_asis"]) >= 0.05


def golden_run(network: Any, data: Any, *, exact: bool) -> tuple[Tensor, Tensor, list[Tensor]]:
    """A whole run on golden inputs: the result, the noisiest copy, and z_t."""

    def both(which: str) -> Texts:
        return Texts(
            torch.from_numpy(np.concatenate([data[f"neg_embeds_{which}"], data["pos_embeds"]])),
            torch.from_numpy(np.concatenate([data[f"neg_pooled_{which}"], data["pos_pooled"]])),
        )

    def sizes(which: str) -> Tensor:
        return torch.from_numpy(data[f"time_ids_{which}"]).expand(2, -1)

    g, denoise = float(data["guidance"]), round(1 - float(data["skip"]), 6)
    with torch.inference_mode():
        run = Network(network, int(data["steps"]), denoise, exact=exact)
        x0, seed = torch.from_numpy(data["x0"]), int(data["seed"])
        noisiest, recorded = run.invert(x0, both("inv"), sizes("inv"), g, seed)
        somebody = torch.from_numpy(data["id_embed"])
        return run.generate(noisiest, recorded, somebody, both("gen"), sizes("gen"), g), noisiest, recorded


def largest(one: Tensor, other: Any) -> float:
    return float((one - torch.as_tensor(other)).abs().max())


@pytest.fixture(scope="module")
def pack() -> Iterator[Pack]:
    with running_pack(WEIGHTS) as running:
        yield running


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Script:
    return Script(files_for_script(WEIGHTS, tmp_path_factory.mktemp("pipeline")))


@pytest.mark.parametrize(("steps", "attributes"), [(20, ""), (6, "an elderly man")])
def test_it_gives_the_latent_of_the_pack(
    pack: Pack, script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int, attributes: str
) -> None:
    setting, photograph = Setting(steps=steps, attributes=attributes), Portraits(tmp_path).new()
    executor, workflow = Executor(), guided_inversion(portrait_workflow(pack.give(photograph), setting), setting)
    assert executor.run(workflow, node_of(workflow, "SaveImage")) == ""
    [ours] = executor.output(node_of(workflow, "ReverseIdentityKSampler"), 0)
    [adapted] = executor.output(node_of(workflow, "ReverseIdentityAdapterLoader"), 0)
    [faces] = executor.output(node_of(workflow, "FaceEmbed"), 0)
    embedding = faces.embeddings()[0]
    with Image.open(photograph) as picture:
        found = script.embed(picture.convert("RGB"))
    # The pack looks several times, and embeds the surest find.
    assert float(embedding @ found) >= 0.99
    monkeypatch.setattr(script, "embed", lambda picture: embedding)
    with counted_rows(script.pipeline.unet) as rows:
        exact = script.anonymise(photograph, tmp_path / "exact.png", setting, exact=True)
    published = script.anonymise(photograph, tmp_path / "published.png", setting)
    expected = adapted.model.process_latent_in(ours["samples"])
    assert largest(exact, expected) <= LATENT_TOLERANCE
    assert largest(published, expected) >= 10 * LATENT_TOLERANCE
    assert rows == [2] * (2 * steps)


def guided_inversion(workflow: Workflow, setting: Setting) -> Workflow:
    """The workflow with the texts of the authors' code: zeros, and a guided inversion."""
    clip = workflow[node_of(workflow, "CLIPTextEncode")]["inputs"]["clip"]
    source = [node_of(workflow, "CLIPTextEncode"), 0]
    changed = {
        **workflow,
        "zero": {"class_type": "ConditioningZeroOut", "inputs": {"conditioning": source}},
        "attributes": {"class_type": "CLIPTextEncode", "inputs": {"clip": clip, "text": setting.attributes}},
    }
    inversion, sampler = (node_of(workflow, kind) for kind in ("DPMSolverInversion", "ReverseIdentityKSampler"))
    for node, inputs in (
        (inversion, {"negative": ["zero", 0], "cfg": setting.scale}),
        (sampler, {"attributes": ["attributes" if setting.attributes else "zero", 0]}),
    ):
        changed[node] = {**workflow[node], "inputs": {**workflow[node]["inputs"], **inputs}}
    return changed


def test_a_picture_of_nobody_is_an_error(script: Script, tmp_path: Path) -> None:
    wall = tmp_path / "wall.png"
    Image.new("RGB", (128, 128), (120, 130, 140)).save(wall)
    with pytest.raises(ValueError, match="no face was found"):
        script.anonymise(wall, tmp_path / "result.png", Setting(steps=2))


def test_sizes_that_are_not_the_checkpoints_are_refused() -> None:
    state = {name: tensor.float() for name, tensor in load_file(WEIGHTS / CHECKPOINT).items()}
    deeper = replace(MINIATURE.unet, num_res_blocks=(2, 2, 2), transformer_depth=(1,) * 6)
    with pytest.raises((ValueError, RuntimeError), match="UNet2DConditionModel"):
        unet(state, deeper)
