"""Trains the denoiser: UNet, both text encoders, adapter and LoRA, together and from scratch.

Some batches run without adapter and LoRA, so that the checkpoint alone is a text-to-image model. In the others, some
pictures have no identity, so that the network learns the null identity, and some have no text.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor

from miniature import host
from miniature.checkpoint import VAE_PREFIX
from miniature.config import IDENTITY_WIDTH, MINIATURE
from miniature.files import TensorSpec, stream_safetensors, whole_file
from miniature.layout import ADAPTER, CHECKPOINT
from miniature.weights import CONSTANTS
from reverse_personalization.geometry.template import FFHQ_BOX

from .autoencoder import as_images, both_trained
from .captions import captions
from .denoiser import Denoiser, adapter_groups, checkpoint_tensors
from .embeddings import embedded
from .latent_reader import ReaderRecipe
from .loop import Workshop, train
from .portraits import Arrays, PortraitSet
from .teachers import KEPT_BY_STEPS, trained_teachers
from .traits import traits

TIMESTEPS = 1000
TURNED_FROM = 150
"""Least timestep at which words may contradict the picture: with less noise, it is too late for a change."""

IDENTITY_READER = ReaderRecipe(width=48, steps=1200)
TRAIT_READER = ReaderRecipe(width=32, steps=600)
SMOKE_READER = ReaderRecipe(width=8, steps=2, batch=4, kept=0.5)


@dataclass(frozen=True)
class DiffusionRecipe:
    """All numbers of the training.

    Attributes:
        portraits: portraits to learn from.
        steps: total number of steps.
        batch: portraits per step.
        rate: learning rate.
        bare: share of the steps without adapter.
        no_identity: share of the portraits with the null identity.
        no_text: share of the portraits without a caption.
        turned: share of the noisy portraits with the null identity (TURNED_FROM) that get another portrait's caption.
            The network must follow the words, or text could change nothing visible in a noisy picture.
        turned_loss: weight of the plain loss of those portraits, which pulls towards what the picture shows.
        other_picture: share of the portraits with the embedding of another picture of the same person.
        high: share of the timesteps drawn from the whole range; the rest are below KEPT_BY_STEPS.
        other_size: share of the portraits labelled with another size, so that results do not depend on it.
        jitter: standard deviation of the noise on each number of an embedding.
        anonymous: number of first steps without identities, so that noise and text are learnt before faces.
        face: weight of the loss at the face, where identities differ; with `rest`, about 1 on average.
        rest: weight of the loss outside the face.
        likeness: weight of `Teachers.unlikeness`.
        likeness_from: first step in which that loss counts; before it, guesses do not look like faces.
        identity_reader: training of the reader of identities.
        truth: weight of `Teachers.untruth`.
        truth_from: first step in which that loss counts and portraits are turned.
        trait_reader: training of the reader of traits.
        seed: seed of all random numbers.
    """

    portraits: PortraitSet
    steps: int
    batch: int = 32
    rate: float = 1e-3
    bare: float = 0.35
    no_identity: float = 0.3
    no_text: float = 0.4
    turned: float = 0.5
    turned_loss: float = 0.3
    other_picture: float = 0.6
    high: float = 0.15
    other_size: float = 0.1
    jitter: float = 0.005
    anonymous: int = 100
    face: float = 2.2
    rest: float = 0.5
    likeness: float = 0.05
    likeness_from: int = 600
    identity_reader: ReaderRecipe = IDENTITY_READER
    truth: float = 0.4
    truth_from: int = 1400
    trait_reader: ReaderRecipe = TRAIT_READER
    seed: int = 21


RECIPE = DiffusionRecipe(PortraitSet("train", 0, 6000, 4), steps=5000)
SMOKE = DiffusionRecipe(
    PortraitSet("train", 0, 2, 4),
    steps=3,
    batch=4,
    anonymous=1,
    likeness_from=1,
    identity_reader=SMOKE_READER,
    truth_from=1,
    trait_reader=SMOKE_READER,
)


@dataclass(frozen=True, eq=False)
class Lesson:
    """The input of one training step.

    Attributes:
        rows: indices of the portraits.
        told: indices of the portraits that the captions describe; they differ from `rows` for turned portraits.
        captions: captions of all portraits.
        texts: the captions shown to the network, "" for some.
        identities: [N, 512] embeddings of all portraits.
        identity: [N, 512] embeddings shown to the network, 0 for some; None for a step without adapter.
        timestep: [N] int64.
        sizes: [N, 6] height, width, top, left, target height and width.
    """

    rows: NDArray[np.int64]
    told: NDArray[np.int64]
    captions: list[str]
    texts: list[str]
    identities: Tensor
    identity: Tensor | None
    timestep: Tensor
    sizes: Tensor


def lesson(recipe: DiffusionRecipe, step: int, arrays: Arrays, identities: Tensor, rng: np.random.Generator) -> Lesson:
    """Draw the portraits of a step and what the network is told about them.

    Args:
        recipe: shares of each kind.
        step: number of the step.
        arrays: facts about the set.
        identities: [N, 512] embeddings of the set's portraits.
        rng: random generator of the step.
    """
    n = recipe.batch
    rows = rng.choice(recipe.portraits.count, n, replace=recipe.portraits.count < n)
    bare = rng.random() < recipe.bare
    known = (rng.random(n) >= recipe.no_identity) & (step >= recipe.anonymous)
    high = np.where(rng.random(n) < (1.0 if bare else recipe.high), TIMESTEPS, KEPT_BY_STEPS)
    timestep = (rng.random(n) * high).astype(np.int64)
    may_turn = ~known & (timestep >= TURNED_FROM) & (step >= recipe.truth_from) & (not bare)
    turned = may_turn & (rng.random(n) < recipe.turned)
    told = np.where(turned, rng.permutation(rows), rows)
    said = captions(arrays, told, rng)
    texts = list(said)
    for i in np.nonzero((rng.random(n) < (0.1 if bare else recipe.no_text)) & ~turned)[0]:
        texts[i] = ""
    each = recipe.portraits.each
    others = rows // each * each + rng.integers(0, each, n)
    shown = np.where(rng.random(n) < recipe.other_picture, others, rows)
    identity = F.normalize(identities[torch.from_numpy(shown)] + recipe.jitter * torch.randn(n, IDENTITY_WIDTH), dim=1)
    side = recipe.portraits.side
    sizes = np.tile(np.array([side, side, 0, 0, side, side], np.float32), (n, 1))
    claimed = rng.integers(8, 129, n) * 8
    odd = rng.random(n) < recipe.other_size
    for column in (0, 1, 4, 5):
        sizes[odd, column] = claimed[odd]
    return Lesson(
        rows=rows,
        told=told,
        captions=said,
        texts=texts,
        identities=identity.float(),
        identity=None if bare else (identity * torch.from_numpy(known)[:, None]).float(),
        timestep=torch.from_numpy(timestep),
        sizes=torch.from_numpy(sizes),
    )


def loss_weights(recipe: DiffusionRecipe, height: int, width: int) -> Tensor:
    """Return loss weights [height, width] of a latent: an ellipse over the face, which the framing centres."""
    (x0, y0), (x1, y1) = FFHQ_BOX
    x = ((torch.arange(width) + 0.5) / width - (x0 + x1) / 2) / (x1 - x0) * 2
    y = ((torch.arange(height) + 0.5) / height - (y0 + y1) / 2) / (y1 - y0) * 2
    return torch.where(x.square() + y.square()[:, None] <= 1, recipe.face, recipe.rest)


def signal_powers() -> Tensor:
    """Return abar of every timestep, [1000], from the host's own schedule for SDXL."""
    util = host.module("comfy.ldm.modules.diffusionmodules.util")
    settings = host.module("comfy.supported_models").SDXL.sampling_settings
    start, end = settings.get("linear_start", 0.00085), settings.get("linear_end", 0.012)
    betas = torch.as_tensor(util.make_beta_schedule("linear", TIMESTEPS, linear_start=start, linear_end=end))
    return (1 - betas.double()).cumprod(0).float()


