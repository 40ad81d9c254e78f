"""Trains the light autoencoder: encoder and decoder together, then the decoder alone, which keeps latents fixed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import save
from torch import Tensor

from miniature.files import whole_file

from .face_comparison import FaceComparison
from .lean_taesd import OPPONENT, LeanTAESD, taesd_tensors
from .loop import Workshop, train
from .portraits import PortraitSet

FILE = "autoencoder.safetensors"
"""File of the finished autoencoder in the workshop, for the checkpoint."""

GRADIENT_WEIGHT = 0.5
"""Weight of the error in differences between neighbours (edges), relative to the error in values."""

IDENTITY_WEIGHT = 0.05
"""Weight of the angle between the face's embeddings before and after."""

SHARPNESS = 1e-3
"""Error of values in [0, 1] below which the loss is quadratic; above, it is absolute."""

FACE_WEIGHT = 2.0
"""Weight of the face's pixels relative to all others."""


@dataclass(frozen=True)
class AutoencoderRecipe:
    """All numbers of the training.

    Attributes:
        portraits: number of portraits to learn from.
        held_out: number of portraits to measure on.
        together: steps that train encoder and decoder.
        alone: steps that train the decoder with a frozen encoder.
        batch: portraits per step.
        rate: peak of the learning rate.
        noise: standard deviation of the noise added to latents before decoding.
        seed: seed of all random numbers.
    """

    portraits: PortraitSet
    held_out: PortraitSet
    together: int
    alone: int
    batch: int = 8
    rate: float = 1.5e-3
    noise: float = 0.01
    seed: int = 11


RECIPE = AutoencoderRecipe(
    PortraitSet("train", 0, 6000, 4), PortraitSet("test", 900_000, 300, 6), together=2350, alone=1200
)
SMOKE = AutoencoderRecipe(PortraitSet("train", 0, 2, 4), PortraitSet("test", 900_000, 2, 2), together=3, alone=3)


def as_images(pixels: NDArray[np.uint8]) -> Tensor:
    """Convert [N, H, W, 3] uint8 to [N, 3, H, W] float32 in [0, 1]."""
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255


def face_weights(mask: NDArray[np.uint8]) -> Tensor:
    """Convert packed masks [N, H, W / 8] to weights [N, 1, H, W] with mean near 1."""
    faces = torch.from_numpy(np.unpackbits(mask, axis=2)).float()[:, None]
    weights = 1 + (FACE_WEIGHT - 1) * F.avg_pool2d(faces, 9, 1, 4)
    return weights / weights.mean()


def opponent(image: Tensor) -> Tensor:
    """Convert RGB [N, 3, H, W] to brightness and two colour differences."""
    return torch.einsum("oc,nchw->nohw", torch.tensor(OPPONENT), image)


def smooth_absolute(error: Tensor) -> Tensor:
    """Return the absolute value, smoothed at 0."""
    return (error.square() + SHARPNESS**2).sqrt()


def picture_loss(made: Tensor, wanted: Tensor, weights: Tensor) -> Tensor:
    """Return the loss of pictures: errors of values and edges, and squared for large errors."""
    error = opponent(made - wanted)
    across = smooth_absolute(error[..., 1:] - error[..., :-1]) * weights[..., 1:]
    down = smooth_absolute(error[..., 1:, :] - error[..., :-1, :]) * weights[..., 1:, :]
    values = (smooth_absolute(error) + 4 * error.square()) * weights
    return values.mean() + GRADIENT_WEIGHT * (across.mean() + down.mean())


def psnr(made: Tensor, wanted: Tensor) -> float:
    """Return the peak signal-to-noise ratio in dB of images in [0, 1], from their pooled mean squared error."""
    return float(-10 * torch.log10((made.clamp(0, 1) - wanted).square().mean()))


@torch.no_grad()
def held_out_psnr(model: LeanTAESD, pixels: NDArray[np.uint8], batch: int = 16) -> float:
    """Return the PSNR in dB of reconstructed portraits [N, H, W, 3]."""
    made = [model.decode(model.encode(as_images(pixels[i : i + batch]))) for i in range(0, len(pixels), batch)]
    return psnr(torch.cat(made), as_images(pixels))


def trained_autoencoder(shop: Workshop) -> tuple[LeanTAESD, dict[str, Any]]:
    """Run both phases, or load the finished autoencoder; return it with its figures."""
    recipe = SMOKE if shop.smoke else RECIPE
    model, seconds = both_trained(shop)
    for parameter in model.encoder.parameters():
        parameter.requires_grad_(False)
    average = LeanTAESD()
    average.load_state_dict(model.state_dict())
    arrays = recipe.portraits.load(shop.data)
    pixels, masks = arrays["image"], arrays["mask"]
    same_face = FaceComparison(shop)

    def loss_of(step: int, rng: np.random.Generator) -> Tensor:
        rows = rng.choice(len(pixels), recipe.batch, replace=False)
        images = as_images(pixels[rows]).contiguous(memory_format=torch.channels_last)
        with torch.no_grad():
            latent = model.encode(images)
            latent = latent + recipe.noise * torch.randn_like(latent)
        made = model.decode(latent)
        kept = IDENTITY_WEIGHT * same_face(made, images, arrays["landmarks"][rows])
        return picture_loss(made, images, face_weights(masks[rows])) + kept

    state = shop.state("autoencoder-decoder")
    seconds += train(
        state, model, loss_of, steps=recipe.alone, rate=recipe.rate * 0.7, seed=recipe.seed + 1, average=average
    )
    recipe.held_out.render(shop.data, shop.threads)
    figures = {
        "psnr": held_out_psnr(average, recipe.held_out.load(shop.data)["image"][:300]),
        "steps": recipe.together + recipe.alone,
        "seconds": seconds,
    }
    with whole_file(shop.directory / FILE) as stream:
        stream.write(save(taesd_tensors(average)))
    return average, figures


def both_trained(shop: Workshop) -> tuple[LeanTAESD, float]:
    """Run the first phase; return the model, whose encoder is final, and the seconds it took."""
    recipe = SMOKE if shop.smoke else RECIPE
    recipe.portraits.render(shop.data, shop.threads)
    arrays = recipe.portraits.load(shop.data)
    pixels, masks = arrays["image"], arrays["mask"]
    same_face = FaceComparison(shop)
    torch.manual_seed(recipe.seed)
    model = LeanTAESD()
    model.start_from(as_images(pixels[:: max(1, len(pixels) // 400)]))

    def loss_of(step: int, rng: np.random.Generator) -> Tensor:
        rows = rng.choice(len(pixels), recipe.batch, replace=False)
        images = as_images(pixels[rows]).contiguous(memory_format=torch.channels_last)
        latent = model.encode(images)
        spread = (latent.std((0, 2, 3)) - 1).abs().mean() + 0.3 * latent.mean((0, 2, 3)).abs().mean()
        made = model.decode(latent + recipe.noise * torch.randn_like(latent))
        kept = IDENTITY_WEIGHT * same_face(made, images, arrays["landmarks"][rows])
        return picture_loss(made, images, face_weights(masks[rows])) + 0.05 * spread + kept

    model.to(memory_format=torch.channels_last)
    state = shop.state("autoencoder")
    return model, train(state, model, loss_of, steps=recipe.together, rate=recipe.rate, seed=recipe.seed)
