"""The miniature: written reproducibly, in the real files' formats, accepted by the real host and by InsightFace."""

from __future__ import annotations

import asyncio
import importlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image

from harness.environment import ROOT
from harness.in_process import start_host
from miniature.adapter import adapter_specs, attention_names
from miniature.build import build
from miniature.checkpoint import UNET_PREFIX, checkpoint_specs, unet_shapes
from miniature.config import MINIATURE, AdapterSizes, ModelSizes, UNetSizes
from miniature.detector import AROUND_WEIGHT, INSIDE_WEIGHT, template
from miniature.files import TensorSpec, stream_safetensors, whole_file
from miniature.insight import recognition_model
from miniature.layout import ADAPTER, CHECKPOINT, FACE_PACK
from miniature.weights import PREDICTION_GAIN

# InsightFace 2.1 calls a scikit-image function that is on its way out.
pytestmark = pytest.mark.filterwarnings("ignore:`estimate` is deprecated:FutureWarning")

GOLDEN = ROOT / "tests" / "golden_set"
PORTRAITS = ROOT / "tests" / "data" / "portraits"
EXTENSION = ROOT / "miniature" / "host_extension"

# Hairline to chin and cheek to cheek, marked by hand: x0, y0, x1, y1 in pixels.
FACES = {
    "portrait_09": (118, 118, 400, 437),
    "portrait_22": (122, 84, 392, 427),
    "portrait_31": (105, 68, 448, 484),
}


@pytest.fixture(scope="module", autouse=True)
def comfyui() -> None:
    start_host()


