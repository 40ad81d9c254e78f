"""Models, trajectories, faces, texts and latents that the inversion and the samplers refuse."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from harness.in_process import part, run_node
from tests.small_model import SmallModel


@pytest.fixture(scope="module")
def small() -> SmallModel:
    return SmallModel()


def test_no_adapter_is_refused(small: SmallModel) -> None:
    with pytest.raises(ValueError, match=r"no identity adapter.*Load Identity Adapter"):
        small.invert(small.latent(), model=small.golden.patcher)


def test_flow_models_are_refused(small: SmallModel) -> None:
    import comfy.model_sampling

    class Flow(comfy.model_sampling.ModelSamplingDiscreteFlow, comfy.model_sampling.CONST):
        pass

    model = small.model.clone()
    model.add_object_patch("model_sampling", Flow())
    with pytest.raises(ValueError, match=r"samples with Flow.*discrete noise levels"):
        small.invert(small.latent(), model=model)


def test_another_models_trajectory_is_refused_with_both_fingerprints(small: SmallModel) -> None:
    trajectory = small.invert(small.latent())
    other = small.golden.with_adapter(ip_scale=0.5)
    with pytest.raises(ValueError, match="recorded with model") as raised:
        small.sample(trajectory, small.faces(), -10.0, model=other)
    assert str(trajectory.fingerprint) in str(raised.value)
    assert str(part("host.fingerprint").fingerprint(other)) in str(raised.value)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_every_latent_needs_its_face(small: SmallModel, count: int) -> None:
    trajectory = small.invert(small.latent(batch=2), steps=2)
    with pytest.raises(ValueError, match=f"2 latents but {count} faces"):
        small.sample(trajectory, small.faces(count), -10.0)


def test_texts_must_fit_the_latents(small: SmallModel) -> None:
    trajectory = small.invert(small.latent(batch=2), steps=2)
    [[embeds, options]] = small.text()
    three = [[embeds.repeat(3, 1, 1), {"pooled_output": options["pooled_output"].repeat(3, 1)}]]
    with pytest.raises(ValueError, match="attributes conditioning holds 3 texts for 2 latents"):
        small.sample(trajectory, small.faces(2), -10.0, attributes=three)
    with pytest.raises(ValueError, match="source conditioning holds 3 texts for 2 latents"):
        small.invert(small.latent(batch=2), steps=2, source=three)
    with pytest.raises(ValueError, match="negative conditioning holds 3 texts for 2 latents"):
        small.invert(small.latent(batch=2), steps=2, negative=three, cfg=-5.0)


def advanced(small: SmallModel, latent: Any, sigmas: Any = None, faces: int = 1) -> Any:
    from comfy_extras.nodes_custom_sampler import DisableNoise, SamplerCustomAdvanced

    trajectory = small.invert(small.latent(batch=faces), steps=4)
    guider = run_node("ReverseIdentityGuider", small.model, trajectory, small.faces(faces), -10.0)
    own = run_node("ReverseIdentityReplaySigmas", trajectory)
    with torch.inference_mode():
        [noise] = DisableNoise.execute().result
        return SamplerCustomAdvanced.execute(
            noise,
            guider,
            run_node("ReverseIdentityReplaySampler", trajectory),
            own if sigmas is None else sigmas,
            latent,
        )


def test_other_sizes_batches_sigmas_and_masks_are_refused(small: SmallModel) -> None:
    with pytest.raises(ValueError, match=r"shape \(1, 4, 16, 16\).*recorded for \(1, 4, 8, 8\)"):
        advanced(small, small.latent(side=16))
    with pytest.raises(ValueError, match="2 latents but 1 faces"):
        advanced(small, small.latent(batch=2))
    with pytest.raises(ValueError, match=r"sigmas are 3 levels from 1 to 0.*recorded at 5 levels"):
        advanced(small, small.latent(), torch.tensor([1.0, 0.5, 0.0]))
    with pytest.raises(ValueError, match="noise mask"):
        advanced(small, {**small.latent(), "noise_mask": torch.ones(1, 8, 8)})


@pytest.mark.parametrize(
    ("latent", "message"),
    [
        ({"samples": torch.zeros(1, 16, 8, 8)}, r"shape \(1, 16, 8, 8\).*4 channels"),
        ({"samples": torch.zeros(0, 4, 8, 8)}, "one or more pictures"),
        ({"samples": torch.zeros(1, 4, 3, 8, 8)}, r"expected pictures \[batch, 4"),
        ({"samples": torch.full((1, 4, 8, 8), float("nan"))}, "not finite"),
        ({"samples": torch.zeros(1, 4, 8, 8), "noise_mask": torch.ones(1, 8, 8)}, "noise mask"),
    ],
)
def test_latents_that_cannot_be_inverted(small: SmallModel, latent: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small.invert(latent)
