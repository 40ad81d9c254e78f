"""Memory and time at SDXL's real sizes, on the random weights of `miniature.full_size`."""

from __future__ import annotations

import importlib
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch

from harness.in_process import run_node, start_host
from miniature.host import add_miniature
from miniature.layout import FULL_SIZE_ADAPTER, FULL_SIZE_CHECKPOINT
from miniature.workflow import DENOISE
from reverse_personalization.method.quality import FAST

from .edits import SEED, faces_with, identities

SCALE = -10.0
"""Of the shipped workflows; with random weights, any."""

PIXELS = 8
"""Pixels to a latent's cell, along a side."""

BATCHES = (1, 3)


@dataclass(frozen=True)
class Cost:
    """What an edit cost.

    Attributes:
        batch: latents edited together.
        rows: of a call of the network; three for each latent if the host found memory for them.
        seconds: of such a call, the median.
        peak: most memory in bytes: of the device, all processes together; without one, of this process.
    """

    batch: int
    rows: int
    seconds: float
    peak: int


@dataclass(frozen=True)
class FullSizeJob:
    """Edits latents of noise in the quality fast.

    Attributes:
        options: of the host's command line.
        models: folder that `miniature.full_size` has written.
        side: of the picture in pixels.
        steps: of the edit, 2 or more; 0 for the quality's own.
    """

    options: tuple[str, ...]
    models: Path
    side: int
    steps: int = 0

    def run(self) -> list[Cost]:
        """Return the cost of each of `BATCHES`."""
        start_host()
        add_miniature(self.models)
        loader: Any = importlib.import_module("nodes").CheckpointLoaderSimple()
        with torch.inference_mode():
            loaded, clip, _ = loader.load_checkpoint(FULL_SIZE_CHECKPOINT.name)[:3]
            text = importlib.import_module("nodes").CLIPTextEncode().encode(clip, "")[0]
        model = run_node("ReverseIdentityAdapterLoader", loaded, FULL_SIZE_ADAPTER.name, 1.0)
        self._edit(model, text, 1)  # the first edit also loads weights and chooses kernels
        return [self._edit(model, text, batch) for batch in BATCHES]

    def _edit(self, model: Any, text: Any, batch: int) -> Cost:
        cells = self.side // PIXELS
        latents = torch.randn(batch, 4, cells, cells, generator=torch.Generator().manual_seed(SEED))
        watch = _Watch(on_cuda=model.load_device.type == "cuda")
        network = model.model.diffusion_model
        handles = [network.register_forward_pre_hook(watch.before), network.register_forward_hook(watch.after)]
        try:
            run_node(
                "ReverseIdentityEdit",
                model,
                {"samples": model.model.process_latent_out(latents)},
                faces_with(identities(batch)),
                text,
                FAST,
                SCALE,
                denoise=DENOISE,
                seed=SEED,
                steps=self.steps,
            )
        finally:
            for handle in handles:
                handle.remove()
        return watch.cost(batch)


class _Watch:
    """Times calls of a network and looks at the memory after each."""

    def __init__(self, *, on_cuda: bool) -> None:
        self._on_cuda = on_cuda
        self._began = 0.0
        self._calls: list[tuple[int, float]] = []
        self._peak = 0

    def before(self, network: Any, arguments: Any) -> None:
        self._began = self._now()

    def after(self, network: Any, arguments: Any, output: Any) -> None:
        self._calls.append((len(arguments[0]), self._now() - self._began))
        self._peak = max(self._peak, self._memory())

    def cost(self, batch: int) -> Cost:
        """The cost of the calls with the most usual number of rows; the first step has fewer than the others."""
        [(usual, _)] = Counter(rows for rows, _ in self._calls).most_common(1)
        return Cost(batch, usual, median(seconds for rows, seconds in self._calls if rows == usual), self._peak)

    def _now(self) -> float:
        if self._on_cuda:
            torch.cuda.synchronize()
        return time.perf_counter()

    def _memory(self) -> int:
        if not self._on_cuda:
            # Not on Windows, where the rest works.
            usage: Any = importlib.import_module("resource")
            return int(usage.getrusage(usage.RUSAGE_SELF).ru_maxrss) * 1024
        # Not PyTorch's own count, which misses what the host allocates without it. PyTorch keeps what it has taken, so
        # that a call's peak is still seen when the call is over.
        free, total = torch.cuda.mem_get_info()
        return total - free
