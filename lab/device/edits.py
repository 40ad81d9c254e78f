"""Edits the same portraits with the miniature, in whatever precision and memory mode the host was started with."""

from __future__ import annotations

import importlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from harness.in_process import part, run_node
from miniature.config import IDENTITY_WIDTH
from miniature.showcase import PORTRAIT
from miniature.workflow import DEFAULT_SCALE, DENOISE
from reverse_personalization.method.quality import EXACT, FAST

from ..measuring.host_run import Workflow

SEED = 0
"""Of the noisy copies, and of the identities."""


@dataclass(frozen=True, eq=False)
class Inputs:
    """What is edited. All tensors are float32 on the CPU, so that every host edits the same bits.

    Attributes:
        samples: the portraits as a LATENT holds them, [B, C, h, w].
        embeddings: of unit length, [B, 512].
        text: CONDITIONING.
    """

    samples: Tensor
    embeddings: Tensor
    text: Any


@dataclass(frozen=True, eq=False)
class Timed:
    """A quality's edit of one portrait.

    Attributes:
        latent: in model space, [1, C, h, w].
        seconds: that it took, with the model loaded.
        evaluations: rows that went through the network.
    """

    latent: Tensor
    seconds: float
    evaluations: int


@dataclass(frozen=True, eq=False)
class Checked:
    """What a host made of the portraits. Latents are float32 [B, C, h, w] in model space, on the CPU.

    Attributes:
        device: that computed.
        original: before the edit.
        edited: in one pass, in the delta form.
        again: the same once more.
        alone: each portrait edited without the others.
        replayed: by an inversion and its replay.
        unchanged: edited at scale 0.
    """

    device: str
    original: Tensor
    edited: Tensor
    again: Tensor
    alone: Tensor
    replayed: Tensor
    unchanged: Tensor


@dataclass(frozen=True, eq=False)
class Qualities:
    """What the two qualities take.

    Attributes:
        as_host: the portraits edited with the host's own use of TF32, float32 [B, C, h, w] in model space.
        fast: the quality of that name.
        exact: the quality of that name, in the checks' steps.
    """

    as_host: Tensor
    fast: Timed
    exact: Timed


class Portraits:
    """The miniature in this process's host, and the portraits that it edits.

    Args:
        models: models folder in ComfyUI's layout.
        inputs: to edit; None to make them from the sample portrait.
        steps: of the exact quality.
        dtype: that the network must have, such as "float32".

    Raises:
        FileNotFoundError: a model is missing.
        RuntimeError: the host gave the network another dtype.
    """

    def __init__(self, models: Path, inputs: Inputs | None, steps: int, dtype: str) -> None:
        # A network this small finishes before a second thread wakes up.
        torch.set_num_threads(1)
        workflow = Workflow(models)
        self.inputs = _made_by(workflow) if inputs is None else inputs
        self.steps = steps
        self._model = workflow.model
        found = str(self._model.model.get_dtype()).removeprefix("torch.")
        if found != dtype:
            raise RuntimeError(f"the host gave the network {found} weights; expected {dtype}")

    @property
    def original(self) -> Tensor:
        """The portraits in model space."""
        return self._model_space(self.inputs.samples)

    def edit(
        self, *, scale: float = DEFAULT_SCALE, quality: str = EXACT, steps: int | None = None, rows: slice = slice(None)
    ) -> Tensor:
        """Change Identity; its latents in model space.

        Args:
            scale: guidance scale.
            quality: a key of `QUALITIES`.
            steps: 0 for the quality's own; None for those of the checks.
            rows: which portraits.
        """
        return self._model_space(
            run_node(
                "ReverseIdentityEdit",
                self._model,
                {"samples": self.inputs.samples[rows]},
                faces_with(self.inputs.embeddings[rows]),
                self.inputs.text,
                quality,
                scale,
                denoise=DENOISE,
                seed=SEED,
                steps=self.steps if steps is None else steps,
            )["samples"]
        )

    def replay(self) -> Tensor:
        """The same as `edit` by an inversion and its replay."""
        inputs, model = self.inputs, self._model
        latent = {"samples": inputs.samples}
        trajectory = run_node("DPMSolverInversion", model, latent, inputs.text, self.steps, DENOISE, SEED)
        faces = faces_with(inputs.embeddings)
        return self._model_space(
            run_node("ReverseIdentityKSampler", model, trajectory, faces, DEFAULT_SCALE)["samples"]
        )

    def timed(self, quality: str, steps: int | None) -> Timed:
        """Edit the first portrait and say what it took; arguments as for `edit`."""
        rows = 0

        def count(module: Any, arguments: Any) -> None:
            nonlocal rows
            rows += len(arguments[0])

        handle = self._model.model.diffusion_model.register_forward_pre_hook(count)
        began = time.perf_counter()
        try:
            latent = self.edit(quality=quality, steps=steps, rows=slice(1))
        finally:
            handle.remove()
        # The latent is on the CPU, so the device has finished.
        return Timed(latent, time.perf_counter() - began, rows)

    def _model_space(self, samples: Tensor) -> Tensor:
        converted: Tensor = self._model.model.process_latent_in(samples)
        return converted.float().cpu()


