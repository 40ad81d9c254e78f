"""Change Identity with Retry: the same as the retry over a trajectory, and judged where the crops will be pasted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from harness.in_process import load_pack, part, run_node
from reverse_personalization.method.quality import FAST, FAST_GAIN
from tests import fake_insight
from tests.face_layout import face_at
from tests.small_model import Decoder, SmallModel

HEIGHT, WIDTH, SIDE = 200, 300, 64


@pytest.fixture(scope="module")
def small() -> SmallModel:
    return SmallModel()


@pytest.fixture
def packs(fake_pack: Path) -> Path:
    """A guide and a checker whose recogniser is another one."""
    return fake_insight.write(
        fake_pack.parent / "judge", detection=fake_insight.detector(), recognition=fake_insight.recogniser(other=True)
    )


def cropped(small: SmallModel) -> tuple[Any, Any, torch.Tensor, Any, Any]:
    """Photograph, its faces, their crops, the faces in these, and the placements."""
    people = small.faces(2)
    places = [face_at(90.0, 100.0, 80.0), face_at(210.0, 90.0, 70.0)]
    found = tuple(
        replace(face, box=place.box, landmarks=place.landmarks) for face, place in zip(people, places, strict=True)
    )
    faces = replace(people, images=(found,), height=HEIGHT, width=WIDTH, model_pack="fake")
    image = torch.rand(1, HEIGHT, WIDTH, 3, generator=torch.Generator().manual_seed(4))
    crops, in_crops, placements, _ = (
        load_pack().node_classes["ReverseIdentityFaceCrop"].execute(image, faces, side=SIDE).result
    )
    return image, faces, crops, in_crops, placements


def run(small: SmallModel, latent: Any, faces: Any, crops: torch.Tensor, **given: Any) -> Any:
    options = {"denoise": 0.3, "seed": 0, "checker": "judge", **given}
    return run_node(
        "ReverseIdentityEditRetry", small.model, Decoder(small), latent, faces, crops, small.text(), FAST, "-5, -8",
        **options,
    )  # fmt: skip


def test_crops_and_report_are_those_of_a_trajectory(small: SmallModel, packs: Path) -> None:
    _, _, crops, faces, _ = cropped(small)
    trajectory = small.invert_in(FAST, small.latent(2))
    expected = run_node(
        "ReverseIdentityRetrySampler", small.model, Decoder(small), trajectory, faces, crops, "-5.125, -8.2", "judge"
    )
    edited = run(small, small.latent(2), faces, crops)
    assert FAST_GAIN == pytest.approx(5.125 / 5) == pytest.approx(8.2 / 8)
    assert (edited[0] - expected[0]).abs().max() <= 1e-4
    # The report names the scales that were asked for.
    assert edited[1] == expected[1].replace("-5.125", "-5").replace("-8.2", "-8")


@pytest.mark.parametrize("placed", [False, True])
def test_faces_are_judged_where_they_will_be(
    small: SmallModel, packs: Path, monkeypatch: pytest.MonkeyPatch, placed: bool
) -> None:
    image, _, crops, faces, placements = cropped(small)
    seen: list[tuple[Any, np.ndarray]] = []
    checker = part("reverse_personalization.assurance.checking").Checker

    def similarity(self: Any, original: Any, result: np.ndarray) -> float:
        seen.append((original, result))
        return 0.9

    monkeypatch.setattr(checker, "similarity_of_crop", similarity)
    where = {"image": image, "placements": placements} if placed else {}
    run(small, small.latent(2), faces, crops, **where)
    assert len(seen) == 4
    sizes = {result.shape[:2] for _, result in seen}
    if not placed:
        assert sizes == {(SIDE, SIDE)}
        return
    assert (SIDE, SIDE) not in sizes
    levels = np.round(image[0].numpy() * 255)
    for original, result in seen:
        # The photograph around the face is the original's, the face is not.
        assert original.picture.shape == result.shape
        assert (original.picture[0, 0] == result[0, 0]).all()
        assert (levels == result[0, 0][::-1]).all(axis=-1).any()
        x, y = (round(value) for value in np.mean(original.face.landmarks, axis=0))
        assert (original.picture[y, x] != result[y, x]).any()


def test_what_does_not_belong_together_is_refused(small: SmallModel, packs: Path) -> None:
    image, _, crops, faces, placements = cropped(small)
    with pytest.raises(ValueError, match="image is connected without placements; connect both"):
        run(small, small.latent(2), faces, crops, image=image)
    with pytest.raises(ValueError, match="placements are in 1 images of 300x200 pixels, but there are 1 of 150x200"):
        run(small, small.latent(2), faces, crops, image=image[:, :, :150], placements=placements)
    fewer = replace(placements, crops=placements.crops[:1])
    with pytest.raises(ValueError, match="there are 1 placements for 2 faces"):
        run(small, small.latent(2), faces, crops, image=image, placements=fewer)
    with pytest.raises(ValueError, match="2 crops for 1 latents"):
        run(small, small.latent(1), faces, crops)


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        ({"scales": "-8, -5"}, "weakest first"),
        ({"scales": "-5", "identity_scale": 0.0}, "nobody is pushed away"),
        ({"steps": 1}, "expected 2 to"),
        ({"steps": 500, "denoise": 0.3}, "largest number of steps"),
        ({"steps": 0, "denoise": 0.001}, "fewer than two"),
    ],
)
def test_settings_that_cannot_work_are_refused_when_queued(inputs: dict[str, Any], reason: str) -> None:
    validate = load_pack().node_classes["ReverseIdentityEditRetry"].validate_inputs
    assert reason in validate(**inputs)
    assert validate(scales="-5, -8", steps=8, denoise=0.3) is True


def test_a_retry_goes_on_while_a_purified_copy_shows_the_person(
    small: SmallModel, packs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, _, crops, faces, placements = cropped(small)
    checker = part("reverse_personalization.assurance.checking").Checker
    monkeypatch.setattr(checker, "similarity_of_crop", lambda *given: 0.1)
    looked: list[float] = []

    def in_place(self: Any, original: Any, result: np.ndarray) -> float:
        looked.append(float(result.std()))
        return 0.9 if len(looked) <= 2 else 0.05

    monkeypatch.setattr(checker, "similarity_in_place", in_place)
    where = {"image": image, "placements": placements}
    assert [len(one) for one in run(small, small.latent(2), faces, crops, **where)[2].tried] == [1, 1]
    assert not looked
    tried = run(small, small.latent(2), faces, crops, **where, purify=True)[2].tried
    # A copy of each of two faces; at the first scale they show the person.
    assert len(looked) == 4
    assert [[step.similarity for step in one] for one in tried] == [[0.9, 0.1]] * 2
    assert [[step.anonymised for step in one] for one in tried] == [[False, True]] * 2