def contents(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def portrait(name: str) -> np.ndarray:
    """Blue, green, red uint8 [512, 512, 3], as InsightFace wants it."""
    with Image.open(PORTRAITS / f"{name}.png") as image:
        return np.asarray(image.convert("RGB"))[:, :, ::-1].copy()


def overlap(a, b) -> float:
    """Intersection over union of two boxes."""
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    both = width * height
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


class TestFiles:
    def test_a_file_that_fails_half_way_leaves_nothing(self, tmp_path):
        def fail() -> None:
            with whole_file(tmp_path / "new" / "file") as stream:
                stream.write(b"half")
                raise OSError("disk full")

        with pytest.raises(OSError, match="disk full"):
            fail()
        assert list((tmp_path / "new").iterdir()) == []

    def test_a_failed_rewrite_leaves_the_old_file(self, tmp_path):
        path = tmp_path / "file"
        path.write_bytes(b"old")

        def fail() -> None:
            with whole_file(path) as stream:
                stream.write(b"new")
                raise OSError("disk full")

        with pytest.raises(OSError, match="disk full"):
            fail()
        assert contents(tmp_path) == {"file": b"old"}

    def test_safetensors_reads_back_what_was_streamed(self, tmp_path):
        tensors = {
            "matrix": torch.randn(3, 5).half().T,
            "scalar": torch.tensor(2.5),
            "numbers": torch.arange(7),
            "last": torch.randn(1, 2, 3),
        }
        specs = {name: TensorSpec(tuple(tensor.shape), tensor.dtype) for name, tensor in tensors.items()}
        with whole_file(tmp_path / "file") as stream:
            stream_safetensors(stream, specs, lambda name, _: tensors[name])
        read = safetensors.torch.load_file(tmp_path / "file")
        assert read.keys() == tensors.keys()
        for name, tensor in tensors.items():
            assert read[name].dtype == tensor.dtype
            assert torch.equal(read[name], tensor)

    @pytest.mark.parametrize("made", [torch.zeros(2, 3), torch.zeros(3, 2).half()])
    def test_a_tensor_of_another_shape_or_dtype_is_refused(self, tmp_path, made):
        specs = {"weight": TensorSpec((2, 3), torch.float16)}
        with (tmp_path / "file").open("wb") as stream, pytest.raises(ValueError, match="weight"):
            stream_safetensors(stream, specs, lambda *_: made)


class TestSeed:
    def test_same_seed_same_bytes(self, models, tmp_path):
        build(tmp_path, seed=0)
        here, there = contents(tmp_path), contents(models)
        assert here.keys() == there.keys()
        assert [name for name in here if here[name] != there[name]] == []

    def test_another_seed_other_weights(self, models, tmp_path):
        build(tmp_path, seed=1)
        here, there = contents(tmp_path), contents(models)
        # Detection has no random weights.
        assert {name for name in here if here[name] == there[name]} == {str(FACE_PACK / "detection.onnx")}

    def test_no_tensor_repeats_another(self, models):
        tensors = safetensors.torch.load_file(models / CHECKPOINT)
        random = [tensor for tensor in tensors.values() if tensor.ndim >= 2 and tensor.dtype == torch.float16]
        assert len({tensor.numpy().tobytes() for tensor in random}) == len(random)


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


@pytest.fixture(scope="module")
def analysis(models):
    from insightface.app import FaceAnalysis

    app = FaceAnalysis(name=str(models / FACE_PACK), providers=["CPUExecutionProvider"])
    app.prepare(ctx_id=-1, det_size=(640, 640))
    return app


class TestFacePack:
    @pytest.mark.parametrize(
        ("name", "kind", "task"),
        [
            ("detection", "SCRFD", "detection"),
            ("recognition", "ArcFaceONNX", "recognition"),
            ("genderage", "Attribute", "genderage"),
        ],
    )
    def test_insightface_recognises_each_file(self, models, name, kind, task):
        from insightface import model_zoo

        model = model_zoo.get_model(str(models / FACE_PACK / f"{name}.onnx"), providers=["CPUExecutionProvider"])
        assert type(model).__name__ == kind
        assert model.taskname == task
        # A wrong guess here would feed the networks another range than the one they were made for.
        assert model.input_mean == 127.5

    @pytest.mark.parametrize("name", FACES)
    def test_a_portrait_has_one_face(self, analysis, name):
        (face,) = analysis.get(portrait(name))
        assert overlap(face.bbox, FACES[name]) >= 0.4
        x0, y0, x1, y1 = face.bbox
        left_eye, right_eye, nose, left_mouth, right_mouth = face.kps
        assert x0 < left_eye[0] < nose[0] < right_eye[0] < x1
        assert x0 < left_mouth[0] < nose[0] < right_mouth[0] < x1
        assert y0 < left_eye[1] < nose[1] < left_mouth[1] < y1
        assert face.embedding.shape == (512,)
        assert face.sex in ("F", "M")
        assert 0 <= face.age <= 100

    @pytest.mark.parametrize("rows", [1, 2])
    def test_portraits_side_by_side_are_found_each(self, analysis, rows):
        names = [*FACES, "portrait_09"]
        columns = len(names) // rows
        grid = [names[row * columns : (row + 1) * columns] for row in range(rows)]
        picture = np.concatenate([np.concatenate([portrait(name) for name in row], 1) for row in grid], 0)
        found = analysis.get(picture)
        assert len(found) == len(names)
        for place, name in enumerate(names):
            offset = np.tile([place % columns * 512, place // columns * 512], 2)
            assert max(overlap(face.bbox, FACES[name] + offset) for face in found) >= 0.4

    @pytest.mark.parametrize("name", ["black", "grey", "white", "blue gradient", "noise"])
    def test_no_face_where_there_is_none(self, analysis, name):
        ramp = np.linspace(0, 1, 512)[:, None, None]
        pictures = {
            "black": np.zeros((512, 512, 3)),
            "grey": np.full((512, 512, 3), 128),
            "white": np.full((512, 512, 3), 255),
            "blue gradient": np.broadcast_to(ramp * (200, 80, 20) + (50, 30, 10), (512, 512, 3)),
            "noise": np.random.default_rng(0).integers(0, 256, (512, 512, 3)),
        }
        assert analysis.get(np.ascontiguousarray(pictures[name], dtype=np.uint8)) == []

    def test_people_differ_and_blur_does_not_matter(self, analysis):
        def embedding(picture: np.ndarray) -> np.ndarray:
            (face,) = analysis.get(picture)
            return face.normed_embedding

        def blurred(picture: np.ndarray) -> np.ndarray:
            shifted = [np.roll(picture.astype(float), (dy, dx), (0, 1)) for dy in (-2, 0, 2) for dx in (-2, 0, 2)]
            return np.mean(shifted, axis=0).round().astype(np.uint8)

        people = {name: embedding(portrait(name)) for name in FACES}
        similar = np.stack(list(people.values())) @ np.stack(list(people.values())).T
        assert similar[np.triu_indices(len(people), 1)].max() < 0.6
        for name in FACES:
            assert embedding(blurred(portrait(name))) @ people[name] > 0.9

    def test_recognition_takes_a_batch(self):
        import onnxruntime

        session = onnxruntime.InferenceSession(recognition_model(seed=3), providers=["CPUExecutionProvider"])
        batch = np.random.default_rng(0).standard_normal((3, 3, 112, 112)).astype(np.float32)
        (together,) = session.run(None, {"input.1": batch})
        apart = [session.run(None, {"input.1": batch[i : i + 1]})[0][0] for i in range(3)]
        np.testing.assert_allclose(together, np.stack(apart), atol=1e-4)

    def test_the_template_weighs_inside_against_outside(self):
        weights = template(10, 21)
        assert weights.sum() == pytest.approx(INSIDE_WEIGHT - AROUND_WEIGHT)
        assert weights[10, 10] > 0 > weights[10 - 6, 10]
        assert weights[0, 0] == 0


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
