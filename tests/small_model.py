"""The golden UNet as a small, fast, real SDXL model with its adapter, and ways to look into it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from harness.in_process import part, run_node
from tests.golden import GoldenModel, conditioning, faces_of

GOLDEN = Path(__file__).parent / "golden_set"


@dataclass
class Evaluations:
    """What the network was called with."""

    calls: int = 0
    rows: int = 0
    branches: list[list[int]] = field(default_factory=list)


class SmallModel:
    """An SDXL of 3.2 million parameters with an identity adapter on it."""

    def __init__(self) -> None:
        self.golden = GoldenModel(GOLDEN)
        self.model = self.golden.with_adapter()
        self.data = np.load(GOLDEN / "A2.npz")

    def text(self, which: str = "pos") -> Any:
        """CONDITIONING: "pos" is the source, "neg_gen" the attribute text; both without size conditioning."""
        embeds, pooled = ("neg_embeds_gen", "neg_pooled_gen") if which == "neg_gen" else ("pos_embeds", "pos_pooled")
        return conditioning(self.data[embeds], self.data[pooled], None)

    def latent(self, batch: int = 1, side: int = 8, seed: int = 0) -> dict[str, Tensor]:
        """LATENT whose model-space values are standard normal."""
        generator = torch.Generator().manual_seed(seed)
        x0 = torch.randn(batch, 4, side, side, generator=generator)
        return {"samples": self.model.model.process_latent_out(x0)}

    def faces(self, count: int = 1, seed: int = 0) -> Any:
        """FACES with random unit embeddings, one an image."""
        embeddings = torch.randn(count, 512, generator=torch.Generator().manual_seed(seed))
        return faces_of(torch.nn.functional.normalize(embeddings, dim=1), 64, 64)

    def invert(self, latent: Any, steps: int = 6, denoise: float = 0.3, seed: int = 0, **options: Any) -> Any:
        """DPMSolverInversion with the source text."""
        model = options.pop("model", self.model)
        source = options.pop("source", self.text())
        return run_node("DPMSolverInversion", model, latent, source, steps, denoise, seed, **options)

    def invert_in(self, quality: str, latent: Any, steps: int = 0, denoise: float = 0.3, **options: Any) -> Any:
        """The trajectory at the timesteps and with the limit of a quality of *Change Identity*."""
        model, text = options.pop("model", self.model), options.pop("source", self.text())
        sampling = part("host.sampling")
        source = part("host.edit").edit_source(
            model, latent, text, quality=quality, steps=steps, denoise=denoise, seed=0, keep=None
        )
        with torch.inference_mode():
            return sampling.record_trajectory(
                part("host.guider").NullIdentityGuider(model, text, None, 1.0),
                source.samples,
                source.sigmas,
                text,
                seed=source.seed,
                batch=1,
                extrapolation_limit=source.extrapolation_limit,
                fingerprint=part("host.fingerprint").fingerprint(model),
                callback=None,
                disable_pbar=True,
            )

    def sample(self, trajectory: Any, faces: Any, cfg: float, **options: Any) -> Tensor:
        """ReverseIdentityKSampler; its latent."""
        model = options.pop("model", self.model)
        return run_node("ReverseIdentityKSampler", model, trajectory, faces, cfg, **options)["samples"]

    def model_space(self, samples: Tensor) -> Tensor:
        """A LATENT's samples in model space."""
        return self.model.model.process_latent_in(samples)

    @contextmanager
    def counted(self) -> Iterator[Evaluations]:
        """Count calls of the network and rows in them, at the network itself."""
        evaluations = Evaluations()

        def count(module: Any, args: Any, kwargs: Any) -> None:
            evaluations.calls += 1
            evaluations.rows += args[0].shape[0]
            evaluations.branches.append(list(kwargs["transformer_options"]["cond_or_uncond"]))

        handle = self.model.model.diffusion_model.register_forward_pre_hook(count, with_kwargs=True)
        try:
            yield evaluations
        finally:
            handle.remove()


class Latents:
    """A VAE whose pictures are the latents in model space."""

    def __init__(self, small: SmallModel) -> None:
        self.decode = small.model_space

    def spacial_compression_decode(self) -> int:
        return 8


class Decoder:
    """A VAE whose pictures are the latents in model space, eight times as large."""

    def __init__(self, small: SmallModel) -> None:
        self.small = small

    def decode(self, samples: Tensor) -> Tensor:
        pictures = self.small.model_space(samples)[:, :3].sigmoid().movedim(1, -1)
        return pictures.repeat_interleave(8, 1).repeat_interleave(8, 2)

    def encode(self, pictures: Tensor) -> Tensor:
        levels = torch.nn.functional.avg_pool2d(pictures.movedim(-1, 1), 8)
        return self.small.model.model.process_latent_out(torch.cat([levels, levels[:, :1]], dim=1))

    def spacial_compression_decode(self) -> int:
        return 8


def faces_in_crops(small: SmallModel, count: int) -> Any:
    """FACES at the standard places of an aligned crop of 64 pixels."""
    faces = small.faces(count)
    place = part("reverse_personalization.geometry.template").template_detection(64, 64)
    images = tuple((replace(face, box=place.box, landmarks=place.landmarks),) for face in faces)
    return replace(faces, images=images, model_pack="fake")


def retry_task(small: SmallModel, trajectory: Any, attributes: Any) -> Any:
    """The `RetryTask` of a trajectory of latents of 8 x 8, whose pictures are the latents."""
    retry = part("host.retry")
    return retry.RetryTask(
        regenerate=retry.replaying(small.model, trajectory),
        latents=trajectory.x_T.shape,
        steps=trajectory.steps,
        vae=Latents(small),
        faces=small.faces(trajectory.batch),
        crops=torch.zeros(trajectory.batch, 64, 64, 3),
        attributes=attributes,
        identity_scale=1.0,
        source=None,
    )
