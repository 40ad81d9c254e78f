"""Paste Faces: round trips, seams, what must not change, overlaps, lazy inputs, input that does not fit."""

from __future__ import annotations

import inspect
import math
import tracemalloc
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.in_process import run_node
from reverse_personalization.geometry.face_area import face_area
from reverse_personalization.geometry.placement import Placements
from tests.face_layout import face_at, face_of, faces_of, owners, photograph, waves

angles = st.floats(-180, 180)


@pytest.fixture
def node(pack) -> Any:
    return pack.node_classes["ReverseIdentityFacePaste"]


def crop(image: torch.Tensor, faces: Any, side: int, **inputs: Any) -> tuple[torch.Tensor, Placements]:
    crops, _, placements, _ = run_node("ReverseIdentityFaceCrop", image=image, faces=faces, side=side, **inputs)
    return crops, placements


def paste(image: torch.Tensor, placements: Placements, crops: Any, **inputs: Any) -> tuple[torch.Tensor, torch.Tensor]:
    return run_node("ReverseIdentityFacePaste", image=image, placements=placements, crops=crops, **inputs)


def rim_of(mask: torch.Tensor) -> torch.Tensor:
    return (mask > 0) & (mask < 1)


def test_schema_names_what_execute_takes(node):
    schema = node.define_schema()
    signature = inspect.signature(node.execute).parameters
    assert [item.id for item in schema.inputs] == list(signature)
    assert all(item.tooltip for item in [*schema.inputs, *schema.outputs])
    for item in schema.inputs[4:]:
        assert item.default == signature[item.id].default
    assert {item.id for item in schema.inputs if getattr(item, "lazy", False)} == {"crops", "mask"}
    assert [item.display_name for item in schema.outputs] == ["image", "mask"]


@settings(max_examples=25)
@given(
    x=st.floats(0, 200), y=st.floats(0, 160), frame=st.floats(20, 400), degrees=angles,
    side=st.sampled_from([64, 104, 256, 520]), margin=st.sampled_from([0.0, 0.5]),
)  # fmt: skip
def test_unchanged_crop_gives_the_photograph_back(pack, x, y, frame, degrees, side, margin):
    """Any size, turn, place, also partly outside; the picture is smooth on the crop's grid as well as its own."""
    image = photograph(waves(24 * max(1, frame * (1 + margin) / side)), 160, 200)
    crops, placements = crop(image, faces_of(160, 200, [face_at(x, y, frame, degrees)]), side, margin=margin)
    back, mask = paste(image, placements, crops, colour_match=False)
    changed = mask > 0
    error = (back - image).abs()
    assert torch.equal(back[~changed], image[~changed])
    if changed.any():
        assert error[changed].mean() < 0.5 / 255
        assert error.max() < 10 / 255


@settings(max_examples=10)
@given(degrees=angles, dx=st.floats(-1, 1), dy=st.floats(-1, 1), frame=st.floats(150, 260))
def test_fine_pattern_comes_back_in_its_place(pack, degrees, dx, dy, frame):
    """Phase of waves of 7 pixels, both ways, in whole crops of about the same scale: within 0.05 pixels."""
    y, x = np.mgrid[:300, :300].astype(np.float64)
    for wave in (x, y):
        pattern = (0.5 + 0.4 * np.sin(2 * np.pi * wave / 7)).astype(np.float32)
        image = torch.from_numpy(pattern)[None, ..., None].repeat(1, 1, 1, 3)
        crops, placements = crop(image, faces_of(300, 300, [face_at(150 + dx, 150 + dy, frame, degrees)]), 256)
        back, mask = paste(image, placements, crops, colour_match=False)
        core = (mask[0] == 1).numpy()
        carrier = np.exp(-2j * np.pi * wave / 7)[core]
        before, after = ((carrier * (picture[0, ..., 0].numpy()[core] - 0.5)).sum() for picture in (image, back))
        assert abs(np.angle(after / before)) / (2 * np.pi) * 7 < 0.05


