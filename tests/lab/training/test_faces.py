"""The training of recognisers, age and sex, and the meter: on a handful of portraits, in seconds."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from lab.meter import METER_FILE, POSE_NAMES, SIDE, Meter
from lab.render.identity import draw_identity
from lab.training import genderage, loop, meter, recogniser
from lab.training.augment import Augmentation, augmented, grey_images
from lab.training.crops import TEMPLATE, centring, similarity, warp
from lab.training.identity_code import BROW_NUMBERS, identity_codes, raw_shape
from lab.training.loop import Workshop
from lab.training.networks import convolution, residual
from lab.training.onnx_export import CompactGraph, append
from lab.training.portraits import Arrays
from lab.training.verification import equal_error_rate, verification
from miniature.insight import ATTRIBUTE_SIDE, RECOGNITION_SIDE
from miniature.layout import FACE_PACK
from miniature.onnx_graph import Graph

# InsightFace 2.1 calls a scikit-image function that is on its way out.
pytestmark = pytest.mark.filterwarnings("ignore:`estimate` is deprecated:FutureWarning")

JUDGE_PACK = FACE_PACK.with_name("miniature-judge")


@dataclass(frozen=True)
class Part:
    """One training and its file."""

    train: Callable[[Workshop], dict[str, Any]]
    file: Path


PARTS = {
    "recogniser": Part(recogniser.train_recogniser, FACE_PACK / "recognition.onnx"),
    "meter": Part(meter.train_meter, METER_FILE),
    "judge": Part(recogniser.train_judge, JUDGE_PACK / "recognition.onnx"),
    "genderage": Part(genderage.train_genderage, FACE_PACK / "genderage.onnx"),
}


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    directory = tmp_path_factory.mktemp("workshop")
    return Workshop(directory, directory / "models", smoke=True, threads=1)


@pytest.fixture(scope="module")
def figures(shop: Workshop) -> dict[str, dict[str, Any]]:
    """What every training returned."""
    return {name: part.train(shop) for name, part in PARTS.items()}


@pytest.fixture
def unrounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are written with weights in float32, so that they can be compared with the network."""
    monkeypatch.setattr(CompactGraph, "weight", Graph.array)


@pytest.fixture(scope="module")
def portraits(shop: Workshop, figures: object) -> Arrays:
    return meter.SMOKE.validation.load(shop.data)


