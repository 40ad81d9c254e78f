"""How plausible a face is: the error inside the face by hand, and the prediction by the network's own answer."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from harness.in_process import part
from lab.measuring.plausibility import cells_of, error_inside
from tests.small_model import SmallModel


def test_a_cell_belongs_to_a_face_that_fills_half_of_it() -> None:
    mask = np.zeros((1, 8, 8), bool)
    mask[0, :4, :2] = True  # half of the first cell
    mask[0, 4:, 4:7] = True  # three quarters of the last
    mask[0, 4:, 0] = True  # a quarter of the third
    assert cells_of(mask, 2, 2).tolist() == [[[True, False], [False, True]]]
    with pytest.raises(ValueError, match="face 1 fills half of no cell"):
        cells_of(np.concatenate([mask, np.zeros_like(mask)]), 2, 2)


def test_only_the_error_inside_the_face_counts() -> None:
    clean = torch.zeros(2, 4, 2, 2)
    predicted = clean.clone()
    predicted[:, :, 0, 0] = 3
    predicted[:, :, 1, 1] = 100
    cells = np.array([[[True, True], [False, False]], [[True, False], [False, False]]])
    assert error_inside(predicted, clean, cells) == pytest.approx([3 / np.sqrt(2), 3])


def test_one_denoising_step_is_the_networks_prediction_from_the_noisy_picture() -> None:
    small = SmallModel()
    import comfy.samplers

    latent, sigma = small.latent()["samples"], 0.57
    noise = torch.randn(latent.shape, generator=torch.Generator().manual_seed(3))
    seen = []

    class Probe(comfy.samplers.Sampler):
        def sample(self, model_wrap, sigmas, extra_args, callback, noise, *args):
            seen.append(model_wrap(noise, sigmas[:1], **extra_args))
            return noise

    guider = part("host.guider").NullIdentityGuider(small.model, small.text(), None, 1.0)
    noisy = small.model_space(latent) + sigma * noise
    with torch.inference_mode():
        guider.sample(noisy, torch.zeros_like(latent), Probe(), torch.tensor([sigma, 0.0]))
    found = small.model_space(part("host.purifying").denoised_once(small.model, small.text(), latent, noise, sigma))
    assert (found - seen[0]).abs().max() < 1e-5
    assert (found - small.model_space(latent)).abs().max() > 1e-2
