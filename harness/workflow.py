"""Shipped workflows in ComfyUI's API format: read one, and put other files or values into it. Standard library only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .environment import ROOT

Workflow = dict[str, Any]
"""Node id -> {"class_type": ..., "inputs": ...}."""

TEMPLATE_FOLDER = ROOT / "workflows"
API_FOLDER = TEMPLATE_FOLDER / "api"

TEMPLATES = {
    "start": "01 Anonymize a photograph",
    "group-photo": "02 Anonymize a photograph step by step",
    "keep-age-and-sex": "03 Keep age and sex",
    "change-age": "04 Change the age",
    "keep-eyes-and-mouth": "05 Keep eyes and mouth",
    "batch-folder": "06 Anonymize a folder",
    "check-only": "07 Check a finished picture",
    "guidance-sweep": "08 Choose strength and quality",
    "portrait": "09 One portrait without a check",
    "composed": "10 The sampler in parts",
    "made-up-person": "11 Towards a made-up person",
}
"""What the editor's template browser calls the shipped workflows, by their names for the API. It shows the names of the
files, and some hosts list files in no order, so that each begins with its place."""

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


def template_file(name: str, suffix: str = ".json") -> Path:
    """The file of a shipped workflow for the editor, or with another suffix the picture on its card."""
    return TEMPLATE_FOLDER / f"{TEMPLATES[name]}{suffix}"


def renamed(inputs: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """A node's inputs, with every value that is a key of `names` replaced."""
    return {key: names.get(value, value) if isinstance(value, str) else value for key, value in inputs.items()}


LOADER = "ReverseIdentityLoadPhotograph"
"""The class of the nodes that load a photograph in the shipped workflows."""

SAMPLE = "sample four people.jpg [temp]"
"""The photograph that comes with the pack, as `LOADER` names it (`host/sample.py`)."""

SAMPLE_RESULT = "sample four people anonymised.jpg [temp]"
"""The same photograph, anonymised."""


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


def without_cropping(workflow: Workflow) -> Workflow:
    """A shipped workflow with one Crop Faces and one Paste Faces, for pictures that are aligned crops already."""
    crop, paste = (node_of(workflow, kind) for kind in ("ReverseIdentityFaceCrop", "ReverseIdentityFacePaste"))
    taken, put = workflow[crop]["inputs"], workflow[paste]["inputs"]
    instead = {(crop, 0): taken["image"], (crop, 1): taken["faces"], (paste, 0): put["crops"]}
    return {
        key: {
            **node,
            "inputs": {
                name: instead.get(tuple(value), value) if isinstance(value, list) else value
                for name, value in node["inputs"].items()
            },
        }
        for key, node in workflow.items()
        if key not in (crop, paste)
    }