@dataclass(frozen=True, eq=False)
class _PortraitsJob:
    """Opens the miniature in a host.

    Attributes:
        options: of the host's command line.
        models: models folder in ComfyUI's layout.
        steps: of the exact quality.
        inputs: to edit; None to make them.
        dtype: that the network must have, such as "float32".
    """

    options: tuple[str, ...]
    models: Path
    steps: int
    inputs: Inputs | None = field(default=None, repr=False)
    dtype: str = "float32"

    def open(self) -> Portraits:
        """The miniature and the portraits."""
        return Portraits(self.models, self.inputs, self.steps, self.dtype)


@dataclass(frozen=True, eq=False)
class EditJob(_PortraitsJob):
    """Edits the portraits once, for comparison with other hosts."""

    def run(self) -> tuple[Inputs, Tensor]:
        """Return the inputs, and the edited latents in model space."""
        portraits = self.open()
        with true_float32():
            return portraits.inputs, portraits.edit()


@dataclass(frozen=True, eq=False)
class CheckJob(_PortraitsJob):
    """Edits the portraits in all the ways that must agree."""

    def run(self) -> Checked:
        """Return everything that is compared."""
        portraits = self.open()
        with true_float32():
            edited = portraits.edit()
            return Checked(
                device=device_name(),
                original=portraits.original,
                edited=edited,
                again=portraits.edit(),
                alone=torch.cat([portraits.edit(rows=slice(row, row + 1)) for row in range(len(edited))]),
                replayed=portraits.replay(),
                unchanged=portraits.edit(scale=0.0),
            )


@dataclass(frozen=True, eq=False)
class QualitiesJob(_PortraitsJob):
    """Edits one portrait in both qualities, as the host computes for its users."""

    def run(self) -> Qualities:
        """Return the results; of all the latents that `EditJob` makes, also those with the host's own use of TF32."""
        portraits = self.open()
        as_host = portraits.edit()
        return Qualities(as_host, portraits.timed(FAST, 0), portraits.timed(EXACT, None))


@contextmanager
def true_float32() -> Iterator[None]:
    """Keep a GPU from computing float32 convolutions in TF32, as PyTorch lets it: TF32 has float16's digits."""
    backend: Any = torch.backends.cudnn
    before = backend.allow_tf32
    backend.allow_tf32 = False
    try:
        yield
    finally:
        backend.allow_tf32 = before


def device_name() -> str:
    """The device that the host of this process computes on."""
    management: Any = importlib.import_module("comfy.model_management")
    return str(management.get_torch_device_name(management.get_torch_device()))


def faces_with(embeddings: Tensor) -> Any:
    """FACES with these embeddings, [B, 512], one face an image."""
    faces = part("reverse_personalization.geometry.faces")
    box, landmarks = (0.0, 0.0, 1.0, 1.0), ((0.0, 0.0),) * 5
    return faces.Faces(
        tuple((faces.Face(box, landmarks, 1.0, embedding),) for embedding in embeddings), 1, 1, "device", "none"
    )


def identities(count: int) -> Tensor:
    """Random embeddings of unit length, [count, 512]; real ones would need a recogniser on the machine."""
    drawn = torch.randn(count, IDENTITY_WIDTH, generator=torch.Generator().manual_seed(SEED))
    return torch.nn.functional.normalize(drawn, dim=1)


def _made_by(workflow: Workflow) -> Inputs:
    with Image.open(PORTRAIT) as opened:
        portrait = np.asarray(opened.convert("RGB"))
    pictures = np.stack([portrait, portrait[:, ::-1], portrait // 2])
    return Inputs(workflow.encode(pictures)["samples"].float().cpu(), identities(len(pictures)), workflow.text({}))
