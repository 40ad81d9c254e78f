"""Shipped workflows in ComfyUI's API format: read one, and put other files or values into it. Standard library only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .environment import ROOT

Workflow = dict[str, Any]
"""Node id -> {"class_type": ..., "inputs": ...}."""

API_FOLDER = ROOT / "workflows" / "api"

SHIPPED_FILES = {
    "checkpoint": "sd_xl_base_1.0.safetensors",
    "adapter": "ip-adapter-faceid_sdxl.bin",
    "model_pack": "buffalo_l",
    "checker": "antelopev2",
}
"""The model files that the shipped workflows name, by what they are for."""


def read_shipped(name: str) -> Workflow:
    """Read a shipped workflow by its name, such as "portrait"."""
    workflow: Workflow = json.loads((API_FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return workflow


def renamed(inputs: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """A node's inputs, with every value that is a key of `names` replaced."""
    return {key: names.get(value, value) if isinstance(value, str) else value for key, value in inputs.items()}


LOADER = "ReverseIdentityLoadPhotograph"
"""The class of the nodes that load a photograph in the shipped workflows."""


def fill_in(workflow: Workflow, image: str, names: Mapping[str, str]) -> Workflow:
    """The workflow with every `LOADER` set to `image`, and every value that is a key of `names` replaced."""
    filled = {}
    for node_id, node in workflow.items():
        inputs = renamed(node["inputs"], names)
        if node["class_type"] == LOADER:
            inputs["image"] = image
        filled[node_id] = {**node, "inputs": inputs}
    return filled


def with_inputs(workflow: Workflow, **changes: dict[str, Any]) -> Workflow:
    """The workflow with other inputs for all nodes of the classes named: `DPMSolverInversion={"steps": 3}`."""
    return {
        key: {**node, "inputs": {**node["inputs"], **changes.get(node["class_type"], {})}}
        for key, node in workflow.items()
    }


def node_of(workflow: Workflow, kind: str) -> str:
    """Id of the only node of a class."""
    [key] = [key for key, node in workflow.items() if node["class_type"] == kind]
    return key
