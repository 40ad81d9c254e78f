"""A plain diffusers script of the paper's procedure, with its authors' calls and their order.

Written from the description of the method, not from anybody's code. For each photograph it finds the face, encodes the
picture and the texts, inverts with both branches of the guidance in every step, decodes what it inverted and throws
that away, generates, decodes, and saves: 4 N evaluations of the network in 2 N calls of two rows, and two decodings.

Where the published code departs from the paper, the script does too, unless it is asked to be exact: the solver's
memory is left over from the inversion, and below 15 steps the last one is of first order. Neither changes the time.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import StableDiffusionXLPipeline
from diffusers.utils import logging
from insightface.app import FaceAnalysis
from PIL import Image
from torch import Tensor

from reverse_personalization.method.schedule import timesteps

from .conversion import scheduler
from .setting import Setting

DETECTION_SIDE = 640
"""Pixels to which InsightFace scales a picture for its detector."""


@dataclass(frozen=True)
class Files:
    """What the script loads.

    Attributes:
        pipeline: folder in diffusers' layout.
        adapter: IP-Adapter FaceID.
        faces: folder of an InsightFace pack, `.../models/NAME`.
    """

    pipeline: Path
    adapter: Path
    faces: Path


@dataclass(frozen=True, eq=False)
class Texts:
    """What both branches are conditioned on.

    Attributes:
        embeds: [2, 77, C]; without identity first.
        pooled: [2, P].
    """

    embeds: Tensor
    pooled: Tensor


class Network:
    """The UNet with its adapter, as the guidance calls it: both branches in one call.

    Attributes:
        unet: of diffusers, with an adapter loaded.
        scheduler: of the same pipeline.

    Args:
        unet: see above.
        steps: N.
        denoise: part of the schedule that is not skipped.
        exact: whether to follow the paper where the published code departs from it.
    """

    def __init__(self, unet: Any, steps: int, denoise: float, *, exact: bool = False) -> None:
        self.unet = unet
        self.exact = exact
        self.scheduler = scheduler()
        self.scheduler.set_timesteps(timesteps=timesteps(steps, denoise))

    def guided(self, x: Tensor, t: Tensor, identities: Tensor, texts: Texts, sizes: Tensor, g: float) -> Tensor:
        """The guided prediction of the noise.

        Args:
            x: [1, C, h, w].
            t: timestep.
            identities: [2, 1, 512]; the null identity first.
            texts: of both branches.
            sizes: [2, 6] size conditioning.
            g: scale.
        """
        eps_null, eps_identity = self.unet(
            torch.cat([x, x]),
            t,
            encoder_hidden_states=texts.embeds,
            added_cond_kwargs={"text_embeds": texts.pooled, "time_ids": sizes, "image_embeds": [identities]},
            return_dict=False,
        )[0].chunk(2)
        guided: Tensor = eps_null + g * (eps_identity - eps_null)
        return guided

    def invert(self, x0: Tensor, texts: Texts, sizes: Tensor, g: float, seed: int) -> tuple[Tensor, list[Tensor]]:
        """Record the noise that leads from each noisy copy to the next (eq. 4).

        Args:
            x0: latent in model space, [1, C, h, w].
            texts: of both branches.
            sizes: [2, 6].
            g: scale; both branches have the null identity.
            seed: of the noisy copies.

        Returns:
            the noisiest copy, and z_t in order of generation.
        """
        solver, visited = self.scheduler, self.scheduler.timesteps
        # In the inversion, the last step is of second order at any N.
        solver.register_to_config(lower_order_final=False)
        generator = torch.Generator().manual_seed(seed)
        copies = [x0]
        for t in reversed(visited):
            noise = torch.randn(x0.shape, generator=generator)
            copies.append(solver.alpha_t[t] * x0 + solver.sigma_t[t] * noise)
        nobody = torch.zeros(2, 1, _width(self.unet))
        recorded = []
        for i, t in enumerate(visited):
            x, target = copies[len(visited) - i], copies[len(visited) - i - 1]
            eps = self.guided(x, t, nobody, texts, sizes, g)
            mean = solver.step(eps, t, x, variance_noise=torch.zeros_like(x), return_dict=False)[0]
            deviation = _deviation(solver, i)
            z = (target - mean) / deviation
            recorded.append(z)
            copies[len(visited) - i - 1] = mean + deviation * z
        return copies[-1], recorded

    def generate(
        self, x: Tensor, recorded: list[Tensor], embedding: Tensor, texts: Texts, sizes: Tensor, g: float
    ) -> Tensor:
        """Generate with the recorded noise, away from a person (eqs. 5 to 7).

        Args:
            x: the noisiest copy.
            recorded: z_t in order of generation.
            embedding: of unit length, [512].
            texts: of both branches.
            sizes: [2, 6].
            g: scale.

        Returns:
            latent in model space, [1, C, h, w].
        """
        solver = self.scheduler
        solver.register_to_config(lower_order_final=not self.exact)
        if self.exact:
            solver.set_timesteps(timesteps=solver.timesteps.tolist())
        else:
            # The inversion's last prediction stays in the solver's memory.
            solver._step_index = None
        identities = torch.stack([torch.zeros_like(embedding), embedding])[:, None]
        for t, z in zip(solver.timesteps, recorded, strict=True):
            eps = self.guided(x, t, identities, texts, sizes, g)
            x = solver.step(eps, t, x, variance_noise=z, return_dict=False)[0]
        return x


class Script:
    """Everything that the script loads, and what it does with a photograph.

    Args:
        files: to load.
    """

    def __init__(self, files: Files) -> None:
        logging.set_verbosity_error()
        self.pipeline: Any = StableDiffusionXLPipeline.from_pretrained(files.pipeline, torch_dtype=torch.float32)
        self.pipeline.set_progress_bar_config(disable=True)
        self.pipeline.load_ip_adapter(
            str(files.adapter.parent), subfolder="", weight_name=files.adapter.name, image_encoder_folder=None
        )
        self.pipeline.set_ip_adapter_scale(1.0)
        self.faces = FaceAnalysis(name=str(files.faces), providers=["CPUExecutionProvider"])
        self.faces.prepare(ctx_id=-1, det_size=(DETECTION_SIDE, DETECTION_SIDE))

    def anonymise(self, photograph: Path, result: Path, setting: Setting, *, exact: bool = False) -> Tensor:
        """Anonymise the only face of a portrait and save the picture.

        Args:
            photograph: to read, whose sides are multiples of 8.
            result: to write.
            setting: how.
            exact: whether to follow the paper where the published code departs from it.

        Returns:
            the result's latent in model space, [1, C, h, w].

        Raises:
            ValueError: no face was found.
        """
        with torch.inference_mode():
            picture = Image.open(photograph).convert("RGB")
            embedding = self.embed(picture)
            x0 = self.encode(picture)
            sizes = torch.tensor([[picture.height, picture.width, 0, 0, picture.height, picture.width]] * 2).float()
            network = Network(self.pipeline.unet, setting.steps, setting.denoise, exact=exact)
            noisiest, recorded = network.invert(x0, self.texts(""), sizes, setting.scale, setting.seed)
            self.decode(x0)
            texts = self.texts(setting.attributes)
            latent = network.generate(noisiest, recorded, embedding, texts, sizes, setting.scale)
            self.decode(latent).save(result)
            return latent

    def embed(self, picture: Image.Image) -> Tensor:
        """The embedding of a picture's largest face, [512], of unit length.

        Raises:
            ValueError: no face was found.
        """
        found = self.faces.get(np.ascontiguousarray(np.asarray(picture)[:, :, ::-1]))
        if not found:
            raise ValueError("no face was found in the photograph; the script needs a portrait")
        largest = max(found, key=lambda face: float(np.prod(face.bbox[2:] - face.bbox[:2])))
        return torch.from_numpy(largest.normed_embedding)

    def encode(self, picture: Image.Image) -> Tensor:
        """The latent of a picture in model space, [1, C, h, w]."""
        pixels = self.pipeline.image_processor.preprocess(picture)
        encoded: Tensor = self.pipeline.vae.encode(pixels).latents
        return encoded * self.pipeline.vae.config.scaling_factor

    def decode(self, latent: Tensor) -> Image.Image:
        """The picture of a latent in model space."""
        pixels = self.pipeline.vae.decode(latent / self.pipeline.vae.config.scaling_factor, return_dict=False)[0]
        picture: Image.Image = self.pipeline.image_processor.postprocess(pixels)[0]
        return picture

    def texts(self, attributes: str) -> Texts:
        """The empty text for the identity's branch; for the other zeros, or the attributes."""
        embeds, no_embeds, pooled, no_pooled = self.pipeline.encode_prompt(
            "", device="cpu", do_classifier_free_guidance=True, negative_prompt=attributes or None
        )
        return Texts(torch.cat([no_embeds, embeds]), torch.cat([no_pooled, pooled]))


def _deviation(solver: Any, i: int) -> Tensor:
    """The standard deviation of step i, as the scheduler computes it."""
    S_s, S_t = solver.sigmas[i], solver.sigmas[i + 1]  # noqa: N806 - the formula's symbols
    return S_t / torch.sqrt(1 + S_t**2) * torch.sqrt(1 - (S_t / S_s) ** 2)


def _width(unet: Any) -> int:
    """Length of the identity embeddings that a UNet's adapter takes."""
    projection = unet.encoder_hid_proj.image_projection_layers[0]
    return int(next(projection.parameters()).shape[1])
