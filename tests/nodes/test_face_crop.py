"""Crop Faces: crops, their faces and placements; batches, faces that cannot be cropped, input that does not fit."""

from __future__ import annotations

import inspect
import math
from typing import Any

import numpy as np
import pytest
import torch

from harness.in_process import part, run_node
from tests.face_layout import face_at, face_of, faces_of, landmarks_at, photograph, waves


@pytest.fixture
def node(pack) -> Any:
    return pack.node_classes["ReverseIdentityFaceCrop"]


def crop(image: torch.Tensor, faces: Any, **inputs: Any) -> tuple:
    return run_node("ReverseIdentityFaceCrop", image=image, faces=faces, **inputs)


def stands_in(crops: torch.Tensor, shown: Any) -> bool:
    """Whether this is a crop of nobody, the smallest there is."""
    [[face]] = shown.images
    inside = all(0 <= x <= 64 and 0 <= y <= 64 for x, y in face.landmarks)
    return torch.equal(crops, torch.full((1, 64, 64, 3), 0.5)) and face.nobody and inside


def test_schema_names_what_execute_takes(node):
    schema = node.define_schema()
    assert [item.id for item in schema.inputs] == list(inspect.signature(node.execute).parameters)
    assert all(item.tooltip for item in [*schema.inputs, *schema.outputs])
    signature = inspect.signature(node.execute).parameters
    for item in schema.inputs[2:]:
        assert item.default == signature[item.id].default
    assert [item.id for item in schema.inputs if item.advanced] == ["margin", "hide_neighbours"]
    assert [item.display_name for item in schema.outputs] == ["crops", "faces", "placements", "report"]


def test_batch_is_cropped_photograph_by_photograph():
    image = photograph(waves(24), 120, 150).repeat(3, 1, 1, 1)
    couple = [face_at(50, 60, 60, direction=1), face_at(110, 60, 50, 20, direction=2)]
    faces = faces_of(120, 150, [face_at(70, 60, 80)], [], couple)
    crops, shown, placements, report = crop(image, faces, side=96)
    assert crops.shape == (3, 96, 96, 3)
    assert crops.dtype == torch.float32
    assert [(placement.image, placement.face) for placement in placements.crops] == [(0, 0), (2, 0), (2, 1)]
    assert placements.side == 96
    assert placements.faces is faces
    assert placements.face_of(placements.crops[2]) is couple[1]
    assert [len(one) for one in shown.images] == [1, 1, 1]
    assert (shown.height, shown.width, shown.model_pack, shown.provider) == (96, 96, "fake", "CPUExecutionProvider")
    assert [int(face.embedding.argmax()) for face in shown] == [0, 1, 2]
    assert [(face.age, face.sex) for face in shown] == [(30, "female")] * 3
    assert report.splitlines() == ["image 1: 1 of 1 cropped", "image 2: 0 of 0 cropped", "image 3: 2 of 2 cropped"]


def test_face_fills_the_crop_as_the_standard_face_does():
    crops, shown, *_ = crop(photograph(waves(24), 120, 150), faces_of(120, 150, [face_at(70, 60, 80, 33)]), side=512)
    template = part("reverse_personalization.geometry.template").template_detection(512, 512)
    (face,) = shown
    assert np.array(face.landmarks) == pytest.approx(np.array(template.landmarks))
    assert crops.min() >= 0
    assert crops.max() <= 1


def test_image_and_its_own_square_crop_are_the_same_picture():
    image = torch.rand(1, 64, 64, 3, generator=torch.Generator().manual_seed(0))
    crops, *_ = crop(image, faces_of(64, 64, [face_at(32, 32, 64)]), side=64)
    assert crops.numpy() == pytest.approx(image.numpy(), abs=1e-5)


def test_margin_shows_more():
    image, faces = photograph(waves(60), 200, 200), faces_of(200, 200, [face_at(100, 100, 80)])
    wide, shown, *_ = crop(image, faces, side=128, margin=1.0)
    close, *_ = crop(image, faces, side=64)
    assert wide[0, 32:96, 32:96].numpy() == pytest.approx(close[0].numpy(), abs=5e-3)
    assert np.array(shown.images[0][0].landmarks) == pytest.approx(landmarks_at(64, 64, 64))


def test_grey_becomes_colour_and_alpha_is_ignored():
    image, faces = photograph(waves(24), 90, 90), faces_of(90, 90, [face_at(45, 45, 60)])
    plain, *_ = crop(image, faces, side=64)
    with_alpha, *_ = crop(torch.cat([image, torch.rand(1, 90, 90, 1)], dim=3), faces, side=64)
    assert torch.equal(plain, with_alpha)
    grey, *_ = crop(image[..., :1], faces, side=64)
    assert grey.shape == (1, 64, 64, 3)
    assert torch.equal(grey[..., 0], grey[..., 2])