@torch.no_grad()
def encoded_portraits(shop: Workshop, portraits: PortraitSet) -> Tensor:
    """Return latents [N, 4, side / 8, side / 8] of a set, computed once for a finished encoder."""
    file = shop.directory / f"latents-{portraits.name}.pt"
    if file.exists():
        stored: Tensor = torch.load(file, weights_only=True)
        return stored
    model, _ = both_trained(shop)
    pixels = portraits.load(shop.data)["image"]
    latents = torch.cat([model.encode(as_images(pixels[i : i + 50])) for i in range(0, len(pixels), 50)])
    with whole_file(file) as stream:
        torch.save(latents, stream)
    return latents


def trained_denoiser(shop: Workshop) -> tuple[Denoiser, dict[str, Any]]:
    """Train the denoiser, or load a finished one; return it with its figures."""
    recipe = SMOKE if shop.smoke else RECIPE
    latents = encoded_portraits(shop, recipe.portraits)
    identities = embedded(shop, recipe.portraits)
    arrays = recipe.portraits.load(shop.data, images=False)
    truth = traits(arrays)
    teachers = trained_teachers(shop, recipe.identity_reader, recipe.trait_reader, latents, identities, truth)
    model = Denoiser(MINIATURE, recipe.seed)
    average = copy.deepcopy(model).requires_grad_(False)
    alphas = signal_powers()
    weights = loss_weights(recipe, *latents.shape[2:])

    def loss_of(step: int, rng: np.random.Generator) -> Tensor:
        shown = lesson(recipe, step, arrays, identities, rng)
        latent = latents[torch.from_numpy(shown.rows)]
        noise = torch.randn_like(latent)
        signal = alphas[shown.timestep][:, None, None, None]
        noisy = signal.sqrt() * latent + (1 - signal).sqrt() * noise
        predicted = model(noisy, shown.timestep, shown.texts, shown.sizes, shown.identity)
        turned = torch.from_numpy(shown.told != shown.rows)
        plain = torch.where(turned, recipe.turned_loss, 1.0)[:, None, None, None]
        loss = (plain * weights * (predicted - noise).square()).mean()
        clean = (noisy - (1 - signal).sqrt() * predicted) / signal.sqrt()
        counts = signal.flatten()
        # This loss also counts for portraits whose identity is hidden from the network. Otherwise guidance would
        # amplify the difference between having this loss and not having it, whoever the person is.
        if step >= recipe.likeness_from:
            # Outside the face the reader sees the true latent: it must not teach that backgrounds belong to a person.
            face = torch.where(weights == recipe.face, clean, latent)
            unlike = teachers.unlikeness(face, shown.identities, shown.timestep, torch.where(turned, 0, counts))
            loss = loss + recipe.likeness * unlike
        if step >= recipe.truth_from:
            told, seen = (truth[torch.from_numpy(numbers)] for numbers in (shown.told, shown.rows))
            loss = loss + recipe.truth * teachers.untruth(clean, shown.captions, told, seen, counts)
        return loss

    seconds = train(
        shop.state("diffusion"), model, loss_of, steps=recipe.steps, rate=recipe.rate, seed=recipe.seed, average=average
    )
    figures = {"steps": recipe.steps, "portraits": recipe.steps * recipe.batch, "seconds": seconds}
    return average, {**figures, **teachers.figures}


def write_checkpoint(model: Denoiser, autoencoder: Path, models: Path) -> None:
    """Write checkpoint and adapter in their file layouts.

    Args:
        model: trained denoiser.
        autoencoder: file of the finished autoencoder.
        models: ComfyUI models folder.
    """
    tensors = checkpoint_tensors(model)
    vae = load_file(autoencoder) | {name: torch.tensor(CONSTANTS[name]) for name in ("vae_scale", "vae_shift")}
    tensors |= {VAE_PREFIX + name: tensor.half() for name, tensor in vae.items()}
    specs = {name: TensorSpec(tuple(tensor.shape), tensor.dtype) for name, tensor in tensors.items()}
    with whole_file(models / CHECKPOINT) as stream:
        stream_safetensors(stream, specs, lambda name, _: tensors[name])
    with whole_file(models / ADAPTER) as stream:
        torch.save(adapter_groups(model), stream)
