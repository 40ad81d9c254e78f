"""How the miniature is used: the settings it was made for, and a shipped workflow set to them.

Standard library only: the demo reads this outside the environment.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.workflow import SHIPPED_FILES, TEMPLATES, Workflow, renamed

from .layout import ADAPTER, CHECKPOINT, EXTENSION, FACE_PACK, JUDGE_PACK

DEFAULT_SCALE = -2.0
"""Guidance scale; real SDXL needs about -10."""

SWEEP = tuple(sorted({0.0, -0.5, -1.0, -1.5, -3.0, -4.0, DEFAULT_SCALE}, reverse=True))
"""Guidance scales from "the picture comes back" to far beyond the default."""

RETRY_SCALES = (DEFAULT_SCALE, -3.0, -4.0, -6.0, -9.0, -13.0)
"""Guidance scales of the retry, the weakest first. Three of four faces that -9 left above the threshold, in 23 ordinary
group photographs with 96 faces, were anonymised at -13."""

STEPS = 12
"""Steps of inversion and generation each."""

DENOISE = 0.5
"""How far back towards noise the inversion goes."""

FOUND_SCORE = 0.35
"""Least score of a face. The miniature's detector is surer than real ones, of faces and of what it takes for faces. At
0.4, about one in 600 hostile faces of 48 pixels or more that are half visible is missed."""

SIDE = 128
"""Side of a portrait in pixels, the size that the miniature was trained on."""

MINIATURE = {
    "checkpoint": CHECKPOINT.name,
    "adapter": ADAPTER.name,
    "model_pack": FACE_PACK.name,
    "checker": JUDGE_PACK.name,
}
"""The miniature's files in place of those in SHIPPED_FILES."""

_RETRY = ", ".join(f"{scale:g}" for scale in RETRY_SCALES)

MINIATURE_INPUTS: dict[str, dict[str, Any]] = {
    "FaceEmbed": {"threshold": FOUND_SCORE},
    "ReverseIdentityCheck": {"det_threshold": FOUND_SCORE, "purified_side": SIDE},
    "ReverseIdentityFaceCrop": {"side": SIDE},
    "DPMSolverInversion": {"steps": STEPS, "denoise": DENOISE},
    "ReverseIdentityRetrySampler": {"scales": _RETRY},
    "ReverseIdentityEdit": {"denoise": DENOISE},
    "ReverseIdentityEditRetry": {"scales": _RETRY, "denoise": DENOISE},
    "ReverseIdentityScaleSweep": {"scales": "-1, -2, -3, -4", "denoise": DENOISE},
}
"""Inputs by node class. The miniature is smaller than SDXL and obeys weaker scales."""

SDXL_SCALE = -10.0
"""The guidance scale of a shipped workflow that has a single one."""

GUIDED = ("ReverseIdentityKSampler", "ReverseIdentityGuider", "ReverseIdentityEdit")
SCALED = DEFAULT_SCALE / SDXL_SCALE
"""Factor from SDXL's scales to the miniature's, for `cfg` of the classes in GUIDED and `towards` beside a target."""


SMALL_TEMPLATE_FOLDER = EXTENSION / "example_workflows"
"""Where the editor finds the templates that are set to the miniature: only where it is installed."""


def small_template_file(name: str, suffix: str = ".json") -> Path:
    """The file of a shipped workflow for the editor that is set to the miniature, or with another suffix its card."""
    return SMALL_TEMPLATE_FOLDER / f"{TEMPLATES[name]} (miniature){suffix}"


def on_miniature(workflow: Workflow) -> Workflow:
    """A shipped workflow with the miniature's files and settings."""
    names = {SHIPPED_FILES[purpose]: name for purpose, name in MINIATURE.items()}
    set_up = {}
    for node_id, node in workflow.items():
        kind = node["class_type"]
        inputs = {**renamed(node["inputs"], names), **MINIATURE_INPUTS.get(kind, {})}
        set_up[node_id] = {**node, "inputs": scaled(kind, inputs)}
    return set_up


def scaled(kind: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """A node's inputs with SDXL's guidance scales made the miniature's.

    Args:
        kind: the node's class.
        inputs: by name; without a `target`, `towards` has no effect and stays.
    """
    names = [name for name, counts in (("cfg", kind in GUIDED), ("towards", "target" in inputs)) if counts]
    return {**inputs, **{name: round(inputs[name] * SCALED, 2) for name in names if name in inputs}}