@pytest.mark.parametrize("noise", [0.0, 10 ** (-29 / 20)], ids=["unchanged", "29 dB"])
@pytest.mark.parametrize("colour_match", [True, False])
def test_no_seam(pack, noise, colour_match):
    image = photograph(waves(40), 400, 400)
    crops, placements = crop(image, faces_of(400, 400, [face_at(200, 200, 300, 20)]), 512)
    noisy = crops + noise * torch.randn(crops.shape, generator=torch.Generator().manual_seed(0))
    back, mask = paste(image, placements, noisy, colour_match=colour_match)
    difference = back - image
    rim = rim_of(mask)
    if noise:
        # Noise itself may be seen, no step: its mean in every sixth of the rim is that of nothing.
        y, x = np.mgrid[:400, :400]
        sector = torch.from_numpy(np.floor((np.arctan2(y - 200, x - 200) / np.pi + 1) * 3)).int()[None]
        for number in range(6):
            assert difference[rim & (sector == number)].mean(dim=0).abs().max() < 1 / 255
        # and it fades in: the outer half of the rim has less of it than the inner.
        assert difference[rim & (mask < 0.5)].std() < 0.5 * difference[rim & (mask > 0.5)].std()
    else:
        assert difference[rim].abs().mean() < 1 / 255
        step = torch.maximum(difference.diff(dim=1).abs().max(), difference.diff(dim=2).abs().max())
        assert step < 2 / 255


def test_colours_are_matched_along_the_rim(pack):
    """A crop that a model made darker towards one side: from the rim alone the shift is undone, inside too."""
    image = photograph(waves(60), 300, 300) * 0.6 + 0.2
    crops, placements = crop(image, faces_of(300, 300, [face_at(150, 150, 220)]), 256)
    slope = torch.linspace(-0.1, 0.04, 256)[None, None, :, None] * torch.tensor([1.0, 0.5, -0.5])
    for cast in (torch.tensor([0.05, -0.03, 0.1]), slope):
        matched, mask = paste(image, placements, crops + cast)
        plain, _ = paste(image, placements, crops + cast, colour_match=False)
        assert (matched - image)[mask > 0].abs().mean() < 1.5 / 255
        assert (plain - image)[mask > 0].abs().mean() > 5 / 255


def test_inside_of_the_original_has_no_part_in_the_result(pack):
    """Whatever the core showed, the core of the result is the same."""
    image = photograph(waves(40), 200, 200)
    faces = faces_of(200, 200, [face_at(100, 100, 150)])
    crops, placements = crop(image, faces, 128)
    first, mask = paste(image, placements, crops.roll(9, dims=1))
    core = mask == 1
    other = torch.where(core[..., None], torch.rand(image.shape), image)
    second, _ = paste(other, placements, crops.roll(9, dims=1))
    assert torch.equal(first[core], second[core])


def test_grain_of_the_surroundings_comes_with_the_face_if_wanted(pack):
    """A generated face without grain in a grainy photograph, and the core of the original has no part in it."""
    generator = torch.Generator().manual_seed(3)
    clean = photograph(waves(60), 260, 260) * 0.6 + 0.2
    image = clean + 6 / 255 * torch.randn(clean.shape, generator=generator)
    crops, placements = crop(clean, faces_of(260, 260, [face_at(130, 130, 150)]), 256)
    plain, mask = paste(image, placements, crops, colour_match=False, match_grain=False)
    grainy, _ = paste(image, placements, crops, colour_match=False)
    core = mask == 1
    assert (plain - clean)[core].std() * 255 < 0.5
    assert (grainy - clean)[core].std() * 255 == pytest.approx(6, rel=0.2)
    other = torch.where(core[..., None], torch.rand(image.shape, generator=generator), image)
    again, _ = paste(other, placements, crops, colour_match=False)
    assert torch.equal(again[core], grainy[core])


crowds = st.lists(st.tuples(st.floats(20, 100), st.floats(20, 80), st.floats(24, 110), angles), min_size=2, max_size=4)


@settings(max_examples=40)
@given(crowd=crowds, colour_match=st.booleans(), seed=st.integers(0, 99))
def test_core_of_every_face_shows_its_owner_alone(pack, crowd, colour_match, seed):
    height, width = 100, 120
    image = torch.rand(1, height, width, 3, generator=torch.Generator().manual_seed(seed))
    faces = faces_of(height, width, [face_at(*place) for place in crowd])
    crops, placements = crop(image, faces, 64)
    colours = torch.linspace(0.2, 0.8, len(crowd))
    flat = colours[:, None, None, None].expand(crops.shape)
    back, mask = paste(image, placements, flat, colour_match=colour_match, match_grain=False)
    areas = [
        face_area(np.array(face.landmarks), placement.to_crop, 64, height, width)
        for face, placement in zip(faces, placements.crops, strict=True)
    ]
    owner, distance = owners(areas, height, width)
    core = torch.from_numpy(distance <= 1)
    assert (mask[0][core] == 1).all()
    if not colour_match:
        expected = colours[torch.from_numpy(owner)[core]]
        assert torch.equal(back[0][core], expected[:, None].expand(-1, 3))
    untouched = mask == 0
    assert torch.equal(back[untouched], image[untouched])


