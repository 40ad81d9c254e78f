"""Training of the detector, in seconds: it fits together, InsightFace takes the file, and a stop changes nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("insightface")

from lab.render.scene import MOST_PEOPLE, draw_scene
from lab.render.seeds import split_of
from lab.training import detector as training
from lab.training.anchors import (
    EITHER,
    HALF,
    LANDMARKS,
    NEGATIVE,
    SCALES,
    SIDE,
    STRIDE,
    assign,
    decode_boxes,
    decode_landmarks,
    points_of,
)
from lab.training.canvases import BORDERS, LEFT, Easel, Source, Stock, cut, draw_canvas, mirrored, turned_boxes
from lab.training.detector_figures import LOOKS, Tally
from lab.training.detector_network import BLACK, PLACES, DetectorNetwork, TorchOperations, detector_file
from lab.training.loop import Workshop
from lab.training.scenes import SceneSet
from reverse_personalization.geometry.face_search import search_plan

OUTPUTS = [f"{name}_{stride}" for name in ("score", "bbox", "kps") for stride in (8, 16, 32)]


def faces(lowest: float, highest: float, side: int) -> st.SearchStrategy[list[float]]:
    """A box of a face's proportions with its middle in the picture; the root of its area is between two limits."""

    def box(size: float, aspect: float, x: float, y: float) -> list[float]:
        width, height = size * aspect**0.5, size / aspect**0.5
        return [x - width / 2, y - height / 2, x + width / 2, y + height / 2]

    place = st.floats(8, side - 8)
    return st.builds(box, st.floats(lowest, highest), st.floats(0.65, 1.0), place, place)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    directory = tmp_path_factory.mktemp("workshop")
    return Workshop(directory, directory / "models", smoke=True, threads=1)


@pytest.fixture(scope="module")
def figures(shop: Workshop) -> dict[str, Any]:
    """Of the smoke version, trained in `shop`."""
    return training.train_detector(shop)


@pytest.fixture(scope="module")
def stock(shop: Workshop, figures: dict[str, Any]) -> Stock:
    return training.detector_stock(shop, training.SMOKE)


@given(box=faces(20, 39, 128))
def test_a_face_of_the_right_size_is_to_be_found(box: list[float]) -> None:
    assert (assign(points_of(128, 128), np.array([box], np.float32), np.array([True])) >= 0).any()


def test_the_outputs_are_distances_and_places_in_units_of_the_side() -> None:
    at = torch.tensor([[40.0, 64.0]])
    assert decode_boxes(torch.zeros(1, 4), at).tolist() == [[26.0, 50.0, 54.0, 78.0]]
    assert decode_boxes(torch.tensor([[0.5, 0.0, 1.0, -0.5]]), at).tolist() == [[12.0, 50.0, 82.0, 64.0]]
    moved = torch.zeros(1, 10)
    moved[0, 4:6] = torch.tensor([1.0, -1.0])
    middle = decode_landmarks(torch.zeros(1, 10), at)[0]
    np.testing.assert_allclose(middle[0], [40 - 0.19 * 28, 64 - 0.08 * 28], rtol=1e-6)
    np.testing.assert_allclose(decode_landmarks(moved, at)[0, 2] - middle[2], [28.0, -28.0], rtol=1e-5)


@given(size=st.floats(20, 620))
def test_no_size_falls_between_two_scales(size: float) -> None:
    found = [
        (assign(points_of(64, 64), np.array([[32 - s, 32 - s, 32 + s, 32 + s]], np.float32), np.array([True])) >= 0)
        for s in (size / scale / 2 for scale in SCALES)
    ]
    assert any(labels.any() for labels in found)


@given(box=faces(16, 50, 128))
def test_a_face_that_does_not_count_is_neither_asked_for_nor_denied(box: list[float]) -> None:
    labels = assign(points_of(128, 128), np.array([box], np.float32), np.array([False]))
    assert (labels < 0).all()
    assert (labels == EITHER).any()
    assert (labels == NEGATIVE).any()


def test_the_smoke_version_trains_and_is_measured(shop: Workshop, figures: dict[str, Any]) -> None:
    assert figures["scenes"]["faces"] > 0
    assert set(figures["portraits"]) == {name + end for name, _, _ in LOOKS for end in ("", ", spoiled")}
    assert (shop.models / training.FILE).stat().st_size == figures["bytes"] < 2_000_000


def test_insightface_takes_the_file_for_scrfd(shop: Workshop, figures: dict[str, Any]) -> None:
    from insightface import model_zoo

    detector = model_zoo.get_model(str(shop.models / training.FILE), providers=["CPUExecutionProvider"])
    assert type(detector).__name__ == "SCRFD"
    assert detector.output_names == OUTPUTS
    assert detector.use_kps
    for height, width in ((96, 160), (224, 32)):
        image = np.zeros((height, width, 3), np.uint8)
        boxes, landmarks = detector.detect(image, input_size=(width, height), det_thresh=0.0)
        assert boxes.shape[1:] == (5,)
        assert landmarks.shape == (len(boxes), 5, 2)


