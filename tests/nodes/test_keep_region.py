"""Keep Region and Face Region Mask as nodes, on a small model and on the renderer's people."""

from __future__ import annotations

import inspect
import math
from typing import Any

import numpy as np
import pytest
import torch

from harness.in_process import load_pack, part, run_node
from lab.render import soup
from lab.render.identity import draw_identity
from lab.render.nuisance import draw_nuisance
from lab.render.person import Person, build_person
from lab.render.portrait import portrait_view
from lab.render.truth import in_pixels
from tests.small_model import SmallModel

SIDE = 256


@pytest.fixture(scope="module")
def small() -> SmallModel:
    return SmallModel()


@pytest.fixture(scope="module")
def trajectory(small: SmallModel) -> Any:
    return small.invert(small.latent(2), steps=5)


@pytest.mark.parametrize("name", ["ReverseIdentityKeepRegion", "ReverseIdentityRegionMask"])
def test_schema_agrees_with_execute(name: str) -> None:
    node = load_pack().node_classes[name]
    schema = node.GET_SCHEMA()
    parameters = inspect.signature(node.execute).parameters
    assert [entry.id for entry in schema.inputs] == list(parameters)
    for entry in schema.inputs:
        assert entry.tooltip
        default = parameters[entry.id].default
        assert (default is not inspect.Parameter.empty) == bool(entry.optional), entry.id
        if entry.optional:
            assert default == entry.default


@pytest.mark.parametrize("start", [0.0, 1.0])
@pytest.mark.parametrize(("mode", "white"), [("keep", 1.0), ("change", 0.0)])
def test_everything_kept_is_the_original(
    small: SmallModel, trajectory: Any, mode: str, white: float, start: float
) -> None:
    kept = run_node("ReverseIdentityKeepRegion", trajectory, torch.full((1, 64, 64), white), mode, start)
    back = small.sample(kept, small.faces(2), -10.0)
    assert (small.model_space(back) - small.model_space(small.latent(2)["samples"])).abs().max() <= 1e-6
    assert kept.fingerprint == trajectory.fingerprint
    assert trajectory.region is None


def test_nothing_kept_is_the_plain_run_and_a_part_is_kept_exactly(small: SmallModel, trajectory: Any) -> None:
    plain = small.sample(trajectory, small.faces(2), -10.0)
    nothing = run_node("ReverseIdentityKeepRegion", trajectory, torch.zeros(1, 8, 8))
    assert torch.equal(small.sample(nothing, small.faces(2), -10.0), plain)
    mask = torch.zeros(2, 16, 16)
    mask[1, :, :8] = 1
    part_kept = small.sample(run_node("ReverseIdentityKeepRegion", trajectory, mask), small.faces(2), -10.0)
    original = small.latent(2)["samples"]
    assert (small.model_space(part_kept - original))[1, :, :, :4].abs().max() <= 1e-6
    assert (part_kept - original)[1, :, :, 4:].abs().min() > 0
    assert (part_kept - plain)[1, :, :, 4:].abs().max() > 1e-3, "what is around the region does not see it"
    assert (part_kept - plain)[0].abs().max() <= 1e-4, "another picture's region"


def test_the_composed_sampler_keeps_the_region_too(small: SmallModel, trajectory: Any) -> None:
    from comfy_extras.nodes_custom_sampler import DisableNoise, SamplerCustomAdvanced

    kept = run_node("ReverseIdentityKeepRegion", trajectory, torch.ones(1, 8, 8).triu())
    guider = run_node("ReverseIdentityGuider", small.model, kept, small.faces(2), -10.0)
    with torch.inference_mode():
        [noise] = DisableNoise.execute().result
        composed, _ = SamplerCustomAdvanced.execute(
            noise,
            guider,
            run_node("ReverseIdentityReplaySampler", kept),
            run_node("ReverseIdentityReplaySigmas", kept),
            small.latent(2),
        ).result
    assert torch.equal(composed["samples"], small.sample(kept, small.faces(2), -10.0))


def test_masks_that_do_not_fit_are_refused(trajectory: Any) -> None:
    for mask, message in [
        (torch.ones(3, 64, 64), "3 masks for 2 pictures"),
        (torch.ones(1, 60, 64), "64x60 pixels, but the latent is 8x8"),
        (torch.full((1, 64, 64), math.nan), "not finite"),
    ]:
        with pytest.raises(ValueError, match=message):
            run_node("ReverseIdentityKeepRegion", trajectory, mask)


# --- parts of the renderer's people ------------------------------------------------------------------------


@pytest.fixture(scope="module", params=range(4))
def person(request: pytest.FixtureRequest) -> tuple[Person, Any]:
    """Somebody in a pose of his own, and where his places are in a portrait."""
    identity = draw_identity(request.param)
    nuisance = draw_nuisance(100 + request.param, identity, widest=45.0)
    built = build_person(identity, nuisance)
    return built, portrait_view(built, nuisance.framing, SIDE)


def places(person: tuple[Person, Any], points: Any) -> np.ndarray:
    """Pixels [N, 2] by OpenCV's convention; the renderer's are half a pixel further."""
    return in_pixels(person[0], points, person[1]) - 0.5


def mask_of(person: tuple[Person, Any], *parts: str) -> np.ndarray:
    faces = part("reverse_personalization.geometry.faces")
    landmarks = tuple(map(tuple, places(person, person[0].landmarks).tolist()))
    face = faces.Face((0.0, 0.0, 1.0, 1.0), landmarks, 1.0, torch.zeros(512))
    chosen = {name: name in parts for name in ("eyes", "mouth", "nose", "glasses")}
    [mask] = run_node("ReverseIdentityRegionMask", faces.Faces(((face,),), SIDE, SIDE, "pack", "CPU"), **chosen)
    return mask.numpy()


def covered(mask: np.ndarray, pixels: np.ndarray) -> float:
    """Part of the pixels inside the picture that the mask covers."""
    columns, rows = np.round(pixels).astype(int).T
    inside = (columns >= 0) & (columns < SIDE) & (rows >= 0) & (rows < SIDE)
    return float((mask[rows[inside], columns[inside]] > 0.5).mean())


def test_masks_cover_what_they_are_named_for(person: tuple[Person, Any]) -> None:
    attributes, posed = person[0].attributes, person[0].posed
    lips, lids = posed[attributes[:, soup.LIPS] > 0.5], posed[attributes[:, soup.LIDS] > 0.5]
    nose = places(person, person[0].landmarks[2:3])
    assert covered(mask_of(person, "mouth"), places(person, lips)) > 0.95
    assert covered(mask_of(person, "eyes"), places(person, lids)) > 0.8
    assert covered(mask_of(person, "eyes"), places(person, person[0].pupils)) == 1
    assert covered(mask_of(person, "glasses"), places(person, lids)) > 0.95
    assert covered(mask_of(person, "nose"), nose) == 1
    for other in ("eyes", "glasses"):
        assert covered(mask_of(person, other), places(person, lips)) == 0
        assert covered(mask_of(person, other), nose) == 0


def test_masks_leave_most_of_the_face_free(person: tuple[Person, Any]) -> None:
    outline = places(person, person[0].outline)
    both = mask_of(person, "eyes", "mouth")
    assert 0.05 < both.sum() / np.prod(np.ptp(outline, axis=0)) < 0.25
    assert np.array_equal(both, np.maximum(mask_of(person, "eyes"), mask_of(person, "mouth")))
