"""The form without the source, on a small real UNet."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from lab.measure.control import source_free
from lab.measure.ways import Way, way_of
from reverse_personalization.method.quality import FAST
from tests.small_model import SmallModel

WAY = Way("control", 3, FAST, denoise=0.3, scale=-3.0, source_free=True)


@pytest.fixture(scope="module")
def small() -> SmallModel:
    return SmallModel()


def run(small: SmallModel, way: Way) -> torch.Tensor:
    return source_free(small.model, small.text(), small.latent()["samples"], small.faces(), way, 0)


def test_without_guidance_the_latent_comes_back(small: SmallModel) -> None:
    assert (run(small, replace(WAY, scale=0.0)) - small.latent()["samples"]).abs().max() < 1e-4


def test_it_goes_another_way_than_the_nodes_after_the_first_step(small: SmallModel) -> None:
    changed = run(small, WAY)
    assert (changed - small.latent()["samples"]).abs().max() > 0.1
    trajectory = small.invert(small.latent(), WAY.steps, WAY.denoise, extrapolation_limit=WAY.limit)
    nodes = small.sample(trajectory, small.faces(), cfg=WAY.scale)
    assert (changed - nodes).abs().max() > 1e-2 * (nodes - small.latent()["samples"]).abs().max()


def test_it_saves_the_sources_evaluations() -> None:
    assert way_of("source-free").evaluations == 8