@pytest.mark.parametrize(("height", "width"), [(64, 64), (96, 160), (32, 224), (256, 128)])
def test_the_file_says_what_the_network_says_at_every_scale(height: int, width: int) -> None:
    import onnxruntime

    torch.manual_seed(0)
    network = DetectorNetwork()
    network(torch.randn(2, 3, 64, 64))  # Moves the normalisation's statistics from where they begin.
    network.eval()
    image = torch.rand(1, 3, height, width) * 2 - 1
    session = onnxruntime.InferenceSession(detector_file(network), providers=["CPUExecutionProvider"])
    outputs = session.run(None, {"input.1": image.numpy()})
    given = dict(zip(OUTPUTS, outputs, strict=True))
    for name, output in given.items():
        stride = int(name.rsplit("_", 1)[1])
        given[name] = output.reshape(height // stride, width // stride, 2, -1)
    for scale, (stride, place) in PLACES.items():
        side = STRIDE * scale
        missing = max(side - 32, 0)
        padded = torch.nn.functional.pad(image, (0, missing, 0, missing), value=BLACK)
        with torch.no_grad():
            maps = network.flow(TorchOperations(), torch.nn.functional.avg_pool2d(padded, scale))
        rows, columns = -(-height // side), -(-width // side)
        scores, boxes, marks = (part[0, :, :rows, :columns].permute(1, 2, 0).numpy() for part in maps)
        step = side // stride
        for name, wanted in (
            ("score", 1 / (1 + np.exp(-scores))),
            ("bbox", (boxes + HALF) * SIDE * scale / stride),
            ("kps", (marks + np.array(LANDMARKS).ravel()) * SIDE * scale / stride),
        ):
            found = given[f"{name}_{stride}"][:, :, place]
            np.testing.assert_allclose(found[::step, ::step], wanted, atol=1e-3 * max(1, SIDE * scale / stride))
            silent = np.ones(found.shape[:2], bool)
            silent[::step, ::step] = False
            assert name != "score" or not found[silent].any()


def test_a_training_that_was_stopped_ends_like_one_that_was_not(
    shop: Workshop, stock: Stock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").symlink_to(shop.data, target_is_directory=True)
    again = replace(shop, directory=tmp_path)
    monkeypatch.setattr("lab.training.loop.SAVE_SECONDS", -1.0)
    calls = 0

    def stopping(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 8:
            raise KeyboardInterrupt
        return draw_canvas(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(training, "draw_canvas", stopping)
        with pytest.raises(KeyboardInterrupt):
            training.trained_detector(again, training.SMOKE, stock)
    assert again.state(training.NAME).exists()
    resumed, _ = training.trained_detector(again, training.SMOKE, stock)
    whole, _ = training.trained_detector(shop, training.SMOKE, stock)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_scenes_are_the_same_whenever_they_are_drawn(tmp_path: Path) -> None:
    scenes = SceneSet("train", 5, 2, 96, 128)
    scenes.render(tmp_path)
    stored, again = scenes.load(tmp_path), scenes.shard(0)
    for name, values in stored.items():
        assert np.array_equal(values, again[name]), name


def test_canvases_come_from_their_seed_and_hold_the_faces_that_count(stock: Stock) -> None:
    for seed in range(30):
        first, second = (draw_canvas(stock, 128, np.random.default_rng(seed)) for _ in range(2))
        assert np.array_equal(first.image, second.image)
        assert np.array_equal(first.boxes, second.boxes)
        boxes = first.boxes[first.counted]
        assert ((boxes >= 0) & (boxes <= 128)).all()
        assert (boxes[:, 2:] > boxes[:, :2]).all()


@given(
    roll=st.floats(-30, 30),
    turn=st.floats(-20, 20),
    factor=st.floats(0.2, 5),
    wide=st.floats(20, 40),
    high=st.floats(30, 60),
)
def test_the_box_of_an_ellipse_turns_with_it(roll: float, turn: float, factor: float, wide: float, high: float) -> None:
    def box(degrees: float, scale: float, middle: complex) -> np.ndarray:
        c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        half = complex(np.hypot(wide * c, high * s), np.hypot(wide * s, high * c)) * scale
        low, top = middle - half, middle + half
        return np.array([[low.real, low.imag, top.real, top.imag]], np.float32)

    z = factor * np.exp(1j * np.radians(turn))
    view = np.array([[z.real, -z.imag, 7.0], [z.imag, z.real, -3.0]])
    moved = turned_boxes(box(roll, 1, 50 + 60j), np.array([roll], np.float32), view)
    np.testing.assert_allclose(moved, box(roll + turn, factor, z * (50 + 60j) + 7 - 3j), atol=0.02 * factor)


def test_mirroring_twice_changes_nothing(stock: Stock) -> None:
    portrait = stock.portrait(np.random.default_rng(0))
    for before, after in zip(portrait, mirrored(mirrored(portrait)), strict=True):
        np.testing.assert_allclose(before, after, atol=1e-4)
    once = mirrored(portrait)
    assert (once.landmarks[:, 0, 0] < once.landmarks[:, 1, 0]).all()


def test_borders_and_looks_are_those_of_the_pack() -> None:
    looks = {(look.size, look.border) for look in search_plan(128, 128, 640)}
    assert looks == {(size, border) for _, size, border in LOOKS if size is not None}
    assert set(BORDERS) == {border for _, border in looks}


def test_a_tally_counts_what_is_found_missed_wrong_and_excused() -> None:
    true = np.array([[0, 0, 40, 50], [100, 0, 140, 50], [200, 0, 240, 50]], float)
    points = np.zeros((3, 5, 2))
    points[:, 1, 0] = 20
    found = np.array([[1, 1, 41, 51, 0.9], [201, 0, 241, 50, 0.8], [0, 100, 40, 150, 0.7]])
    tally = Tally()
    tally.add(found, np.full((3, 5, 2), 1.0) + points, true, points, np.array([True, True, False]))
    figures = tally.figures()
    assert (figures["faces"], figures["recall"], figures["wrong"], figures["precision"]) == (2, 0.5, 1, 0.5)
    assert figures["landmark_error"] == pytest.approx(np.sqrt(2) / 20, abs=1e-5)


@given(seed=st.integers(0, 2**32 - 1))
def test_a_picture_is_cut_off_through_a_face_and_keeps_what_is_known_of_the_rest(seed: int) -> None:
    height, width, box = 90, 120, np.array([40, 20, 80, 70], np.float32)
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    other = np.array([0, 0, 15, 20], np.float32)
    marks = np.stack([np.full((5, 2), 60, np.float32), np.full((5, 2), 8, np.float32)])
    seen, rolls = np.array([1.0, 0.3], np.float32), np.array([3, 4], np.float32)
    rest = cut(Source(image, np.stack([box, other]), marks, seen, rolls), np.random.default_rng(seed))
    high, wide = rest.image.shape[:2]
    assert (high, wide) != (height, width)
    x, y = (marks[0, 0] - rest.landmarks[0, 0]).astype(int).tolist()
    assert np.array_equal(rest.image, image[y : y + high, x : x + wide])
    left = (rest.boxes[0, 2:] - rest.boxes[0, :2]).prod() / (40 * 50)
    assert rest.visible[0] == pytest.approx(left)
    assert LEFT[0] - 0.03 <= left <= LEFT[1] + 0.03
    assert ((rest.boxes >= 0) & (rest.boxes <= [wide, high, wide, high])).all()
    assert len(rest.boxes) == len(rest.landmarks) == len(rest.visible) == len(rest.rolls)


def test_where_nobody_is_seen_well_nothing_is_cut_off() -> None:
    hidden = Source(
        np.zeros((40, 40, 3), np.uint8),
        np.array([[5, 5, 30, 30]], np.float32),
        np.zeros((1, 5, 2), np.float32),
        np.array([0.6], np.float32),
        np.zeros(1, np.float32),
    )
    assert cut(hidden, np.random.default_rng(0)) is hidden


def test_in_a_crowd_many_faces_are_half_hidden_and_nobody_is_too_many() -> None:
    usual, crowded = SceneSet("train", 40, 20), SceneSet("train", 40, 20, crowded=True)
    assert usual.name != crowded.name
    parts = []
    for index in range(20):
        before, after = usual.spec(index), crowded.spec(index)
        assert len(before.people) <= len(after.people) <= MOST_PEOPLE
        heights = [place.face_height for place in after.people]
        assert heights == sorted(heights)
        identities = [place.identity.seed for place in after.people]
        assert {place.identity.seed for place in before.people} <= set(identities)
        assert {split_of(seed) for seed in identities} <= {"train"}
        if index < 6:
            parts += [truth.visible for truth in draw_scene(after).truths]
    assert sum(0.4 < part < 0.9 for part in parts) >= 5


def test_a_face_counts_by_what_hides_it_altogether() -> None:
    """Two things that each leave seven tenths leave half."""
    face = Source(
        np.full((40, 40, 3), 200, np.uint8),
        np.array([[10, 10, 30, 30]], np.float32),
        np.full((1, 5, 2), 20, np.float32),
        np.ones(1, np.float32),
        np.zeros(1, np.float32),
    )
    there, nobody = np.array([[1.0, 0, 0], [0, 1, 0]]), np.zeros(0, np.float32)
    boxes, marks = np.zeros((0, 4), np.float32), np.zeros((0, 5, 2), np.float32)
    cover = Source(np.zeros((40, 40, 3), np.uint8), boxes, marks, nobody, nobody)
    counts = []
    for seen, hidden in ((1.0, 8.0), (0.7, 6.0), (0.55, 6.0), (1.0, 13.0)):
        easel = Easel(40, np.zeros(3, np.uint8))
        easel.paste(face._replace(visible=np.array([seen], np.float32)), there, np.random.default_rng(0))
        aside = np.array([[1.0, 0, hidden - 30], [0, 1, 0]])
        easel.paste(cover, aside, np.random.default_rng(0))
        counts.append(easel.canvas().counted.tolist())
    assert counts == [[True], [True], [False], [False]]