def insightface_model(path: Path):
    from insightface import model_zoo

    return model_zoo.get_model(str(path), providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("pack", [FACE_PACK, JUDGE_PACK], ids=["pack", "judge"])
def test_insightface_takes_the_recognisers(shop, figures, pack):
    model = insightface_model(shop.models / pack / "recognition.onnx")

    assert model.taskname == "recognition"
    assert model.input_size == (RECOGNITION_SIDE, RECOGNITION_SIDE)
    assert model.output_shape[-1] == 512
    assert (model.input_mean, model.input_std) == (127.5, 127.5)


def test_insightface_takes_age_and_sex(shop, figures):
    model = insightface_model(shop.models / FACE_PACK / "genderage.onnx")

    assert model.taskname == "genderage"
    assert (model.input_mean, model.input_std) == (127.5, 128.0)


def test_figures_are_complete(figures):
    for name in ("recogniser", "judge"):
        assert {"eer", "threshold", "missed"} <= figures[name]["colour"].keys() & figures[name]["grey"].keys()
    assert {"yaw", "landmarks", "glasses", "male", "ethnicity", "age"} <= figures["meter"].keys()
    assert 0 <= figures["genderage"]["sex"] <= 1


@pytest.mark.parametrize("name", ["recogniser", "judge"])
def test_recogniser_file_calculates_as_the_network_did(shop, figures, name):
    plan = recogniser.RECIPES[name][1]
    model = recogniser.build(plan, plan.components + BROW_NUMBERS)
    recogniser.fit(shop, plan, model)
    crops = np.random.default_rng(1).integers(0, 256, (5, RECOGNITION_SIDE, RECOGNITION_SIDE, 3), np.uint8)
    values = torch.from_numpy((crops.transpose(0, 3, 1, 2).astype(np.float32) - 127.5) / 127.5)
    with torch.no_grad():
        wanted = model.network(values).numpy() @ recogniser.spreading(plan).T

    found = recogniser.embed_crops(shop.models / PARTS[name].file, crops)

    assert np.abs(found - wanted).max() < 1e-3 * np.abs(wanted).max() + 1e-3


def outputs(path: Path, values: torch.Tensor) -> dict[str, np.ndarray]:
    """Of a model with one input, by their names."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {session.get_inputs()[0].name: values.numpy()}), strict=True))


def test_genderage_file_calculates_as_the_network_did(shop, figures, unrounded, tmp_path):
    network = genderage.build(genderage.SMOKE)
    genderage.fit(shop.state("genderage"), genderage.SMOKE, network, genderage.SMOKE.portraits.load(shop.data))
    values = torch.rand(4, 3, ATTRIBUTE_SIDE, ATTRIBUTE_SIDE) * 2 - 1
    with torch.no_grad():
        wanted = network(values) * torch.tensor([1, 1, genderage.SPREAD]) + torch.tensor([0, 0, genderage.MIDDLE])

    genderage.export_genderage(tmp_path / "genderage.onnx", network)

    np.testing.assert_allclose(outputs(tmp_path / "genderage.onnx", values)["fc1"], wanted.numpy(), atol=1e-3)
    shipped = outputs(shop.models / PARTS["genderage"].file, values)["fc1"]
    np.testing.assert_allclose(shipped, wanted.numpy(), atol=2e-2)


def test_meter_file_calculates_as_the_network_did(shop, figures, portraits, unrounded, tmp_path):
    network = meter.build(meter.SMOKE)
    meter.fit(shop.state("meter"), meter.SMOKE, network, meter.SMOKE.portraits.load(shop.data))
    values = torch.from_numpy(portraits["image"].transpose(0, 3, 1, 2).astype(np.float32) / 255)
    with torch.no_grad():
        wanted = meter.parts(network(values))

    meter.export_meter(tmp_path / METER_FILE, network)
    found = Meter(tmp_path / METER_FILE, threads=1).read(portraits["image"], at_once=3)
    shipped = Meter(shop.models / METER_FILE, threads=1).read(portraits["image"])

    assert found.pose.shape == (len(values), len(POSE_NAMES))
    np.testing.assert_allclose(found.pose / meter.POSE_SPREAD, wanted["pose"].numpy(), atol=1e-3)
    np.testing.assert_allclose(shipped.pose / meter.POSE_SPREAD, wanted["pose"].numpy(), atol=2e-2)
    np.testing.assert_allclose(found.age, wanted["age"][:, 0].numpy() * meter.AGE_SPREAD + meter.AGE_MEAN, atol=0.02)
    np.testing.assert_allclose(found.male, wanted["flags"][:, 4].sigmoid().numpy(), atol=1e-3)
    np.testing.assert_allclose(found.expression, wanted["expression"].softmax(1).numpy(), atol=1e-3)
    np.testing.assert_allclose(found.hair_colour.sum(1), 1, atol=1e-5)
    assert found.landmarks.shape == (len(values), 5, 2)


def test_meter_refuses_other_pictures(shop, figures, tmp_path):
    reader = Meter(shop.models / METER_FILE)
    for images in (np.zeros((1, 64, 64, 3), np.uint8), np.zeros((1, SIDE, SIDE, 3), np.float32)):
        with pytest.raises(ValueError, match="portraits must be uint8"):
            reader.read(images)
    with pytest.raises(FileNotFoundError, match="train the meter first"):
        Meter(tmp_path / "none.onnx")


@pytest.mark.parametrize("name", PARTS)
def test_stopped_training_ends_as_if_it_had_not_been(shop, figures, name, tmp_path, monkeypatch):
    whole = (shop.models / PARTS[name].file).read_bytes()
    shutil.copytree(shop.data, tmp_path / "data")
    again = Workshop(tmp_path, tmp_path / "models", smoke=True, threads=1)
    rate = loop.cosine_rate

    def interrupted(peak: float, step: int, steps: int, floor: float = 0.02) -> float:
        if step == 7:
            raise KeyboardInterrupt
        return rate(peak, step, steps, floor)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "SAVE_SECONDS", -1.0)
        patch.setattr(loop, "cosine_rate", interrupted)
        with pytest.raises(KeyboardInterrupt):
            PARTS[name].train(again)
    assert not (again.models / PARTS[name].file).exists()
    PARTS[name].train(again)

    assert (again.models / PARTS[name].file).read_bytes() == whole


def test_landmark_crop_is_insightface_s_own(portraits):
    from insightface.utils import face_align

    rng = np.random.default_rng(2)
    landmarks = portraits["landmarks"] + rng.normal(size=portraits["landmarks"].shape)
    ours = warp(portraits["image"], similarity(landmarks), RECOGNITION_SIDE)
    theirs = [face_align.norm_crop(image, marks) for image, marks in zip(portraits["image"], landmarks, strict=True)]

    assert np.abs(ours.astype(int) - np.stack(theirs)).max() <= 2


def test_box_crop_is_insightface_s_own(portraits):
    from insightface.utils import face_align

    ours = warp(portraits["image"], centring(portraits["box"]), ATTRIBUTE_SIDE)
    for image, crop, (x0, y0, x1, y1) in zip(portraits["image"], ours, portraits["box"], strict=True):
        scale = ATTRIBUTE_SIDE / (max(x1 - x0, y1 - y0) * 1.5)
        theirs, _ = face_align.transform(image, ((x0 + x1) / 2, (y0 + y1) / 2), ATTRIBUTE_SIDE, scale, 0)
        assert np.abs(crop.astype(int) - theirs).max() <= 2


def test_template_stays_where_it_is():
    np.testing.assert_allclose(similarity(TEMPLATE[None])[0], np.eye(2, 3), atol=1e-9)


def test_moving_a_portrait_moves_its_truth(portraits):
    """Bright spots at the landmarks are found again where the moved truth says they are."""
    data = {name: values.copy() for name, values in portraits.items()}
    data["image"][:] = 0
    row, column = 70, 41
    data["image"][:, row - 1 : row + 1, column - 1 : column + 1] = 255
    data["landmarks"][:] = (column, row)
    images, targets = meter.moved(data, np.arange(len(data["image"])), meter.RECIPE, np.random.default_rng(5))
    light = images[..., 0].astype(float)
    light /= light.sum((1, 2), keepdims=True)
    places = np.arange(SIDE) + 0.5
    found = np.stack([(light.sum(1) * places).sum(1), (light.sum(2) * places).sum(1)], 1) / SIDE
    truth = targets["landmarks"].view(-1, 5, 2).numpy() * meter.LANDMARK_SPREAD + meter.LANDMARK_MEAN

    np.testing.assert_allclose(truth.mean(1), found, atol=0.25 / SIDE)


def test_identity_code_is_shape_and_has_a_mirror_image():
    seeds = np.arange(8)
    codes = identity_codes(seeds, 6)
    straight, mirrored = raw_shape(draw_identity(3))

    assert codes.shape == (2, 8, 12)
    np.testing.assert_array_equal(codes, identity_codes(seeds, 6))
    # Across the face mirrored coordinates change their sign, along it they hardly change at all.
    assert np.abs(straight.reshape(-1, 3) - mirrored.reshape(-1, 3)).max() < 0.02
    assert np.linalg.norm(codes[0] - codes[1], axis=1).mean() < np.linalg.norm(codes[0] - codes[0, ::-1], axis=1).mean()


def test_grey_pictures_have_no_colour(portraits):
    plan = Augmentation(grey=1.0, noise=0.0)
    values = augmented(portraits["image"], plan, np.random.default_rng(3))

    assert values.shape == (len(portraits["image"]), 3, SIDE, SIDE)
    assert (values.amax(1) - values.amin(1)).max() < 1e-5
    assert values.min() >= 0
    assert values.max() <= 1
    assert (np.ptp(grey_images(portraits["image"]), axis=3) == 0).all()


def test_error_rates_are_those_of_known_scores():
    rng = np.random.default_rng(4)
    genuine, impostor = rng.normal(2, 1, 100_000), rng.normal(0, 1, 100_000)
    assert equal_error_rate(genuine, impostor) == pytest.approx(0.1587, abs=0.003)
    people = np.arange(40).repeat(3)
    perfect = verification(np.eye(40)[people] + 0.01, people, (people % 2)[:, None])
    assert perfect["eer"] == perfect["eer_alike"] == perfect["missed"] == 0
    assert perfect["genuine"] == pytest.approx(1)


def test_every_layer_can_be_written(unrounded):
    torch.manual_seed(0)
    network = nn.Sequential(*convolution(3, 8, 3, 2), nn.SiLU(), residual(8), nn.Flatten(), nn.Linear(128, 4))
    network(torch.randn(9, 3, 8, 8))  # Statistics that are not those of the start.
    network.eval()
    graph = CompactGraph()
    graph.output(append(graph, network, graph.input("x", ["n", 3, 8, 8])), "y", ["n", 4])
    values = torch.randn(2, 3, 8, 8)
    found = onnxruntime.InferenceSession(graph.serialized("network")).run(None, {"x": values.numpy()})[0]

    np.testing.assert_allclose(found, network(values).detach().numpy(), atol=1e-4)
    with pytest.raises(TypeError, match="Tanh cannot be written"):
        append(graph, nn.Sequential(nn.Tanh()), "x")
