"""The detector's second look: its file says what its network says, and its lessons are right."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.ops import roi_align

pytest.importorskip("onnxruntime")

from lab.boxes import intersection_over_union
from lab.training.canvases import Canvas
from lab.training.detector_network import STRIDES, DetectorNetwork, detector_file, network_input
from lab.training.finds import FACE, FindSet, FirstStage, columns_of, draw_lesson
from lab.training.second_look import EVEN, LOOKS, OUTPUTS, decode, second_network, squares_around
from lab.training.second_look_file import LEAST_SCORE, MOST, second_look_file
from lab.training.second_look_training import SecondLookRecipe, second_look_loss, squares_of

NAMES = [f"{name}_{stride}" for name in ("score", "bbox", "kps") for stride in STRIDES]


def run(content: bytes, image: np.ndarray) -> dict[str, np.ndarray]:
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    assert [output.name for output in session.get_outputs()] == NAMES
    return dict(zip(NAMES, session.run(None, {"input.1": image}), strict=True))


def pixels(outputs: dict[str, np.ndarray], height: int, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores [N], boxes [N, 4] and landmarks [N, 10] as InsightFace reads them."""
    scores, boxes, marks = [], [], []
    for stride in STRIDES:
        y, x = np.mgrid[: height // stride, : width // stride]
        origin = np.repeat(np.stack([x, y], axis=-1).reshape(-1, 2) * stride, 2, axis=0)
        away = outputs[f"bbox_{stride}"] * stride
        scores.append(outputs[f"score_{stride}"][:, 0])
        boxes.append(np.concatenate([origin - away[:, :2], origin + away[:, 2:]], axis=1))
        marks.append(np.tile(origin, 5) + outputs[f"kps_{stride}"] * stride)
    return np.concatenate(scores), np.concatenate(boxes), np.concatenate(marks)


@pytest.fixture(scope="module")
def first() -> bytes:
    """A first stage that finds something everywhere, and nothing in black."""
    torch.manual_seed(0)
    network = DetectorNetwork()
    network(torch.randn(2, 3, 64, 64))  # Moves the normalisation's statistics from where they begin.
    torch.nn.init.normal_(network.score.weight, std=0.3)
    torch.nn.init.constant_(network.score.bias, -1.0)
    return detector_file(network.eval())


@pytest.fixture(scope="module")
def second() -> torch.nn.Sequential:
    torch.manual_seed(1)
    network = second_network()
    torch.nn.init.normal_(network[-1].weight, std=0.02)
    network(torch.randn(4, 3, 64, 64))
    return network.eval()


@pytest.mark.parametrize(("height", "width"), [(96, 128), (64, 224)])
def test_the_file_says_what_the_network_says_of_every_find(
    first: bytes, second: torch.nn.Sequential, height: int, width: int
) -> None:
    picture = np.random.default_rng(height).integers(0, 256, (height, width, 3), np.uint8)
    found = torch.from_numpy(FirstStage(first, LEAST_SCORE).boxes(picture))
    assert 1 < len(found) <= MOST
    image = ((torch.from_numpy(picture).permute(2, 0, 1).float() - 127.5) / 128)[None]
    looked = torch.zeros(len(found))
    boxes = found
    with torch.no_grad():
        for _ in range(LOOKS):
            squares = squares_around(boxes)
            logits, boxes, marks = decode(second(roi_align(image, [squares], 64, 1.0, -1, True)), squares)
            looked += logits / LOOKS
    scores, all_boxes, all_marks = pixels(run(second_look_file(first, second), image.numpy()), height, width)
    rows = np.flatnonzero(scores)
    assert len(rows) == len(found)
    # In the file they stand where the first stage found them, not in the order of its scores.
    order = [int(np.abs(all_boxes[rows] - box).sum(1).argmin()) for box in boxes.numpy()]
    assert sorted(order) == list(range(len(rows)))
    wanted = (looked - np.log(EVEN / (1 - EVEN))).sigmoid()
    np.testing.assert_allclose(scores[rows][order], wanted, atol=2e-3)
    np.testing.assert_allclose(all_boxes[rows][order], boxes, atol=0.05 * height)
    np.testing.assert_allclose(all_marks[rows][order], marks.flatten(1), atol=0.05 * height)


def test_where_the_first_stage_finds_nothing_nothing_is_found(first: bytes, second: torch.nn.Sequential) -> None:
    silent = DetectorNetwork()
    torch.nn.init.constant_(silent.score.bias, -20.0)
    outputs = run(second_look_file(detector_file(silent.eval()), second), np.zeros((1, 3, 64, 64), np.float32))
    assert not any(outputs[f"score_{stride}"].any() for stride in STRIDES)
    assert np.exp(-20.0) < LEAST_SCORE


def test_a_random_file_is_the_same_each_time(first: bytes, second: torch.nn.Sequential) -> None:
    assert second_look_file(first, second) == second_look_file(first, second)


@given(
    middle=st.tuples(st.floats(-100, 100), st.floats(-100, 100)),
    size=st.tuples(st.floats(5, 100), st.floats(5, 100)),
)
def test_a_square_holds_its_box_and_an_answer_of_nothing_is_a_face_in_its_middle(
    middle: tuple[float, float], size: tuple[float, float]
) -> None:
    low, high = np.array(middle) - np.array(size) / 2, np.array(middle) + np.array(size) / 2
    box = torch.tensor([[*low, *high]], dtype=torch.float32)
    square = squares_around(box)
    assert (square[0, 2] - square[0, 0]).item() == pytest.approx((square[0, 3] - square[0, 1]).item(), rel=1e-4)
    assert (square[0, :2] <= box[0, :2]).all()
    assert (square[0, 2:] >= box[0, 2:]).all()
    _, answer, marks = decode(torch.zeros(1, OUTPUTS), square)
    assert ((answer[0, :2] + answer[0, 2:]) / 2).tolist() == pytest.approx(middle, abs=1e-2)
    longer = (answer[0, 2:] - answer[0, :2]).max().item()
    assert longer == pytest.approx(max(size), rel=1e-3)
    assert (marks[0] > answer[0, :2]).all()
    assert (marks[0] < answer[0, 2:]).all()


def test_lessons_tell_faces_from_what_is_none() -> None:
    faces = np.array([[20, 20, 60, 70], [80, 20, 120, 70]], np.float32)
    marks = np.arange(20, dtype=np.float32).reshape(2, 5, 2)
    canvas = Canvas(np.zeros((128, 128, 3), np.uint8), faces, marks, np.array([True, False]))
    finds = np.array([[21, 21, 61, 71], [80, 21, 120, 69], [20, 90, 50, 120], [35, 25, 75, 75]], np.float32)
    columns = columns_of(canvas, finds)
    stored = {name: values[None] for name, values in columns.items()} | {"image": canvas.image[None]}
    lesson = draw_lesson(stored, np.array([0]), 8, np.random.default_rng(0))
    assert len(lesson.boxes) == 5  # Four finds, and one near the only face that counts.
    shared = intersection_over_union(lesson.boxes, faces)
    for row in range(5):
        near, other = shared[row]
        assert lesson.face[row] == (near >= FACE)
        assert lesson.own[row] == (near >= 0.35)
        assert lesson.decided[row] == (near >= FACE or max(near, other) < 0.3)
        if lesson.own[row]:
            assert np.array_equal(lesson.true_boxes[row], faces[0])
            assert np.array_equal(lesson.true_marks[row], marks[0])
    assert lesson.face.sum() >= 2
    # What was said of the face that does not count is neither right nor wrong.
    assert not lesson.decided[shared[:, 1] > 0.5].any()


def test_a_right_answer_costs_less_than_a_wrong_one() -> None:
    face, marks = np.array([[20, 20, 60, 70]], np.float32), np.full((1, 5, 2), 40, np.float32)
    canvas = Canvas(np.zeros((128, 128, 3), np.uint8), face, marks, np.array([True]))
    stored = {name: values[None] for name, values in columns_of(canvas, face).items()} | {"image": canvas.image[None]}
    lesson = draw_lesson(stored, np.array([0]), 1, np.random.default_rng(0))
    shown, squares = squares_of(network_input(stored["image"]), lesson)
    assert shown.shape == (2, 3, 64, 64)
    recipe = SecondLookRecipe(FindSet(1, 128, 0))
    right = torch.zeros(2, OUTPUTS)
    _, rest_boxes, rest_marks = decode(right, squares)
    side = (squares[:, 2] - squares[:, 0])[:, None]
    right[:, 0] = 9.0
    right[:, 1:5] = (torch.from_numpy(lesson.true_boxes) - rest_boxes) / side
    right[:, 5:] = ((torch.from_numpy(lesson.true_marks) - rest_marks) / side[..., None]).flatten(1)
    best = second_look_loss(right, squares, lesson, recipe)
    assert best < 1e-3
    for place in (0, 2, 8):
        worse = right.clone()
        worse[0, place] -= 0.05 if place else 12.0
        assert second_look_loss(worse, squares, lesson, recipe) > best + 0.01
