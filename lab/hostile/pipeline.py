"""Runs the pack's whole graph in the host's own executor, with its caches, lazy inputs, blockers and errors."""

from __future__ import annotations

import asyncio
import importlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from harness.environment import ROOT
from harness.in_process import load_pack
from harness.workflow import LOADER
from miniature.host import MODEL_FOLDERS, add_miniature
from miniature.layout import ADAPTER, CHECKPOINT, FACE_PACK, JUDGE_PACK, WEIGHTS
from miniature.workflow import DENOISE, FOUND_SCORE, RETRY_SCALES, SIDE
from reverse_personalization.method.quality import FAST

from .cases import Case
from .files import PROMPT, TENSORS, write_input
from .graph_nodes import Keep, TensorSource

Graph = dict[str, dict[str, Any]]
"""A workflow in the host's API form."""

STEPS = 4
"""Steps of an edit: few, so that a photograph takes seconds."""

PASTING = {"image": ["source", 0], "placements": ["crops", 2]}
"""Inputs shared by all nodes that paste."""

DETECTOR, RECOGNISER = "detection.onnx", "recognition.onnx"
NEEDED = (CHECKPOINT, ADAPTER, FACE_PACK / DETECTOR, JUDGE_PACK / DETECTOR)
MODELS = (*NEEDED, FACE_PACK / RECOGNISER, JUDGE_PACK / RECOGNISER)


@dataclass(frozen=True)
class Options:
    """How the graph is built.

    Attributes:
        steps: of an edit; 0 for those of the fast quality.
        scales: of the retries.
        first: whether to also keep the result of the first scale alone.
        unchanged: whether to also keep the result of scale 0.
        no_face: input of Save Anonymized Image for pictures without a find.
        checker: its pack's name.
        purify: whether the retry and the check also look at purified copies.
    """

    steps: int = STEPS
    scales: tuple[float, ...] = RETRY_SCALES
    first: bool = True
    unchanged: bool = True
    no_face: str = "save"
    checker: str = JUDGE_PACK.name
    purify: bool = True


@dataclass(frozen=True, eq=False)
class Item:
    """Results of the graph for one item of the input, a batch of B pictures.

    Attributes:
        original: the input, [B, H, W, C].
        faces: FACES of the original.
        checked: REVERSE_IDENTITY_VERDICT before the covers.
        verdict: REVERSE_IDENTITY_VERDICT after the covers.
        changed: mask [B, H, W] of Paste Faces.
        cover: mask [B, H, W] of Cover Faces.
        retried: result after retries, before any cover.
        report: report of the retry sampler.
        first: result of the first scale alone, before any cover, or None.
        unchanged: result of scale 0, or None.
        saved: one file for each picture; empty if nothing was saved.
    """

    original: Tensor
    faces: Any = None
    checked: Any = None
    verdict: Any = None
    changed: Tensor | None = None
    cover: Tensor | None = None
    retried: Tensor | None = None
    report: str = ""
    first: Tensor | None = None
    unchanged: Tensor | None = None
    saved: tuple[Path, ...] = ()


@dataclass(frozen=True, eq=False)
class Run:
    """One run of the graph.

    Attributes:
        items: one for each item of the input; there are several only for a list.
        files: all new files in the output folder.
        error: "NODE: TYPE: message" of the error that stopped the run, or "".
    """

    items: tuple[Item, ...]
    files: tuple[Path, ...]
    error: str = ""


@dataclass
class _Quiet:
    """A server without clients, with the methods that the executor calls."""

    client_id: str | None = None
    last_node_id: str | None = None
    sockets_metadata: dict[str, Any] = field(default_factory=dict)

    def send_sync(self, event: str, data: Any, sid: str | None = None) -> None:
        """Drop the message."""


def _paths() -> Any:
    return importlib.import_module("folder_paths")


def provide_models(folder: Path) -> Path:
    """Return the shipped weights' folder; if weights are missing, a copy in `folder` with random ones instead."""
    if all((WEIGHTS / file).exists() for file in NEEDED):
        return WEIGHTS
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-m", "miniature.build", str(folder)], cwd=ROOT, check=True, env=environment)
    shutil.copytree(WEIGHTS, folder, dirs_exist_ok=True)
    # Both packs use the same detector.
    shutil.copyfile(folder / FACE_PACK / DETECTOR, folder / JUDGE_PACK / DETECTOR)
    return folder


@contextmanager
def known_models(models: Path) -> Iterator[None]:
    """Make the host search a models folder before all others while the `with` block lasts.

    Raises:
        FileNotFoundError: a model is missing.
    """
    missing = [str(file) for file in NEEDED if not (models / file).exists()]
    if missing:
        raise FileNotFoundError(f"{models} lacks {', '.join(missing)}; `python -m lab.training` writes them")
    load_pack()
    known = _paths().folder_names_and_paths
    before = {name: (list(known[name][0]), known[name][1]) for name in MODEL_FOLDERS}
    add_miniature(models)
    try:
        yield
    finally:
        known.update(before)


