"""Change Identity on the small model, the two nodes that it must equal, and the settings at which both are compared."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from harness.in_process import run_node
from reverse_personalization.method.quality import FAST, FAST_GAIN
from tests.numbered_rows import numbered
from tests.small_model import SmallModel

SETTINGS = ("plain", "attributes", "region", "a text for each latent", "weak identity")


def setting(small: SmallModel, name: str) -> dict[str, Any]:
    """Inputs, besides the required ones, of a setting for three latents of 8 x 8."""
    if name == "attributes":
        return {"attributes": small.text("neg_gen")}
    if name == "region":
        keep = torch.zeros(3, 8, 8)
        keep[1, :4] = 1
        return {"keep": keep}
    if name == "a text for each latent":
        [[text, pooled]] = small.text()
        factors = 1 + numbered(1, 1, count=3) / 10
        return {"source": [[text * factors, {**pooled, "pooled_output": pooled["pooled_output"] * factors[:, 0]}]]}
    return {"identity_scale": 0.5} if name == "weak identity" else {}


def edit(small: SmallModel, latent: Any, faces: Any, cfg: float = -5.0, quality: str = FAST, **options: Any) -> Tensor:
    """ReverseIdentityEdit; its latent."""
    model = options.pop("model", small.model)
    source = options.pop("source", small.text())
    given = {"denoise": 0.3, "seed": 0, **options}
    return run_node("ReverseIdentityEdit", model, latent, faces, source, quality, cfg, **given)["samples"]


def two_nodes(small: SmallModel, latent: Any, faces: Any, cfg: float = -5.0, **options: Any) -> Tensor:
    """The same with an inversion and a replay."""
    model, keep = options.pop("model", small.model), options.pop("keep", None)
    inverting = {name: options.pop(name) for name in ("source", "steps") if name in options}
    trajectory = small.invert_in(FAST, latent, model=model, **inverting)
    if keep is not None:
        trajectory = run_node("ReverseIdentityKeepRegion", trajectory, keep)
    return small.sample(trajectory, faces, cfg * FAST_GAIN, model=model, **options)
