"""Purified copies: what is purified, how, and what of a picture stays as it is."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from harness.in_process import part
from tests.face_layout import face_at
from tests.small_model import SmallModel

SIDE = 64


class Averaging:
    """A VAE that keeps the mean of every square of 8 pixels."""

    def encode(self, pixels: Tensor) -> Tensor:
        levels = torch.nn.functional.avg_pool2d(pixels.movedim(-1, 1), 8)
        return torch.cat([levels, levels.mean(1, keepdim=True)], dim=1)

    def decode(self, samples: Tensor) -> Tensor:
        return samples[:, :3].movedim(1, -1).repeat_interleave(8, 1).repeat_interleave(8, 2)


@pytest.fixture(scope="module")
def small() -> SmallModel:
    return SmallModel()


@pytest.fixture(scope="module")
def purifying() -> Any:
    return part("host.purifying")


def pictures(count: int, height: int = SIDE, width: int = SIDE) -> Tensor:
    return torch.rand(count, height, width, 3, generator=torch.Generator().manual_seed(7))


def test_a_copy_is_the_round_trip_and_with_a_model_it_is_denoised(small: SmallModel, purifying: Any) -> None:
    crops, vae = pictures(2), Averaging()
    purifier = purifying.Purifier(vae)
    assert purifier.way == "vae"
    round_trip = purifier.purified(crops)
    assert torch.equal(round_trip, vae.decode(vae.encode(crops)))
    purifier = purifying.Purifier(vae, small.model, small.text())
    assert purifier.way == "noise"
    with small.counted() as evaluations:
        denoised = purifier.purified(crops)
    assert evaluations.rows == 2, "one step for each crop"
    samples = vae.encode(crops)
    noise = torch.randn(samples.shape[1:], generator=torch.Generator().manual_seed(0)).expand(samples.shape)
    expected = purifying.denoised_once(small.model, small.text(), samples, noise, purifying.PURIFYING_LEVEL)
    assert torch.equal(denoised, vae.decode(expected).clamp(0, 1))
    assert (denoised - round_trip).abs().mean() > 0.01


def test_a_crop_comes_out_alike_alone_and_among_others(small: SmallModel, purifying: Any) -> None:
    crops = pictures(3)
    purifier = purifying.Purifier(Averaging(), small.model, small.text())
    together = purifier.purified(crops)
    for row in range(3):
        assert (together[row] - purifier.purified(crops[row : row + 1])[0]).abs().max() <= 1e-4


def test_a_model_without_a_text_is_refused(small: SmallModel, purifying: Any) -> None:
    with pytest.raises(ValueError, match="model is connected without source"):
        purifying.Purifier(Averaging(), small.model)


def test_a_copy_that_is_not_finite_is_no_copy(purifying: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = Averaging()
    monkeypatch.setattr(broken, "decode", lambda samples: torch.full((1, SIDE, SIDE, 3), torch.nan), raising=False)
    with pytest.raises(RuntimeError, match="values that are not finite"):
        purifying.Purifier(broken).purified(pictures(1))


def test_in_a_photograph_only_the_faces_are_purified(small: SmallModel, purifying: Any) -> None:
    photograph = pictures(1, 200, 300)[0]
    before = photograph.clone()
    faces = [face_at(90.0, 100.0, 80.0), face_at(210.0, 90.0, 70.0)]
    purifier = purifying.Purifier(Averaging(), small.model, small.text())
    changed = (purifying.purified_photograph(purifier, photograph, faces, SIDE) != photograph).any(-1)
    for face in faces:
        x, y = (int(side) for side in face.centre)
        assert changed[y - 10 : y + 10, x - 10 : x + 10].float().mean() > 0.9
    assert not changed[:30].any()
    assert not changed[:, :20].any()
    assert torch.equal(photograph, before)
    one = purifying.purified_photograph(purifying.Purifier(Averaging()), photograph, faces[:1], SIDE)
    x, y = (int(side) for side in faces[1].centre)
    assert torch.equal(one[y - 10 : y + 10, x - 10 : x + 10], photograph[y - 10 : y + 10, x - 10 : x + 10])


def test_without_a_face_to_crop_there_is_no_copy(purifying: Any) -> None:
    assert purifying.purified_photograph(purifying.Purifier(Averaging()), pictures(1)[0], [], SIDE) is None