@settings(max_examples=25)
@given(crowd=crowds)
def test_nothing_of_a_neighbour_comes_back_with_a_crop(pack, crowd):
    """All crops but one are made flat; the unchanged one must not bring the others' stripes into their faces."""
    height, width = 100, 120
    faces = faces_of(height, width, [face_at(*place) for place in crowd])
    image = (torch.arange(width) % 4 < 2).float()[None, None, :, None].repeat(1, height, 1, 3)
    crops, placements = crop(image, faces, 64)
    others_flat = torch.cat([crops[:1], torch.full_like(crops[1:], 0.5)])
    back, _ = paste(image, placements, others_flat, colour_match=False, match_grain=False)
    areas = [
        face_area(np.array(face.landmarks), placement.to_crop, 64, height, width)
        for face, placement in zip(faces, placements.crops, strict=True)
    ]
    owner, distance = owners(areas, height, width)
    changed = torch.from_numpy((owner > 0) & (distance <= 1))
    assert (back[0][changed] == 0.5).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_shape_dtype_and_alpha_are_kept(pack, dtype, channels):
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(2, 80, 90, channels, generator=generator, dtype=torch.float64).to(dtype)
    before = image.clone()
    faces = faces_of(80, 90, [face_at(40, 40, 60)], [])
    crops, placements = crop(image, faces, 64)
    back, mask = paste(image, placements, torch.rand(crops.shape))
    assert (back.shape, back.dtype, mask.shape, mask.dtype) == (image.shape, dtype, (2, 80, 90), torch.float32)
    assert torch.equal(back[mask == 0], image[mask == 0])
    assert torch.equal(back[1], image[1])
    assert (back[0][mask[0] == 1][..., :3] != image[0][mask[0] == 1][..., :3]).any()
    assert channels != 4 or torch.equal(back[..., 3], image[..., 3])
    assert torch.equal(image, before)


def test_crops_of_another_size_fit(pack):
    image = photograph(waves(40), 200, 200)
    faces = faces_of(200, 200, [face_at(101, 98, 150, 15)])
    crops, placements = crop(image, faces, 128)
    larger, _ = crop(image, faces, 256)
    small, mask = paste(image, placements, crops, colour_match=False)
    large, other_mask = paste(image, placements, larger, colour_match=False)
    assert mask.numpy() == pytest.approx(other_mask.numpy(), abs=1e-4)
    assert (small - large).abs().max() < 3 / 255


def test_drawn_mask_takes_the_place_of_the_ellipse(pack):
    image = torch.zeros(1, 128, 128, 3)
    faces = faces_of(128, 128, [face_at(64, 64, 128)])
    crops, placements = crop(image, faces, 128)
    drawn = torch.zeros(1, 64, 64)
    drawn[:, 16:32, 16:48] = 1
    back, mask = paste(image, placements, torch.ones_like(crops), mask=drawn, colour_match=False, feather=0.05)
    assert (back[0, 34:62, 34:94] > 0.98).all()
    assert (back[0, 70:] == 0).all()
    assert (mask[0, 70:] == 0).all()


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 40), (30, 2)])
def test_tiny_pictures(pack, height, width):
    image = torch.rand(1, height, width, 3)
    crops, placements = crop(image, faces_of(height, width, [face_at(width / 2, height / 2, 15)]), 64)
    back, mask = paste(image, placements, torch.ones_like(crops), colour_match=False)
    assert back.shape == image.shape
    assert (back[mask == 1] == 1).all()
    assert (mask == 1).any()


