"""Runs the method on the miniature with a patch: what scale 0 restores, and what becomes of the face."""

from __future__ import annotations

import contextlib
import importlib
import logging
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from harness.comfyui import comfyui_folder
from harness.environment import ROOT
from harness.in_process import PACK, load_pack
from lab.measuring.host_run import Workflow
from lab.measuring.people import draw_people
from lab.measuring.recognisers import Recognisers
from miniature.layout import ADAPTER, FACE_PACK, JUDGE_PACK
from miniature.workflow import DEFAULT_SCALE, FOUND_SCORE, SIDE

from .files import write_files
from .host_nodes import HostNode, host_nodes
from .inputs import Supplies

MODELS = ROOT / "miniature" / "weights"
SEARCH_SIZE = 256

SOURCE = {"age": "middle-aged"}
"""Text of the photograph, for patches that act on texts."""

OTHER = {"age": "elderly", "sex": "male"}
"""Second text, for nodes that take two."""

OTHER_RATIO = 0.5
"""Strength of the small LoRA in the second model that merges need."""


@dataclass(frozen=True)
class Size:
    """Size of the measurement.

    Attributes:
        people: number of people, at least 1.
        steps: steps of inversion and generation each.
        denoise: denoise of the inversion.
        scale: guidance scale measured besides 0.
        seed: seed of people and noise.
    """

    people: int = 2
    steps: int = 6
    denoise: float = 0.5
    scale: float = DEFAULT_SCALE
    seed: int = 31


@dataclass(frozen=True)
class Failure:
    """What ended a run.

    Attributes:
        kind: class name of the error.
        message: text of the error on one line.
        ours: whether the pack raised it, as a ValueError or a RuntimeError.
    """

    kind: str
    message: str
    ours: bool

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"


@dataclass(frozen=True)
class Look:
    """What became of the pictures.

    Attributes:
        similarity: the judge's mean cosine between result and original; NaN if a face was not found.
        faces: whether a face was found in every picture.
        background: mean change outside the person, in 1/255.
        passed: whether Identity Check reports every face as anonymised; None if it was not run.
    """

    similarity: float
    faces: bool
    background: float
    passed: bool | None = None


def attempt(action: Callable[[], Any]) -> tuple[Any, Failure | None]:
    """Run an action; return its result, or the error that ended it."""
    try:
        with torch.inference_mode():
            return action(), None
    except Exception as error:  # noqa: BLE001 - the row reports whatever a node of the host raises
        frames = traceback.extract_tb(error.__traceback__)
        place, said = Path(frames[-1].filename).resolve(), (frames[-1].line or "").startswith("raise ")
        others = (comfyui_folder().resolve(), ROOT / "lab", ROOT / "miniature", ROOT / ".venv")
        own = place.is_relative_to(ROOT) and not any(place.is_relative_to(folder) for folder in others)
        clear = own and said and isinstance(error, (ValueError, RuntimeError))
        return None, Failure(type(error).__name__, " ".join(str(error).split()), clear)


@contextlib.contextmanager
def pack_warnings() -> Iterator[list[str]]:
    """Collect the pack's warnings and errors logged inside the block."""
    messages: list[str] = []
    host = comfyui_folder().resolve()

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            path = Path(record.pathname).resolve()
            if path.is_relative_to(ROOT) and not path.is_relative_to(host):
                messages.append(record.getMessage())

    handler = Keep(logging.WARNING)
    logging.getLogger().addHandler(handler)
    try:
        yield messages
    finally:
        logging.getLogger().removeHandler(handler)


