"""Regions that are held and parts that are marked: the mathematics alone, without ComfyUI."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reverse_personalization.fingerprinting.fingerprint import ModelFingerprint
from reverse_personalization.geometry.faces import Face, Faces
from reverse_personalization.geometry.parts import PARTS, faces_mask
from reverse_personalization.geometry.template import FFHQ_LANDMARKS
from reverse_personalization.method import schedule
from reverse_personalization.method.regions import hold_region, keep_region
from reverse_personalization.method.solver import invert, noisiest_copy, replay
from reverse_personalization.method.trajectory import NoiseTrajectory

SHAPE = (2, 3, 6, 5)
STEPS = 8


def sigmas_of() -> torch.Tensor:
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    cumulative = torch.cumprod(1 - betas, 0)
    return schedule.visited_sigmas(((1 - cumulative) / cumulative).sqrt(), schedule.timesteps(STEPS, 0.4))


def denoiser(pull: float = 0.0) -> Any:
    """Depends on all pixels of a picture and on no other picture's; `pull` stands for guidance."""

    def denoise(y: torch.Tensor, levels: torch.Tensor) -> torch.Tensor:
        squared = levels.view(-1, 1, 1, 1, 1) ** 2
        return (y + squared * 0.3) / (1 + squared) + 0.05 * y.mean((2, 3, 4), keepdim=True) + pull * y.tanh()

    return denoise


def recorded() -> NoiseTrajectory:
    x0 = torch.randn(SHAPE, generator=torch.Generator().manual_seed(4))
    sigmas = sigmas_of()
    noise = schedule.timestep_noise(SHAPE[1:], STEPS, seed=11)
    start = noisiest_copy(x0, noise, sigmas.tolist())
    z = invert(denoiser(), x0, start, noise, sigmas.tolist())
    return NoiseTrajectory(sigmas, z, start, x0, [[torch.zeros(1, 2, 3), {}]], 11, ModelFingerprint("m", "a"))


TRAJECTORY = recorded()


def replayed(trajectory: NoiseTrajectory, pull: float = 0.2) -> torch.Tensor:
    return replay(
        denoiser(pull),
        trajectory.x_T,
        trajectory.z,
        trajectory.sigmas.tolist(),
        hold=hold_region(trajectory, trajectory.x_T.device),
    )


FREE = replayed(TRAJECTORY)


@pytest.mark.parametrize("start", [0.0, 0.5, 1.0])
def test_a_mask_all_white_gives_the_original_back(start: float) -> None:
    kept = keep_region(TRAJECTORY, torch.ones(1, 48, 40), change=False, start=start)
    assert (replayed(kept) - TRAJECTORY.x0).abs().max() <= 1e-12


@given(
    st.sampled_from([1, 2, 8]),
    st.integers(0, 2**30 - 1),
    st.integers(0, 2**30 - 1),
    st.floats(0, 1),
    st.booleans(),
)
@settings(max_examples=30)
def test_exactly_the_mask_is_given_back(scale: int, first: int, second: int, start: float, change: bool) -> None:
    """Any mask of whole latent pixels, one for each picture, drawn at any scale."""
    bits = torch.tensor([[number >> i & 1 for i in range(30)] for number in (first, second)], dtype=torch.float32)
    white = bits.view(2, 6, 5)
    drawn = white.repeat_interleave(scale, 1).repeat_interleave(scale, 2)
    kept = keep_region(TRAJECTORY, drawn, change=change, start=start)
    result = replayed(kept)
    inside = (white == (0 if change else 1))[:, None].expand(SHAPE)
    assert torch.allclose(result[inside], TRAJECTORY.x0.double()[inside], rtol=0, atol=1e-12)
    assert (result - TRAJECTORY.x0)[~inside].abs().min() > 1e-9 if (~inside).any() else True
    for picture in range(2):
        if not inside[picture].any():
            assert torch.equal(result[picture], FREE[picture]), "another picture's region"


def test_no_region_and_an_empty_one_are_the_same_to_the_last_bit() -> None:
    for nothing in (torch.zeros(1, 6, 5), torch.zeros(6, 5)):
        assert torch.equal(replayed(keep_region(TRAJECTORY, nothing, change=False, start=0.0)), FREE)
    everything_may_change = keep_region(TRAJECTORY, torch.ones(2, 12, 10), change=True, start=0.0)
    assert torch.equal(replayed(everything_may_change), FREE)


