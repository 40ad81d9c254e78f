"""Identity Scale Sweep: the same faces as Change Identity makes, side by side, and what the editor is told of them."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from harness.in_process import load_pack, part, run_node
from reverse_personalization.method.quality import FAST
from tests import fake_insight
from tests.small_model import Decoder, SmallModel, faces_in_crops

SIDE = 64
SCALES = "-5, -8"


@pytest.fixture(scope="module")
def small() -> SmallModel:
    return SmallModel()


@pytest.fixture
def packs(fake_pack: Path) -> Path:
    """A guide and a checker whose recogniser is another one."""
    return fake_insight.write(
        fake_pack.parent / "judge", detection=fake_insight.detector(), recognition=fake_insight.recogniser(other=True)
    )


def arguments(small: SmallModel, count: int = 2) -> tuple[Any, ...]:
    crops = torch.rand(count, SIDE, SIDE, 3, generator=torch.Generator().manual_seed(9))
    return small.model, Decoder(small), small.latent(count), faces_in_crops(small, count), crops, small.text()


def similarities(monkeypatch: pytest.MonkeyPatch, values: list[float | None]) -> None:
    """What the checker says, one picture after the other."""
    left = iter(values)
    checker = part("reverse_personalization.assurance.checking").Checker
    monkeypatch.setattr(checker, "similarity_of_crop", lambda *given: next(left))


def test_a_strip_shows_the_crop_and_what_change_identity_makes_of_it(small: SmallModel, packs: Path) -> None:
    model, vae, latent, faces, crops, text = given = arguments(small)
    strips, _ = run_node("ReverseIdentityScaleSweep", *given, FAST, SCALES, 0.3, 0, "judge")
    assert strips.shape == (2, SIDE, 3 * SIDE, 3)
    before, *results = torch.split(strips, SIDE, dim=2)
    assert torch.equal(before, crops)
    for scale, result in zip((-5.0, -8.0), results, strict=True):
        samples = run_node("ReverseIdentityEdit", model, latent, faces, text, FAST, scale, 0.3, 0)["samples"]
        assert (vae.decode(samples) - result).abs().max() <= 1e-4


def test_the_report_says_from_which_scale_on_a_face_is_not_recognised(
    small: SmallModel, packs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    similarities(monkeypatch, [0.9, 0.95, 0.4, None, 0.1, 0.7])
    _, report = run_node("ReverseIdentityScaleSweep", *arguments(small), FAST, SCALES, 0.3, 0, "judge", 0.5)
    assert report.splitlines()[1:] == [
        "face 1: not recognised from -5 on (0: 0.90, -5: 0.40, -8: 0.10)",
        "face 2: recognisable at every scale (0: 0.95, -5: not measurable, -8: 0.70)",
    ]


def test_the_editor_is_told_figures_and_nothing_of_the_picture(
    small: SmallModel, packs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    similarities(monkeypatch, [0.912345, 0.4, 0.1])
    node = load_pack().node_classes["ReverseIdentityScaleSweep"]
    prompt = {
        "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "sdxl/mine.safetensors"}},
        "2": {"class_type": "LoraLoaderModelOnly", "inputs": {"model": ["1", 0], "lora_name": "other.safetensors"}},
        "3": {"class_type": "ReverseIdentityScaleSweep", "inputs": {"model": ["2", 0]}},
        "4": {"class_type": "ReverseIdentityLoadPhotograph", "inputs": {"image": "aunt mathilda.png"}},
    }
    monkeypatch.setattr(node, "hidden", SimpleNamespace(prompt=prompt, unique_id="3"), raising=False)
    with torch.inference_mode():
        ui = node.execute(*arguments(small, 1), FAST, SCALES, 0.3, 0, "judge", 0.5).ui
    [told] = ui["guidance_curve"]
    assert told.pop("date").startswith("20")
    assert told == {
        "checkpoint": "sdxl/mine.safetensors",
        "quality": FAST,
        "checker": "judge",
        "threshold": 0.5,
        "points": [
            {"scale": 0.0, "similarities": [0.91]},
            {"scale": -5.0, "similarities": [0.4]},
            {"scale": -8.0, "similarities": [0.1]},
        ],
    }
    json.dumps(ui)


def test_a_crop_that_is_not_finite_is_grey_and_not_measured(
    small: SmallModel, packs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    similarities(monkeypatch, [0.9, 0.3])
    model, vae, *others = arguments(small, 1)
    decode, seen = vae.decode, iter([False, True, False])
    vae.decode = lambda samples: decode(samples) * (np.nan if next(seen) else 1.0)
    strips, report = run_node("ReverseIdentityScaleSweep", model, vae, *others, FAST, SCALES, 0.3, 0, "judge", 0.5)
    assert torch.isfinite(strips).all()
    assert "(0: 0.90, -5: not measurable, -8: 0.30)" in report


def test_a_crop_that_nobody_is_in_is_refused(small: SmallModel, packs: Path) -> None:
    nobody = part("reverse_personalization.geometry.template").stand_in(SIDE)
    model, vae, latent, faces, crops, text = arguments(small, 1)
    empty = type(faces)(images=((nobody,),), height=SIDE, width=SIDE, model_pack="fake", provider=faces.provider)
    with pytest.raises(ValueError, match="a crop without a face; expected a photograph"):
        run_node("ReverseIdentityScaleSweep", model, vae, latent, empty, crops, text, FAST, SCALES, 0.3, 0, "judge")


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [({"scales": "-8, -5"}, "weakest first"), ({"steps": 1}, "expected 2 to"), ({"checker": "lost"}, "not installed")],
)
def test_settings_that_cannot_work_are_refused_when_queued(inputs: dict[str, Any], reason: str) -> None:
    validate = load_pack().node_classes["ReverseIdentityScaleSweep"].validate_inputs
    assert reason in validate(**inputs)
    assert validate(scales=SCALES, steps=8, denoise=0.3) is True


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, "a.safetensors"),
        ({"1": {"class_type": "UNETLoader", "inputs": {"weight_dtype": "default", "unet_name": "b.gguf"}}}, "b.gguf"),
        # Which of two models it is cannot be said.
        ({"2": {"class_type": "ModelMergeSimple", "inputs": {"model1": ["1", 0], "model2": ["1", 0]}}}, None),
        ({"1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": ["7", 0]}}}, None),
        ({"2": {"class_type": "Circle", "inputs": {"model": ["3", 0]}}}, None),
        ({"3": {"class_type": "Lost", "inputs": {"model": ["99", 0]}}}, None),
    ],
)
def test_the_checkpoint_is_found_through_patches(changed: dict[str, Any], expected: str | None) -> None:
    prompt = {
        "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "a.safetensors"}},
        "2": {"class_type": "LoraLoader", "inputs": {"lora_name": "l.safetensors", "model": ["1", 0]}},
        "3": {"class_type": "ReverseIdentityScaleSweep", "inputs": {"model": ["2", 0]}},
        **changed,
    }
    assert part("host.queued_graph").checkpoint_of(prompt, "3") == expected
