"""Shipped workflows with settings and pictures that let a test run them in seconds."""

from __future__ import annotations

from typing import Any

from PIL import Image

from lab.render.scene import draw_scene, draw_scene_spec
from scripts.workflow_generator.graphs import WORKFLOWS

NAMES = sorted(WORKFLOWS)

FOLDER = "wedding-in-gmunden"
"""Below the input folder, for the workflow that reads one."""

QUICK: dict[str, dict[str, Any]] = {
    "DPMSolverInversion": {"steps": 2},
    "ReverseIdentityRetrySampler": {"scales": "-3, -5"},
    "ReverseIdentityEdit": {"steps": 2},
    "ReverseIdentityScaleSweep": {"steps": 2},
    "ReverseIdentityEditRetry": {"steps": 2, "scales": "-3, -5"},
    "FaceEmbed": {"det_size": 256, "threshold": 0.5, "search_turned": False},
    "ReverseIdentityCheck": {"det_size": 256, "det_threshold": 0.5, "second_search": False},
    "ReverseIdentityLoadFolder": {"folder": FOLDER},
}
"""Inputs by node class; the searches have tests of their own."""


def rendered(seed: int, width: int, height: int) -> Image.Image:
    """A picture of two people."""
    return Image.fromarray(draw_scene(draw_scene_spec(seed, height, width, split="test", people=2)).image)
