"""What the demo shows on the miniature, as one graph that saves pictures side by side.

They are: before and after; the same with an attribute asked for; the guidance scales as a strip.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.environment import ROOT
from harness.workflow import LOADER, Workflow, node_of, without_cropping

from .workflow import DEFAULT_SCALE, SIDE, SWEEP

PORTRAIT = ROOT / "workflows" / "samples" / "miniature.png"
"""A rendered portrait (128 px) of person 890,006 of the test split, whom no training saw."""

ATTRIBUTE = {"age": "elderly"}
ATTRIBUTE_WORDS = "an elderly one"
GAP = 4
ENLARGED = 2.0
"""How many times larger than the miniature's output the pictures are shown."""

TITLES = {
    "before-after": "Before, and after",
    "attribute": f"Before, after, and after with {ATTRIBUTE_WORDS} asked for",
    "sweep": f"Before, and at the scales {', '.join(f'{scale:g}' for scale in SWEEP)}",
}
"""What each picture shows, by file name."""


def showcase(workflow: Workflow) -> Workflow:
    """Turn the shipped workflow of a portrait into one that shows what the miniature does.

    Args:
        workflow: set to the miniature, with exactly one node each for loading, cropping, encoding, inverting,
            sampling, pasting and saving; it is not modified.

    Returns:
        A workflow that saves a picture for each of TITLES.
    """
    workflow = without_cropping(workflow)
    graph = _Graph(copy.deepcopy(workflow))
    photograph = graph.add(
        "ImageScale",
        image=[node_of(workflow, LOADER), 0],
        upscale_method="area",
        width=SIDE,
        height=SIDE,
        crop="center",
    )
    encoder, finder = node_of(workflow, "VAEEncode"), node_of(workflow, "FaceEmbed")
    graph.nodes[encoder]["inputs"]["pixels"] = graph.nodes[finder]["inputs"]["image"] = photograph
    # The face fills the picture, so standard landmarks are right even if the detector is unsure.
    graph.nodes[finder]["inputs"]["detect"] = False
    prompt = node_of(workflow, "AttributePrompt")
    decoder = graph.nodes[node_of(workflow, "VAEDecode")]
    sampler = graph.nodes.pop(node_of(workflow, "ReverseIdentityKSampler"))
    for kind in ("VAEDecode", "SaveImage"):
        graph.nodes.pop(node_of(workflow, kind))

    def regenerated(scale: float, **changes: Any) -> list[Any]:
        latent = graph.add(sampler["class_type"], **{**sampler["inputs"], "cfg": scale, **changes})
        return graph.add("VAEDecode", samples=latent, vae=decoder["inputs"]["vae"])

    asked = graph.add("AttributePrompt", **{**graph.nodes[prompt]["inputs"], **ATTRIBUTE})
    by_scale = {scale: regenerated(scale) for scale in dict.fromkeys((DEFAULT_SCALE, *SWEEP))}
    after = by_scale[DEFAULT_SCALE]
    graph.save("before-after", [photograph, after])
    graph.save("attribute", [photograph, after, regenerated(DEFAULT_SCALE, attributes=asked)])
    graph.save("sweep", [photograph, *(by_scale[scale] for scale in SWEEP)])
    return graph.nodes


def title(path: Path) -> str:
    """Return what a picture saved by a workflow of `showcase` shows."""
    # The host appends an underscore and a number.
    return TITLES[path.name.partition("_")[0]]


class _Graph:
    """A workflow that nodes are added to."""

    def __init__(self, nodes: Workflow) -> None:
        self.nodes = nodes
        self._next = 1 + max(int(key) for key in nodes)

    def add(self, kind: str, /, **inputs: Any) -> list[Any]:
        """Add a node; returns its first output as a link."""
        key = str(self._next)
        self._next += 1
        self.nodes[key] = {"class_type": kind, "inputs": inputs}
        return [key, 0]

    def save(self, name: str, pictures: Sequence[list[Any]]) -> None:
        """Put pictures side by side and save them under a name from TITLES."""
        row = pictures[0]
        for picture in pictures[1:]:
            row = self.add(
                "ImageStitch",
                image1=row,
                direction="right",
                match_image_size=True,
                spacing_width=GAP,
                spacing_color="white",
                image2=picture,
            )
        large = self.add("ImageScaleBy", image=row, upscale_method="bicubic", scale_by=ENLARGED)
        self.add("SaveImage", images=large, filename_prefix=f"reverse-personalization/{name}")