def test_what_is_around_a_region_fits_to_it() -> None:
    """Held from the start, the region is seen by the steps after; put back at the end, it is not."""
    mask = torch.zeros(1, 6, 5)
    mask[:, :3] = 1
    outside = (slice(None), slice(None), slice(3, None))
    early, late = (replayed(keep_region(TRAJECTORY, mask, change=False, start=start)) for start in (0.0, 1.0))
    assert torch.equal(late[outside], FREE[outside])
    assert (early - FREE)[outside].abs().max() > 1e-4


def test_without_guidance_a_region_changes_nothing() -> None:
    """Its copies are the inversion's own; with another seed's they would not lead to the original."""
    mask = torch.zeros(1, 6, 5)
    mask[:, 2:4, 1:3] = 0.5
    kept = keep_region(TRAJECTORY, mask, change=False, start=0.0)
    assert (replayed(kept, pull=0.0) - TRAJECTORY.x0).abs().max() <= 1e-6
    assert (replayed(replace(kept, seed=12), pull=0.0) - TRAJECTORY.x0).abs().max() > 1e-2


def test_edges_are_averaged_and_everything_else_stays_as_it_was() -> None:
    drawn = torch.zeros(1, 12, 10)
    drawn[0, 0, :3] = 1
    kept = keep_region(TRAJECTORY, drawn, change=False, start=0.5)
    assert kept.region is not None
    assert kept.region.mask.shape == (2, 1, 6, 5)
    assert kept.region.mask[1, 0, 0].tolist() == [0.5, 0.25, 0, 0, 0]
    assert kept.region.first == round(0.5 * (STEPS - 1))
    assert TRAJECTORY.region is None
    assert replace(kept, region=None).__dict__ == TRAJECTORY.__dict__


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (torch.ones(3, 6, 5), "3 masks for 2 pictures"),
        (torch.ones(0, 6, 5), "0 masks"),
        (torch.ones(1, 5, 6), "6x5 pixels, but the latent is 5x6"),
        (torch.ones(1, 12, 15), "whole multiple"),
        (torch.ones(1, 1, 1), "1x1 pixels"),
        (torch.ones(1, 1, 6, 5), r"shape \(1, 1, 6, 5\)"),
        (torch.full((1, 6, 5), math.nan), "not finite"),
        (torch.full((1, 6, 5), math.inf), "not finite"),
    ],
)
def test_masks_that_do_not_fit_are_refused(mask: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        keep_region(TRAJECTORY, mask, change=False, start=0.0)


@pytest.mark.parametrize("start", [-0.1, 1.1, math.nan])
def test_a_start_outside_the_run_is_refused(start: float) -> None:
    with pytest.raises(ValueError, match="start is"):
        keep_region(TRAJECTORY, torch.ones(1, 6, 5), change=False, start=start)


def test_a_second_region_is_refused() -> None:
    kept = keep_region(TRAJECTORY, torch.ones(1, 6, 5), change=False, start=0.0)
    with pytest.raises(ValueError, match="already keeps a region"):
        keep_region(kept, torch.ones(1, 6, 5), change=False, start=0.0)


# --- some of the latents -----------------------------------------------------------------------------------


@given(st.permutations(range(2)), st.integers(1, 2))
def test_selected_latents_replay_as_among_the_others(order: list[int], count: int) -> None:
    rows = order[:count]
    mask = torch.zeros(2, 6, 5)
    mask[1, :2] = 1
    kept = keep_region(TRAJECTORY, mask, change=False, start=0.0)
    some = kept.select(rows, [])
    assert (some.batch, some.steps) == (count, STEPS)
    assert torch.allclose(replayed(some), replayed(kept)[rows], rtol=0, atol=1e-12)
    assert TRAJECTORY.select(rows, []).region is None


# --- parts of faces ----------------------------------------------------------------------------------------


def face(landmarks: np.ndarray) -> Face:
    return Face((0.0, 0.0, 1.0, 1.0), tuple(map(tuple, landmarks.tolist())), 1.0, torch.zeros(512))


def marked(part: str, *landmarks: np.ndarray, side: int = 128, grow: float = 0.0, soft: float = 0.1) -> np.ndarray:
    faces = Faces((tuple(map(face, landmarks)),), side, side, "pack", "CPU")
    return faces_mask(faces, [part], grow=grow, soft=soft)[0].numpy()


LANDMARK_OF = {"eyes": [0, 1], "nose": [2], "mouth": [3, 4], "glasses": [0, 1]}


def turned(degrees: float, side: float, centre: complex, width: float = 1.0) -> np.ndarray:
    """An average face's landmarks, narrowed to `width` as by a turn of the head, then rolled and moved."""
    points = FFHQ_LANDMARKS @ (1, 1j) - (0.5 + 0.6j)
    points = (points.real * width + 1j * points.imag) * side * np.exp(1j * np.radians(degrees)) + centre
    return np.stack([points.real, points.imag], 1)


@given(
    st.floats(-180, 180),
    st.floats(60, 140),
    st.floats(-20, 20),
    st.floats(-20, 20),
    st.floats(0.5, 1),
    st.sampled_from(PARTS),
)
@settings(max_examples=60)
def test_a_part_covers_its_landmarks_and_no_other_parts(
    degrees: float, side: float, x: float, y: float, width: float, part: str
) -> None:
    points = turned(degrees, side, complex(80 + x, 80 + y), width)
    mask = marked(part, points, side=160)
    assert ((mask >= 0) & (mask <= 1)).all()
    at = mask[tuple(np.round(points).astype(int).T[::-1])]
    # The edge is a pixel wide at least, and a landmark lies between pixels.
    assert (at[LANDMARK_OF[part]] > 0.75).all()
    others = set(range(5)) - set(LANDMARK_OF[part])
    assert (at[sorted(others)] < 0.25).all()


def test_a_part_turns_moves_and_grows_with_the_face() -> None:
    for part in PARTS:
        upright = marked(part, turned(0, 80, 64 + 64j), soft=0.3)
        quarter = marked(part, turned(90, 80, 64 + 64j), soft=0.3)
        # A quarter turn clockwise around pixel (64, 64) of 128: it loses the first row and column.
        assert np.abs(np.rot90(upright[1:, 1:], -1) - quarter[1:, 1:]).max() < 1e-4
        moved = marked(part, turned(0, 80, 74 + 59j), soft=0.3)
        assert np.abs(upright[5:, :-10] - moved[:-5, 10:]).max() < 1e-4
        double = marked(part, turned(0, 160, 128 + 128j), side=256, soft=0.3)
        assert np.abs(double[::2, ::2] - upright).max() < 1e-4
        grown, shrunk = (marked(part, turned(0, 80, 64 + 64j), grow=grow) for grow in (0.2, -0.1))
        plain = marked(part, turned(0, 80, 64 + 64j))
        assert (shrunk <= plain).all()
        assert (plain <= grown).all()
        assert shrunk.sum() < plain.sum() < grown.sum()


def test_edges_are_as_soft_as_asked_and_the_window_cuts_nothing_off() -> None:
    for part in PARTS:
        for soft in (0.0, 0.2, 0.6):
            mask = marked(part, turned(20, 80, 64 + 64j), soft=soft, grow=0.3)
            steepest = max(np.abs(np.diff(mask, axis=axis)).max() for axis in (0, 1))
            eye_distance = 80 * (FFHQ_LANDMARKS[1] - FFHQ_LANDMARKS[0])[0]
            assert steepest <= 1.3 / max(soft * eye_distance, 1.0)


def test_every_image_has_its_mask_and_faces_are_joined() -> None:
    one, other = turned(0, 60, 30 + 40j), turned(0, 60, 90 + 80j)
    images = ((face(one), face(other)), (), (face(one + 400),))
    masks = faces_mask(Faces(images, 120, 128, "pack", "CPU"), ["eyes", "mouth"], grow=0.0, soft=0.1)
    assert masks.shape == (3, 120, 128)
    assert masks.dtype == torch.float32
    alone = Faces(((face(one),),), 120, 128, "pack", "CPU")
    eyes, mouth = (faces_mask(alone, [part], grow=0.0, soft=0.1)[0] for part in ("eyes", "mouth"))
    assert torch.equal(masks[0, :, :60], torch.maximum(eyes, mouth)[:, :60])
    assert masks[0, 60:, 60:].max() == 1
    assert not masks[1:].any(), "no face, and a face outside the picture"
    assert faces_mask(Faces((), 8, 8, "", ""), ["eyes"], grow=0.0, soft=0.1).shape == (0, 8, 8)


@pytest.mark.parametrize(
    "points",
    [np.zeros((5, 2)), np.full((5, 2), 7.5), turned(0, 4, 64 + 64j), turned(0, 80, 64 + 64j) * [1, math.nan]],
)
def test_degenerate_landmarks_are_refused(points: np.ndarray) -> None:
    with pytest.raises(ValueError, match="face 1 of image 1 cannot be marked"):
        marked("eyes", points)


def test_no_part_is_refused() -> None:
    with pytest.raises(ValueError, match="no part of the face is chosen"):
        faces_mask(Faces((), 8, 8, "", ""), [], grow=0.0, soft=0.1)
