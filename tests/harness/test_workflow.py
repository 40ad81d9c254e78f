"""Shipped workflows in API form."""

from __future__ import annotations

from harness.workflow import LOADER, fill_in


def test_the_portrait_and_the_models_are_replaced_and_nothing_else():
    workflow = {
        "1": {"class_type": LOADER, "inputs": {"image": "sample.png"}},
        "2": {
            "class_type": "CheckpointLoaderSimple",
            "inputs": {"ckpt_name": "miniature.safetensors", "link": ["1", 0], "steps": 3},
            "_meta": {"title": "Checkpoint"},
        },
    }
    filled = fill_in(workflow, "portrait.jpg", {"miniature.safetensors": "sdxl.safetensors"})
    assert filled["1"]["inputs"] == {"image": "portrait.jpg"}
    assert filled["2"]["inputs"] == {"ckpt_name": "sdxl.safetensors", "link": ["1", 0], "steps": 3}
    assert filled["2"]["_meta"] == {"title": "Checkpoint"}
    assert workflow["1"]["inputs"] == {"image": "sample.png"}