class Pipeline:
    """The graph in the host of this process. Use it inside `known_models`."""

    def __init__(self) -> None:
        pack = load_pack()
        nodes: Any = importlib.import_module("nodes")
        for name, node in pack.node_classes.items():
            # The host requests the finished schema of every class when it registers it.
            node.GET_SCHEMA()
            nodes.NODE_CLASS_MAPPINGS[name] = node
        nodes.NODE_CLASS_MAPPINGS |= {"HostileTensorSource": TensorSource, "HostileKeep": Keep}
        for folder in (self.input, self.output):
            folder.mkdir(parents=True, exist_ok=True)
        self._execution = importlib.import_module("execution")
        self._executor = self._execution.PromptExecutor(
            _Quiet(),
            cache_type=self._execution.CacheType.CLASSIC,
            cache_args={"lru": 0, "ram": 0.0, "ram_inactive": 0.0},
        )
        self._runs = 0

    @property
    def input(self) -> Path:
        """The host's input folder."""
        return Path(_paths().get_input_directory())

    @property
    def output(self) -> Path:
        """The host's output folder."""
        return Path(_paths().get_output_directory())

    def run(self, case: Case, options: Options) -> Run:
        """Run the graph on a case, then remove its input file."""
        name = write_input(case, self.input)
        try:
            run = self.run_graph(graph(name, case.number, options))
            if not options.first:
                return run
            # Without a retry, the result is already that of the first scale.
            firsts = [item.retried for item in run.items]
            if any(f" {scale:g}:" in item.report for item in run.items for scale in options.scales[1:]):
                again = self.run_graph(first_scale_graph(name, case.number, options))
                firsts = [item.first for item in again.items]
            items = tuple(replace(item, first=first) for item, first in zip(run.items, firsts, strict=True))
            return replace(run, items=items)
        finally:
            (self.input / name).unlink()

    def run_graph(self, workflow: Graph) -> Run:
        """Validate and run a graph as the host's queue does.

        Raises:
            ValueError: the host refuses the graph.
        """
        self._runs += 1
        prompt_id = f"hostile-{self._runs}"
        before = set(self.output.rglob("*"))
        valid, error, outputs, node_errors = asyncio.run(self._execution.validate_prompt(prompt_id, workflow, None))
        if not valid or node_errors:
            raise ValueError(f"the host refuses the graph: {error} {node_errors}")
        self._executor.execute(workflow, prompt_id, {}, outputs)
        files = tuple(sorted(path for path in set(self.output.rglob("*")) - before if path.is_file()))
        return Run(self._items(workflow), files, self._error())

    def _error(self) -> str:
        for event, data in self._executor.status_messages:
            if event == "execution_error":
                kind = data["exception_type"].rsplit(".", 1)[-1]
                return f"{data['node_type']}: {kind}: {data['exception_message'].strip()}"
            if event == "execution_interrupted":
                return f"{data['node_type']}: interrupted"
        return ""

    def _items(self, workflow: Graph) -> tuple[Item, ...]:
        originals = self._output(workflow, "source", 0)
        parts = {
            "faces": self._output(workflow, "faces", 0),
            "checked": self._output(workflow, "check", 0),
            "verdict": self._output(workflow, "cover", 1),
            "changed": self._output(workflow, "paste", 1),
            "cover": self._output(workflow, "cover", 2),
            "retried": self._output(workflow, "paste", 0),
            "report": self._output(workflow, "retry", 1),
            "first": self._output(workflow, "first paste", 0),
            "unchanged": self._output(workflow, "zero paste", 0),
        }
        saved = iter(self._saved())
        blocker = importlib.import_module("comfy_execution.graph_utils").ExecutionBlocker
        items = []
        for number, original in enumerate(originals):
            made = {name: values[number] for name, values in parts.items() if number < len(values)}
            made = {name: value for name, value in made.items() if not isinstance(value, blocker)}
            files = tuple(next(saved, None) for _ in original) if "verdict" in made else ()
            items.append(Item(original, **made, saved=tuple(file for file in files if file is not None)))
        return tuple(items)

    def _output(self, workflow: Graph, node: str, slot: int) -> list[Any]:
        """Return the values of a node's output, one for each item, or none if the node did not run."""
        if node not in workflow:
            return []
        entry = asyncio.run(self._executor.caches.outputs.get(node))
        return [] if entry is None or slot >= len(entry.outputs) else entry.outputs[slot]

    def _saved(self) -> list[Path]:
        shown = getattr(self._executor, "history_result", {"outputs": {}})["outputs"].get("save", {})
        return [self.output / image["subfolder"] / image["filename"] for image in shown.get("images", [])]