def test_photographs_without_faces_give_a_crop_of_nobody():
    crops, shown, placements, report = crop(torch.rand(2, 40, 50, 3), faces_of(40, 50, [], []))
    assert stands_in(crops, shown)
    assert (shown.height, shown.width, shown.model_pack) == (64, 64, "fake")
    assert len(placements) == 0
    assert placements.side == 1024
    assert len(placements.faces.images) == 2
    assert report == "image 1: 0 of 0 cropped\nimage 2: 0 of 0 cropped"


BOX = (10.0, 10.0, 30.0, 30.0)


@pytest.mark.parametrize(
    "landmarks",
    [[(20.0, 20.0)] * 5, [(math.nan, 1.0)] * 5, [(float(step), 20.0 + step) for step in range(5)]],
)
def test_face_without_usable_landmarks_is_kept_for_the_check_and_named(landmarks):
    bad, good = face_of(landmarks, BOX), face_at(60, 40, 40)
    crops, shown, placements, report = crop(torch.rand(1, 80, 90, 3), faces_of(80, 90, [bad, good]), side=64)
    assert len(crops) == len(shown) == len(placements) == 1
    assert placements.crops[0].face == 1
    assert placements.faces.images[0] == (bad, good)
    assert "image 1: face 1 left out, its " in report
    assert report.endswith("it has to be covered")
    crops, shown, placements, _ = crop(torch.rand(1, 80, 90, 3), faces_of(80, 90, [bad]), side=96)
    assert stands_in(crops, shown)
    assert len(placements) == 0


@pytest.mark.parametrize(
    ("height", "width", "frame"), [(1, 1, 14.0), (1, 1, 2.5), (7, 300, 100.0), (64, 64, 900.0), (50, 60, 3.0)]
)
def test_faces_of_any_size_in_pictures_of_any_size(height, width, frame):
    image = torch.rand(1, height, width, 3, generator=torch.Generator().manual_seed(0))
    # Off the middle, so that the crop leaves large pictures too.
    crops, *_ = crop(image, faces_of(height, width, [face_at(width / 3, height / 2, frame, 70)]), side=64)
    assert torch.isfinite(crops).all()
    assert crops.min() >= image.min() - 1e-6
    assert crops.max() <= image.max() + 1e-6


def test_crowd_of_thirty():
    crowd = [face_at(20 + 30 * (number % 6), 20 + 30 * (number // 6), 45, 13 * number) for number in range(30)]
    crops, shown, placements, report = crop(torch.rand(1, 180, 200, 3), faces_of(180, 200, crowd), side=64)
    assert len(crops) == len(shown) == len(placements) == 30
    assert report == "image 1: 30 of 30 cropped"


def test_neighbours_are_hidden_by_default_and_shown_on_demand():
    image = torch.rand(1, 120, 160, 3, generator=torch.Generator().manual_seed(0))
    faces = faces_of(120, 160, [face_at(60, 60, 80), face_at(100, 60, 80)])
    alone, *_ = crop(image, faces_of(120, 160, [face_at(60, 60, 80)]), side=128)
    hidden, *_ = crop(image, faces, side=128)
    shown, *_ = crop(image, faces, side=128, hide_neighbours=False)
    assert torch.equal(shown[0], alone[0])
    assert torch.equal(hidden[0, :, :70], alone[0, :, :70])
    right = hidden[0, 40:100, 104:]
    assert right.std(dim=(0, 1)).max() < 0.06
    assert alone[0, 40:100, 104:].std(dim=(0, 1)).min() > 0.15


def test_inputs_are_not_modified():
    image = torch.rand(1, 60, 60, 3)
    before = image.clone()
    crop(image, faces_of(60, 60, [face_at(20, 30, 40), face_at(40, 30, 40)]), side=64)
    assert torch.equal(image, before)


@pytest.mark.parametrize(
    ("image", "faces", "inputs", "message"),
    [
        (torch.rand(1, 9, 9, 2), faces_of(9, 9, []), {}, r"shape \[1, 9, 9, 2\]"),
        (torch.rand(0, 9, 9, 3), faces_of(9, 9), {}, "image batch is empty"),
        (torch.full((1, 9, 9, 3), math.nan), faces_of(9, 9, []), {}, "image 1 of 1 has values that are not finite"),
        (torch.rand(2, 9, 9, 3), faces_of(9, 9, []), {}, "found in 1 image"),
        (torch.rand(1, 9, 8, 3), faces_of(9, 9, []), {}, "height 9 and width 9"),
        (torch.rand(1, 9, 9, 3), faces_of(9, 9, []), {"side": 100}, "side is 100; expected a multiple of 8"),
        (torch.rand(1, 9, 9, 3), faces_of(9, 9, []), {"side": 8192}, "from 64 to 4096"),
        (torch.rand(1, 9, 9, 3), faces_of(9, 9, []), {"margin": -0.5}, "margin is -0.5"),
    ],
)
def test_input_that_does_not_fit_is_refused(image, faces, inputs, message):
    with pytest.raises(ValueError, match=message):
        crop(image, faces, **inputs)
