"""A base directory for a real server: the pack, the miniature and a probe that looks into the process."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from harness.environment import ROOT
from harness.workflow import SAMPLE, SAMPLE_RESULT, Workflow, read_shipped, renamed
from miniature.layout import EXTENSION
from miniature.workflow import on_miniature

PORTRAIT, FINISHED = "portrait.png", "finished.png"
"""Pictures in the input folder that take the samples' places; of the second there is only the name."""

SIDE = 256

# How many adapters are alive in the server, loaded or cached or leaked.
PROBE_NODES = """
import gc

class CountAdapters:
    CATEGORY, FUNCTION, OUTPUT_NODE, RETURN_TYPES = "probe", "run", True, ()
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {}}
    @classmethod
    def IS_CHANGED(cls):
        return float("nan")
    def run(self):
        gc.collect()
        alive = sum(type(thing).__name__ == "IdentityAdapter" for thing in gc.get_objects())
        return {"ui": {"alive": [alive]}}

NODE_CLASS_MAPPINGS = {"ProbeCountAdapters": CountAdapters}
"""


PACK_FOLDER = "Some Folder-1.0"
EXTENSION_FOLDER = "size"
"""Of the miniature's host extension."""


def make_workspace(folder: Path, models: Path, pack_folder: str = PACK_FOLDER) -> Path:
    """Lay out a base directory; the pack is under a name of its own there."""
    for name in ("custom_nodes", "input"):
        (folder / name).mkdir(parents=True)
    (folder / "models").symlink_to(models, target_is_directory=True)
    (folder / "custom_nodes" / pack_folder).symlink_to(ROOT, target_is_directory=True)
    (folder / "custom_nodes" / EXTENSION_FOLDER).symlink_to(EXTENSION, target_is_directory=True)
    (folder / "custom_nodes" / "probe.py").write_text(PROBE_NODES, encoding="utf-8")
    with Image.open(ROOT / "workflows" / "samples" / "portrait.png") as image:
        image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS).save(folder / "input" / PORTRAIT)
    return folder


def shipped(name: str = "portrait") -> Workflow:
    """A shipped workflow in API form, on the miniature, with the workspace's pictures for the samples."""
    workflow = on_miniature(read_shipped(name))
    names = {SAMPLE: PORTRAIT, SAMPLE_RESULT: FINISHED}
    return {key: {**node, "inputs": renamed(node["inputs"], names)} for key, node in workflow.items()}
