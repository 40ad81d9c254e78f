"""Save Anonymized Image as tests run it, and what it is given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from harness.in_process import part
from tests.verdicts import verdict_over

PROMPT = {
    "1": {"class_type": "LoadImage", "inputs": {"image": "Alice Smith 2019.jpg"}, "_meta": {"title": "Load Image"}},
    "2": {"class_type": "CLIPTextEncode", "inputs": {"text": "smiling in Rimini", "clip": ["3", 1]}},
    "3": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "model.safetensors"}},
    "4": {
        "class_type": "ReverseIdentitySaveImage",
        "inputs": {"images": ["1", 0], "filename_prefix": "anonymised", "format": "png", "no_face": "block"},
    },
}
WORKFLOW = {"nodes": [{"id": 1, "type": "LoadImage", "widgets_values": ["Alice Smith 2019.jpg", "image"]}], "links": []}


def save(images: torch.Tensor, verdict: Any, prompt: Any = PROMPT, **inputs: Any) -> list[dict[str, str]]:
    """Run the node with hidden inputs as the host hands them over; what it shows."""
    from comfy_api.latest import io as host_io

    node = part("nodes.save_anonymized_image").ReverseIdentitySaveImage
    hidden = {host_io.Hidden.prompt: prompt, host_io.Hidden.extra_pnginfo: {"workflow": WORKFLOW, "other": "Alice"}}
    clone = node.PREPARE_CLASS_CLONE({"hidden_inputs": hidden})
    with torch.inference_mode():
        shown = clone.execute(images, verdict, **inputs).ui
    assert [one["after"] for one in shown["comparison"]] == shown["images"]
    return shown["images"]


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def safe(images: torch.Tensor) -> Any:
    return verdict_over(images, *[("anonymised", "covered")] * len(images))