def test_thirty_faces(pack):
    image = torch.rand(1, 180, 200, 3)
    crowd = [face_at(20 + 30 * (number % 6), 20 + 30 * (number // 6), 45, 13 * number) for number in range(30)]
    crops, placements = crop(image, faces_of(180, 200, crowd), 64)
    back, mask = paste(image, placements, torch.rand(crops.shape))
    assert torch.isfinite(back).all()
    assert (mask == 1).float().mean() > 0.3


def test_a_huge_photograph_is_worked_on_around_its_faces_alone(pack):
    """Of 8000x6000 pixels, 183 MiB a channel, nothing of that size is made but the result and its mask."""
    image = torch.zeros(1, 6000, 8000, 1).fill_(0.5)
    faces = faces_of(6000, 8000, [face_at(300 + 900 * number, 400 + 700 * number, 300) for number in range(8)])
    tracemalloc.start()
    crops, placements = crop(image, faces, 256)
    back, mask = paste(image, placements, torch.zeros_like(crops), colour_match=False)
    # Of NumPy's arrays; the result and its mask are the tensor library's.
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 32 * 2**20
    assert mask.shape == (1, 6000, 8000)
    for face in faces:
        x, y = (round(side) for side in face.centre)
        assert back[0, y, x] == 0
        around = mask[0, max(y - 400, 0) : y + 400, max(x - 400, 0) : x + 400]
        assert around[around > 0].numel() < 300 * 300
    assert (mask > 0).sum() < 8 * 300 * 300


def nothing_to_paste(batch: int = 2) -> tuple[torch.Tensor, Placements]:
    return torch.rand(batch, 9, 8, 3), Placements(crops=(), side=64, faces=faces_of(9, 8, *[[]] * batch))


def test_without_placements_the_image_comes_back(node):
    image, placements = nothing_to_paste()
    back, mask = paste(image, placements, None)
    assert back is image
    assert (mask == torch.zeros(2, 9, 8)).all()
    assert node.check_lazy_status(image=image, placements=placements, crops=None, mask=None, feather=0.1) == []


def test_lazy_inputs_are_asked_for_only_with_placements_and_if_connected(node):
    image = torch.rand(1, 60, 60, 3)
    crops, placements = crop(image, faces_of(60, 60, [face_at(30, 30, 40)]), 64)
    assert node.check_lazy_status(placements=placements, image=image, crops=None) == ["crops"]
    assert node.check_lazy_status(placements=placements, image=image, crops=crops, mask=None) == ["mask"]
    assert node.check_lazy_status(placements=placements, image=image, crops=crops, feather=0.1) == []


GOOD = torch.rand(1, 64, 64, 3)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"crops": None}, "1 crops to paste but none is connected"),
        ({"crops": GOOD.repeat(2, 1, 1, 1)}, "2 crops for 1 placements"),
        ({"crops": GOOD[:0]}, r"shape \[0, 64, 64, 3\]"),
        ({"crops": GOOD[:, :32]}, r"shape \[1, 32, 64, 3\]"),
        ({"crops": GOOD[..., :2]}, "1, 3 or 4 channels"),
        ({"crops": GOOD * math.nan}, "crop 1 of 1 has values that are not finite"),
        ({"mask": torch.rand(2, 64, 64)}, r"mask has shape \[2, 64, 64\]"),
        ({"mask": torch.rand(1, 64, 32)}, r"expected \[1, side, side\]"),
        ({"mask": torch.full((1, 8, 8), math.inf)}, "mask 1 of 1"),
        ({"image": torch.rand(1, 61, 60, 3)}, "height 60 and width 60"),
        ({"image": torch.rand(2, 60, 60, 3)}, "found in 1 image"),
        ({"image": torch.rand(1, 60, 60, 3) * math.nan}, "image 1 of 1"),
        ({"image": torch.rand(1, 60, 60, 2)}, r"shape \[1, 60, 60, 2\]"),
        ({"image": torch.rand(0, 60, 60, 3)}, "image batch is empty"),
        ({"feather": 0.0}, "feather is 0"),
        ({"grow": -1.0}, "grow is -1"),
    ],
)
def test_input_that_does_not_fit_is_refused(pack, inputs, message):
    image = torch.rand(1, 60, 60, 3)
    bad = face_of([(20.0, 20.0)] * 5, (10.0, 10.0, 30.0, 30.0))
    _, placements = crop(image, faces_of(60, 60, [bad, face_at(30, 30, 40)]), 64)
    with pytest.raises(ValueError, match=message):
        paste(**{"image": image, "placements": placements, "crops": GOOD, **inputs})