def graph(name: str, seed: int, options: Options) -> Graph:
    """Build the workflow for a file in the input folder."""
    source = ("HostileTensorSource", {"name": name}) if name.endswith(TENSORS) else (LOADER, {"image": name})
    checking = {"checker": options.checker, "provider": "CPU"}
    parts: dict[str, tuple[str, dict[str, Any]]] = {
        "source": source,
        "checkpoint": ("CheckpointLoaderSimple", {"ckpt_name": CHECKPOINT.name}),
        "adapter": (
            "ReverseIdentityAdapterLoader",
            {"model": ["checkpoint", 0], "adapter_name": ADAPTER.name, "weight": 1.0},
        ),
        "text": ("CLIPTextEncode", {"clip": ["checkpoint", 1], "text": ""}),
        # Connected to nothing, like a note in a user's graph, but still part of the prompt.
        "note": ("CLIPTextEncode", {"clip": ["checkpoint", 1], "text": PROMPT}),
        "faces": (
            "FaceEmbed",
            {
                "image": ["source", 0],
                "model_pack": FACE_PACK.name,
                "provider": "CPU",
                "select": "all",
                "threshold": FOUND_SCORE,
                "no_face": "empty list",
            },
        ),
        "crops": ("ReverseIdentityFaceCrop", {"image": ["source", 0], "faces": ["faces", 0], "side": SIDE}),
        "latent": ("VAEEncode", {"pixels": ["crops", 0], "vae": ["checkpoint", 2]}),
        "retry": (
            "ReverseIdentityEditRetry",
            {
                **_editing(seed, options),
                **checking,
                "vae": ["checkpoint", 2],
                "crops": ["crops", 0],
                "scales": ", ".join(f"{scale:g}" for scale in options.scales),
                "purify": options.purify,
                **PASTING,
            },
        ),
        "paste": ("ReverseIdentityFacePaste", {**PASTING, "crops": ["retry", 0]}),
        "check": (
            "ReverseIdentityCheck",
            {
                **checking,
                "original": ["source", 0],
                "faces": ["faces", 0],
                "result": ["paste", 0],
                "det_threshold": FOUND_SCORE,
                "retries": ["retry", 2],
                **(_purifying() if options.purify else {}),
            },
        ),
        "cover": ("ReverseIdentityFaceCover", {"image": ["paste", 0], "verdict": ["check", 0], "method": "solid"}),
        "save": (
            "ReverseIdentitySaveImage",
            {
                "images": ["cover", 0],
                "verdict": ["cover", 1],
                "filename_prefix": "hostile",
                "format": "png",
                "no_face": options.no_face,
            },
        ),
    }
    workflow = {key: {"class_type": kind, "inputs": inputs} for key, (kind, inputs) in parts.items()}
    return workflow | _one_scale("zero", 0.0, seed, options) if options.unchanged else workflow


def _purifying() -> dict[str, Any]:
    """Inputs by which the check looks at purified copies, as in the shipped workflows."""
    return {"vae": ["checkpoint", 2], "model": ["adapter", 0], "source": ["text", 0], "purified_side": SIDE}


def first_scale_graph(name: str, seed: int, options: Options) -> Graph:
    """Build the part of the workflow that leads to the first scale's result; the host has cached most of it."""
    whole = graph(name, seed, options)
    shared = {key: whole[key] for key in ("source", "checkpoint", "adapter", "text", "faces", "crops", "latent")}
    return {**shared, **_one_scale("first", options.scales[0], seed, options)}


def _editing(seed: int, options: Options) -> dict[str, Any]:
    """Inputs shared by all nodes that edit."""
    return {
        "model": ["adapter", 0],
        "latent": ["latent", 0],
        "faces": ["crops", 1],
        "source": ["text", 0],
        "quality": FAST,
        "denoise": DENOISE,
        "seed": seed,
        "steps": options.steps,
    }


def _one_scale(key: str, scale: float, seed: int, options: Options) -> Graph:
    """Build the nodes that regenerate all faces at one scale."""
    parts: dict[str, tuple[str, dict[str, Any]]] = {
        key: ("ReverseIdentityEdit", {**_editing(seed, options), "cfg": scale}),
        f"{key} decoded": ("VAEDecode", {"samples": [key, 0], "vae": ["checkpoint", 2]}),
        f"{key} paste": ("ReverseIdentityFacePaste", {**PASTING, "crops": [f"{key} decoded", 0]}),
        f"{key} kept": ("HostileKeep", {"image": [f"{key} paste", 0]}),
    }
    return {node: {"class_type": kind, "inputs": inputs} for node, (kind, inputs) in parts.items()}
