"""The shipped workflow on a real server, over HTTP and websocket."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from harness.comfyui import comfyui_folder
from harness.environment import ROOT
from harness.server import ComfyServer, Event, WorkflowFailed, WorkflowRejected
from harness.workflow import LOADER, Workflow, node_of, with_inputs, without_cropping
from miniature.workflow import SIDE as CROP_SIDE
from scripts import workflows
from tests.workspace import PORTRAIT, SIDE, make_workspace, shipped

pytestmark = pytest.mark.server

STEPS = 6
MEGABYTE = 1 << 20


@pytest.fixture(scope="module")
def server(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComfyServer]:
    folder = make_workspace(tmp_path_factory.mktemp("base"), models)
    arguments = ["--preview-method", "latent2rgb"]
    with ComfyServer(folder, comfyui=comfyui_folder(), arguments=arguments) as running:
        yield running


def quick(steps: int = STEPS, cfg: float = -10.0, **changes: dict[str, Any]) -> Workflow:
    """The shipped workflow with few steps."""
    chosen = {
        "DPMSolverInversion": {"steps": steps, **changes.pop("DPMSolverInversion", {})},
        "ReverseIdentityKSampler": {"cfg": cfg, **changes.pop("ReverseIdentityKSampler", {})},
    }
    return with_inputs(shipped(), **chosen, **changes)


def picture(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB")).astype(np.int16)


def run_beside_the_vae(server: ComfyServer, workflow: Workflow) -> list[np.ndarray]:
    """The crop that the workflow makes, and the crop of the photograph as the VAE alone gives it back."""
    decoded = node_of(workflow, "VAEDecode")
    encoded = [node_of(workflow, "VAEEncode"), 0]
    again = {**workflow[decoded]["inputs"], "samples": encoded}
    history = server.run(
        {
            **workflow,
            "20": {"class_type": "VAEDecode", "inputs": again},
            "21": {"class_type": "SaveImage", "inputs": {"images": ["20", 0], "filename_prefix": "vae"}},
            "22": {"class_type": "SaveImage", "inputs": {"images": [decoded, 0], "filename_prefix": "crop"}},
        }
    )
    saved = ("22", "21")
    return [picture(server.images({"outputs": {key: history["outputs"][key]}})[0]) for key in saved]


def probe(server: ComfyServer) -> int:
    """Adapters alive in the server."""
    history = server.run({"1": {"class_type": "ProbeCountAdapters", "inputs": {}}})
    return int(history["outputs"]["1"]["alive"][0])


def executed(events: list[Event]) -> set[str]:
    """Nodes that really ran."""
    return {event.data["node"] for event in events if event.type == "executing" and event.data["node"]}


def test_a_portrait_goes_in_and_an_image_comes_out(server: ComfyServer) -> None:
    history = server.run(quick())
    [image] = server.images(history)
    assert picture(image).shape == (SIDE, SIDE, 3)
    assert picture(image).std() > 5


def test_without_cropping_the_whole_picture_goes_through_the_network(server: ComfyServer) -> None:
    workflow = without_cropping(quick())
    assert not {"ReverseIdentityFaceCrop", "ReverseIdentityFacePaste"} & {n["class_type"] for n in workflow.values()}
    [back] = server.images(server.run(workflow))
    [before] = server.images(server.run(quick()))
    # The rim of the photograph is outside the crop's mask, but not outside the autoencoder.
    with Image.open(server.base_directory / "input" / PORTRAIT) as image:
        photograph = np.asarray(image.convert("RGB")).astype(np.int16)
    assert np.array_equal(picture(before)[:, 0], photograph[:, 0])
    assert not np.array_equal(picture(back)[:, 0], photograph[:, 0])


def test_scale_zero_gives_the_portrait_back_as_the_vae_sees_it(server: ComfyServer) -> None:
    workflow = quick(cfg=0.0)
    back, plain = run_beside_the_vae(server, workflow)
    assert np.abs(back - plain).max() <= 1


def test_a_negative_scale_changes_the_picture(server: ComfyServer) -> None:
    back, away = (picture(server.images(server.run(quick(cfg=cfg)))[0]) for cfg in (0.0, -10.0))
    assert np.abs(back - away).mean() > 1


def test_same_seed_gives_the_same_bytes(server: ComfyServer) -> None:
    runs = []
    for _ in range(2):
        server.free()
        [image] = server.images(server.run(quick()))
        runs.append(image)
    assert runs[0] == runs[1]
    [other] = server.images(server.run(quick(DPMSolverInversion={"seed": 1})))
    assert other != runs[0]


@pytest.mark.parametrize(
    "change",
    [
        {"ReverseIdentityKSampler": {"cfg": -3.0}},
        {"ReverseIdentityKSampler": {"identity_scale": 0.5}},
        {"AttributePrompt": {"hair": "red"}},
    ],
)
def test_another_variation_reuses_the_inversion(server: ComfyServer, change: dict[str, Any]) -> None:
    server.run(quick())
    workflow = with_inputs(quick(), **change)
    events = list(server.events(workflow))
    ran = executed(events)
    assert node_of(workflow, "DPMSolverInversion") not in ran
    assert node_of(workflow, "FaceEmbed") not in ran
    sampler = node_of(workflow, "ReverseIdentityKSampler")
    assert sampler in ran
    progress = [event.data for event in events if event.type == "progress" and event.data["node"] == sampler]
    assert [entry["value"] for entry in progress] == list(range(1, STEPS + 1))


def test_progress_and_previews_of_both_nodes(server: ComfyServer) -> None:
    server.free()
    workflow = quick()
    events = list(server.events(workflow))
    for kind in ("DPMSolverInversion", "ReverseIdentityKSampler"):
        values = [
            event.data["value"]
            for event in events
            if event.type == "progress" and event.data["node"] == node_of(workflow, kind)
        ]
        assert values == list(range(1, STEPS + 1))
    previews = [event.image for event in events if event.type == "preview"]
    assert len(previews) >= STEPS
    for preview in previews:
        with Image.open(io.BytesIO(preview)) as image:
            assert image.width == image.height >= CROP_SIDE // 8
            assert not set(image.info) & {"prompt", "workflow", "exif", "comment"}


def test_cancelling_stops_at_once_and_the_server_goes_on(server: ComfyServer) -> None:
    server.free()
    after = 0
    interrupted = False
    steps = 250
    for event in server.events(quick(steps=steps)):
        if event.type == "progress" and event.data["max"] == steps:
            if not interrupted and event.data["value"] == 3:
                server.interrupt()
                interrupted = True
            after = event.data["value"]
    assert interrupted
    assert after < 40, "the inversion went on after the interrupt"
    assert len(server.images(server.run(quick()))) == 1


def test_ten_runs_do_not_grow_memory_and_free_lets_the_adapter_go(server: ComfyServer) -> None:
    for cfg in (-1.0, -2.0):
        server.run(quick(cfg=cfg))
    before = server.memory()
    for run in range(10):
        server.run(quick(cfg=-3.0 - run, DPMSolverInversion={"seed": run}))
    assert server.memory() - before < 60 * MEGABYTE
    assert probe(server) == 1
    server.free()
    assert probe(server) == 0


def test_attributes_reach_the_text(server: ComfyServer) -> None:
    workflow = quick(AttributePrompt={"age": "keep the original's", "sex": "female", "hair": "grey"})
    workflow["30"] = {"class_type": "PreviewAny", "inputs": {"source": [node_of(workflow, "AttributePrompt"), 1]}}
    history = server.run(workflow)
    [text] = history["outputs"]["30"]["text"]
    assert text.startswith("a photo of a")
    assert "-year-old" in text
    assert text.endswith(" with grey hair")


def test_report_says_which_provider_ran(server: ComfyServer) -> None:
    workflow = quick()
    history = server.run(workflow)
    [report] = history["outputs"][node_of(workflow, "FaceEmbed")]["text"]
    assert "CPUExecutionProvider" in report
    assert "image 1: 1 found, 1 chosen" in report


def test_no_face_is_an_error_that_says_what_to_try(server: ComfyServer) -> None:
    Image.new("RGB", (SIDE, SIDE), (90, 120, 150)).save(server.base_directory / "input" / "plain.png")
    with pytest.raises(WorkflowFailed, match=r"no face was found in image 1 of 1.*detect off"):
        server.run(quick(ReverseIdentityLoadPhotograph={"image": "plain.png"}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ReverseIdentityKSampler": {"cfg": -31.0}}, "cfg is -31; expected -30 to 30"),
        ({"DPMSolverInversion": {"steps": 1}}, "steps is 1; expected 2 to"),
        ({"ReverseIdentityAdapterLoader": {"adapter_name": "missing.bin"}}, "missing.bin"),
        ({"FaceEmbed": {"model_pack": "missing"}}, "missing"),
    ],
)
def test_values_out_of_range_are_refused_before_anything_runs(
    server: ComfyServer, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(WorkflowRejected, match=message):
        server.queue(with_inputs(quick(), **change))


def two_people(server: ComfyServer) -> list[str]:
    """Two portraits of one size in the input folder."""
    names = []
    for name in ("portrait_09", "portrait_31"):
        with Image.open(ROOT / "tests" / "data" / "portraits" / f"{name}.png") as image:
            image.convert("RGB").resize((SIDE, SIDE)).save(server.base_directory / "input" / f"{name}.png")
        names.append(f"{name}.png")
    return names


def test_two_people_in_one_batch_come_out_as_they_do_apart(server: ComfyServer) -> None:
    names = two_people(server)
    batch = quick(ReverseIdentityLoadPhotograph={"image": names[0]}, AttributePrompt={"age": "keep the original's"})
    loader = node_of(batch, LOADER)
    batch["40"] = {"class_type": "ReverseIdentityLoadPhotograph", "inputs": {"image": names[1]}}
    batch["41"] = {"class_type": "ImageBatch", "inputs": {"image1": [loader, 0], "image2": ["40", 0]}}
    for consumer in ("FaceEmbed", "ReverseIdentityFaceCrop", "ReverseIdentityFacePaste"):
        batch[node_of(batch, consumer)]["inputs"]["image"] = ["41", 0]
    together = [picture(data) for data in server.images(server.run(batch))]
    assert len(together) == 2
    for name, expected in zip(names, together, strict=True):
        alone = quick(ReverseIdentityLoadPhotograph={"image": name}, AttributePrompt={"age": "keep the original's"})
        [data] = server.images(server.run(alone))
        assert np.abs(picture(data) - expected).max() <= 1


def test_more_faces_than_latents_are_refused(server: ComfyServer) -> None:
    tiled = Image.new("RGB", (2 * SIDE, SIDE))
    for i, name in enumerate(two_people(server)):
        with Image.open(server.base_directory / "input" / name) as image:
            tiled.paste(image, (i * SIDE, 0))
    tiled.save(server.base_directory / "input" / "two.png")
    with pytest.raises(WorkflowFailed, match=r"1 latents but [2-9] faces"):
        server.run(
            without_cropping(quick(ReverseIdentityLoadPhotograph={"image": "two.png"}, FaceEmbed={"select": "all"}))
        )


def test_the_composed_graph_gives_the_same_picture(server: ComfyServer) -> None:
    workflow = quick()
    [whole] = server.images(server.run(workflow))
    sampler = workflow.pop(node_of(workflow, "ReverseIdentityKSampler"))["inputs"]
    trajectory = sampler["trajectory"]
    workflow |= {
        "50": {"class_type": "ReverseIdentityGuider", "inputs": sampler},
        "51": {"class_type": "ReverseIdentityReplaySampler", "inputs": {"trajectory": trajectory}},
        "52": {"class_type": "ReverseIdentityReplaySigmas", "inputs": {"trajectory": trajectory}},
        "53": {"class_type": "DisableNoise", "inputs": {}},
        "54": {
            "class_type": "SamplerCustomAdvanced",
            "inputs": {
                "noise": ["53", 0],
                "guider": ["50", 0],
                "sampler": ["51", 0],
                "sigmas": ["52", 0],
                "latent_image": [node_of(workflow, "VAEEncode"), 0],
            },
        },
    }
    workflow[node_of(workflow, "VAEDecode")]["inputs"]["samples"] = ["54", 0]
    [composed] = server.images(server.run(workflow))
    assert np.array_equal(picture(composed), picture(whole))


def test_only_the_required_inputs_are_required(server: ComfyServer) -> None:
    """A service may leave out whatever has a default."""
    workflow = quick()
    for kind, optional in {
        "FaceEmbed": ["provider", "detect", "threshold", "det_size", "select", "no_face", "search_turned"],
        "AttributePrompt": ["age", "sex", "ethnicity", "expression", "hair", "text", "faces"],
        "DPMSolverInversion": ["cfg", "batch"],
        "ReverseIdentityKSampler": ["identity_scale", "attributes"],
    }.items():
        for name in optional:
            workflow[node_of(workflow, kind)]["inputs"].pop(name)
    assert len(server.images(server.run(workflow))) == 1


def test_both_forms_of_the_shipped_workflow_are_what_the_schemas_say(server: ComfyServer) -> None:
    for path, text in workflows.files(server.object_info()):
        assert json.loads(path.read_text(encoding="utf-8")) == json.loads(text), path.name


@pytest.mark.parametrize(
    "flags",
    [
        ["--bf16-unet"],
        ["--fp16-unet"],
        ["--fp8_e4m3fn-unet"],
        ["--use-split-cross-attention"],
    ],
    ids=lambda flags: flags[0],
)
def test_host_options(models: Path, tmp_path: Path, flags: list[str]) -> None:
    """With any of them the null identity still gives the portrait back.

    The host refuses --lowvram and --novram on the CPU; see test_weights_may_stay_offloaded for what they do.
    """
    folder = make_workspace(tmp_path / "base", models)
    workflow = quick(cfg=0.0)
    with ComfyServer(folder, comfyui=comfyui_folder(), arguments=flags) as running:
        back, plain = run_beside_the_vae(running, workflow)
        assert np.abs(back - plain).max() <= 2
        away = run_beside_the_vae(running, quick())[0]
        assert np.abs(away - plain).mean() > 1
