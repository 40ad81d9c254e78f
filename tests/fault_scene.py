"""A photograph that goes through the whole graph again and again, each time with a fault somewhere in it."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from lab.hostile.cases import Case as HostileCase
from lab.hostile.cases import Painter
from lab.hostile.files import leaks, read_saved, write_input
from lab.hostile.judging import Judge, levels
from lab.hostile.pipeline import Graph, Options, Pipeline, Run, graph, known_models, provide_models

OPTIONS = Options(steps=2, first=False, unchanged=False, no_face="block")

NODES = {
    "faces": "FaceEmbed",
    "crops": "ReverseIdentityFaceCrop",
    "latent": "VAEEncode",
    "inversion": "DPMSolverInversion",
    "replay": "ReverseIdentityRetrySampler",
    "retry": "ReverseIdentityEditRetry",
    "paste": "ReverseIdentityFacePaste",
    "check": "ReverseIdentityCheck",
    "cover": "ReverseIdentityFaceCover",
    "save": "ReverseIdentitySaveImage",
}

RECORDED = ("inversion", "replay")
"""Of the graph in which a trajectory takes the place of the edit in one pass."""

nonces = itertools.count()


def by_trajectory(edited: Graph) -> Graph:
    """The same graph with an inversion, and a retry that replays it."""
    edit = edited["retry"]["inputs"]
    shared = {name: edit[name] for name in ("model", "latent", "source", "denoise", "seed", "steps")}
    replay = {name: edit[name] for name in edit.keys() - {"latent", "source", "quality", "denoise", "seed", "steps"}}
    changed = {
        "inversion": {"class_type": NODES["inversion"], "inputs": shared},
        "replay": {"class_type": NODES["replay"], "inputs": {**replay, "trajectory": ["inversion", 0]}},
    }
    rest = {key: node for key, node in edited.items() if key != "retry"}
    for node in rest.values():
        for name, value in node["inputs"].items():
            if isinstance(value, list) and value[0] == "retry":
                node["inputs"][name] = ["replay", value[1]]
    return rest | changed


@dataclasses.dataclass(frozen=True)
class Scene:
    """A photograph in the graph, and what the graph made of it when nothing failed."""

    pipeline: Pipeline
    name: str
    clean: Run
    judge: Judge
    options: Options = OPTIONS

    def run(self, node: str, **inputs: Any) -> Run:
        """Run again from a node on, with other inputs: everything before it comes from the host's cache."""
        workflow = graph(self.name, 0, self.options)
        if node in RECORDED:
            workflow = by_trajectory(workflow)
        # An input that no node knows: the host passes it by, but it is part of the cache's key.
        workflow[node]["inputs"] |= {"nonce": next(nonces), **inputs}
        return self.pipeline.run_graph(workflow)

    def recognisable(self, file: Path) -> list[float]:
        """Cosines at or above the threshold of the original's faces with the same places in a file."""
        [item] = self.clean.items
        before, after = levels(item.original[0]), read_saved(file)
        cosines = [self.judge.similarity(before, after, np.array(face.landmarks)) for face in item.faces]
        return [cosine for cosine in cosines if cosine >= self.judge.threshold]


@contextmanager
def opened_scene(models: Path) -> Iterator[Scene]:
    """The scene, with its models in this folder, as long as the block lasts."""
    with known_models(provide_models(models)):
        pipeline = Pipeline()
        painter = Painter(3, 0)
        photograph = painter.scene([(110, 150, 130), (300, 160, 150)], 320, 420, widest=10.0)
        name = write_input(HostileCase(0, "group", (photograph,)), pipeline.input)
        clean = pipeline.run_graph(graph(name, 0, OPTIONS))
        yield Scene(pipeline, name, clean, Judge(OPTIONS.checker))


def from_there_on(run: Run, node: str) -> bool:
    """Whether a run's error, if it had one, is of a node or of one after it."""
    kinds = [*NODES.values()]
    later = ("VAEDecode", *kinds[kinds.index(NODES[node]) :])
    return not run.error or run.error.startswith(tuple(f"{kind}: " for kind in later))


def safe(scene: Scene, run: Run) -> None:
    """Nobody in any file that the run left, no picture without its report, and no half-written file."""
    pictures = [path for path in run.files if path.suffix == ".png"]
    assert [scene.recognisable(path) for path in pictures] == [[]] * len(pictures)
    assert [leaks(path) for path in run.files] == [[]] * len(run.files)
    assert sorted(path.with_suffix(".json") for path in pictures) == sorted(
        path for path in run.files if path.suffix != ".png"
    )