class Bench:
    """The real workflow, people to invert, the host's nodes, and small files for their loaders.

    Attributes:
        plain: MODEL of the checkpoint alone.
        model: MODEL with the identity adapter.
        text: CONDITIONING of `SOURCE`; `other_text` of `OTHER`, `no_text` of nothing.
        latent: LATENT of the people; `faces` are their FACES, `images` their IMAGE.
        nodes: the host's nodes by id.
        supplies: values for the inputs of these nodes.
    """

    def __init__(self, size: Size) -> None:
        torch.set_num_threads(1)
        self.size = size
        self.workflow = Workflow(MODELS)
        self._pack, host = load_pack().node_classes, importlib.import_module("nodes")
        people = draw_people(size.seed, size.people, SIDE)
        self.pictures, self._away = people.pictures, ~people.present
        self.plain, self.model = self.workflow._model, self.workflow.model
        self.clip, self.vae = self.workflow._clip, self.workflow._vae
        self.text, self.other_text = self.workflow.text(SOURCE), self.workflow.text(OTHER)
        self.no_text = self.workflow.text({})
        self.images = torch.from_numpy(self.pictures).float() / 255
        self.latent, self.faces = self.workflow.encode(self.pictures), self.workflow.embed(self.pictures)
        self._folder = tempfile.TemporaryDirectory(prefix="patches-")
        write_files(Path(self._folder.name), self.plain, self.clip)
        self.nodes: Mapping[str, HostNode] = host_nodes(host)
        self.supplies = Supplies(self.nodes, self._ready())
        self._recognisers = Recognisers(
            self.workflow.face_pack(FACE_PACK.name), self.workflow.face_pack(JUDGE_PACK.name), SEARCH_SIZE, FOUND_SCORE
        )
        self._originals = self._recognisers.see(self.pictures).judge

    def _ready(self) -> dict[str, Any]:
        mask = torch.zeros(1, SIDE, SIDE)
        mask[:, SIDE // 4 : 3 * SIDE // 4, SIDE // 4 : 3 * SIDE // 4] = 1
        load: Any = importlib.import_module("comfy.utils").load_torch_file
        lora = load(str(Path(self._folder.name, "loras", "tiny-loras.safetensors")), safe_load=True)
        ready = {
            "CLIP": self.clip,
            "VAE": self.vae,
            "LATENT": self.latent,
            "IMAGE": self.images,
            "MASK": mask,
            "CONDITIONING": self.other_text,
            "LORA_MODEL": lora,
        }
        loader = self.nodes["LoraLoaderModelOnly"]
        other = {"lora_name": "tiny-loras.safetensors", "strength_model": OTHER_RATIO}
        with torch.inference_mode():
            ready["MODEL"] = loader.run({"model": self.plain, **other})[0]
        return ready

    def node(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """Run one of the pack's nodes and return its first output."""
        return self._pack[name].execute(*args, **kwargs).result[0]

    def adapted(self, model: Any) -> Any:
        """Add the identity adapter to a model."""
        return self.node("ReverseIdentityAdapterLoader", model, ADAPTER.name, 1.0)

    def invert(self, model: Any, text: Any) -> Any:
        """Invert the people; return a REVERSE_IDENTITY_TRAJECTORY."""
        size = self.size
        return self.node("DPMSolverInversion", model, self.latent, text, size.steps, size.denoise, size.seed)

    def replay(self, model: Any, trajectory: Any, scale: float, **options: Any) -> Tensor:
        """Generate latents [N, C, h, w] from a trajectory at a guidance scale."""
        made = self.node("ReverseIdentityKSampler", model, trajectory, self.faces, scale, **options)
        samples: Tensor = made["samples"]
        return samples

    def sample(self, guider: Any, sampler: Any, sigmas: Any, noise: str) -> Tensor:
        """Generate latents with the host's SamplerCustomAdvanced."""
        source = self.supplies.run(self.nodes[noise], "NOISE", {}, {})
        outputs = self.nodes["SamplerCustomAdvanced"].run(
            {"noise": source, "guider": guider, "sampler": sampler, "sigmas": sigmas, "latent_image": self.latent}
        )
        samples: Tensor = outputs[0]["samples"]
        return samples

    def host_alone(self, model: Any, text: Any) -> None:
        """Run the host's own KSampler briefly, without the pack.

        Args:
            model: MODEL without the identity adapter.
            text: CONDITIONING.
        """
        seed, steps, cfg = self.size.seed, 2, 2.0
        inputs = {
            "model": model,
            "seed": seed,
            "steps": steps,
            "cfg": cfg,
            "sampler_name": "euler",
            "scheduler": "karras",
        }
        texts = {"positive": text, "negative": self.no_text}
        self.nodes["KSampler"].run({**inputs, **texts, "latent_image": self.latent, "denoise": self.size.denoise})

    def error(self, samples: Tensor) -> float:
        """Return the largest difference from the inverted latents, or NaN if the samples contain one."""
        return float((samples - self.latent["samples"]).abs().max())

    def look(self, samples: Tensor, *, ask_check: bool = False) -> Look:
        """Decode and measure the pictures.

        Args:
            samples: finite latents [N, C, h, w].
            ask_check: also run Identity Check.
        """
        pictures = self.workflow.decode({"samples": samples})
        seen = self._recognisers.see(pictures).judge
        change = np.abs(pictures.astype(np.float64) - self.pictures)[self._away]
        similarity = float((seen * self._originals).sum(1).mean())
        passed = self._passed(pictures) if ask_check else None
        return Look(similarity, not bool(np.isnan(seen).any()), float(change.mean()), passed)

    def _passed(self, pictures: Any) -> bool:
        result = torch.from_numpy(pictures).float() / 255
        options = {"provider": "CPU", "det_size": SEARCH_SIZE, "second_search": False, "det_threshold": FOUND_SCORE}
        checked = self._pack["ReverseIdentityCheck"].execute(
            self.images, self._found, result, JUDGE_PACK.name, **options
        )
        return bool(checked.result[2])

    @cached_property
    def _found(self) -> Any:
        """Find the FACES that the check needs, in the original pictures."""
        return self.node(
            "FaceEmbed", self.images, FACE_PACK.name, provider="CPU", det_size=SEARCH_SIZE, threshold=FOUND_SCORE
        )

    def part(self, name: str) -> Any:
        """Return a module of the pack."""
        return importlib.import_module(f"{PACK}.{name}")


def processor_seconds(action: Callable[[], Any]) -> tuple[Any, float]:
    """Run an action; return its result and the CPU time it took."""
    start = time.process_time()
    return action(), time.process_time() - start
