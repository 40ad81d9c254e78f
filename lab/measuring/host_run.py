"""Runs the real workflow in this process: ComfyUI's own loaders, encoders and sampler, and the pack's own nodes."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.in_process import load_pack, part
from miniature.host import add_miniature
from miniature.layout import ADAPTER, CHECKPOINT, FACE_PACK
from miniature.workflow import FOUND_SCORE

Latent = dict[str, Any]
Pictures = NDArray[np.uint8]


class Workflow:
    """The nodes of the shipped workflow, with the models loaded. Pictures are uint8 [N, side, side, 3].

    Attributes:
        model: MODEL with the identity adapter.

    Args:
        models: models folder in ComfyUI's layout.

    Raises:
        FileNotFoundError: a model is missing.
        SetupError: there is no ComfyUI.
    """

    def __init__(self, models: Path) -> None:
        missing = [str(file) for file in (CHECKPOINT, ADAPTER, FACE_PACK) if not (models / file).exists()]
        if missing:
            raise FileNotFoundError(f"{models} lacks {', '.join(missing)}; `python -m lab.training` writes them")
        self._pack = load_pack().node_classes
        add_miniature(models)
        self._host = importlib.import_module("nodes")
        with torch.inference_mode():
            loaded = self._host.CheckpointLoaderSimple().load_checkpoint(CHECKPOINT.name)
        self._model, self._clip, self._vae = loaded[:3]
        self.model = self._node("ReverseIdentityAdapterLoader", self._model, ADAPTER.name, 1.0)
        self._no_text = self.text({})

    def _node(self, name: str, *args: Any, **kwargs: Any) -> Any:
        with torch.inference_mode():
            return self._pack[name].execute(*args, **kwargs).result[0]

    def text(self, inputs: Mapping[str, str], faces: Any = None) -> Any:
        """Return CONDITIONING from AttributePrompt or, without inputs, from CLIPTextEncode for an empty text."""
        if inputs:
            return self._node("AttributePrompt", self._clip, **inputs, faces=faces)
        with torch.inference_mode():
            return self._host.CLIPTextEncode().encode(self._clip, "")[0]

    def embed(self, pictures: Pictures) -> Any:
        """Embed pictures that are aligned crops; return FACES with one face each."""
        return self._node(
            "FaceEmbed", _as_image(pictures), FACE_PACK.name, provider="CPU", detect=False, threshold=FOUND_SCORE
        )

    def encode(self, pictures: Pictures) -> Latent:
        """Encode pictures as a LATENT."""
        with torch.inference_mode():
            latent: Latent = self._host.VAEEncode().encode(self._vae, _as_image(pictures))[0]
        return latent

    def decode(self, latent: Latent) -> Pictures:
        """Decode a LATENT to pictures with the levels that SaveImage writes."""
        with torch.inference_mode():
            image = self._host.VAEDecode().decode(self._vae, latent)[0]
        return _as_pictures(image)

    def invert(self, latent: Latent, steps: int, denoise: float, seed: int) -> Any:
        """Invert a LATENT under the null identity and an empty text; return a REVERSE_IDENTITY_TRAJECTORY."""
        return self._node("DPMSolverInversion", self.model, latent, self._no_text, steps, denoise, seed)

    def edit(
        self,
        latent: Latent,
        faces: Any,
        quality: str,
        scale: float,
        *,
        steps: int,
        denoise: float,
        seed: int,
        text: Any = None,
        target: Any = None,
        towards: float = 0.0,
    ) -> Latent:
        """Invert a LATENT and generate another person in one pass.

        `text` asks for attributes; a TARGET is what the face is drawn towards.
        """
        edited: Latent = self._node(
            "ReverseIdentityEdit",
            self.model,
            latent,
            faces,
            self._no_text,
            quality,
            scale,
            denoise=denoise,
            seed=seed,
            steps=steps,
            attributes=text,
            target=target,
            towards=towards,
        )
        return edited

    def target(self, faces: Any, kind: str, **options: Any) -> Any:
        """Return the TARGET that ReverseIdentityTarget makes for FACES."""
        return self._node("ReverseIdentityTarget", faces, kind, **options)

    def denoise_once(self, latent: Latent, noise: Tensor, sigma: float) -> Latent:
        """Add noise to a LATENT and return the denoised prediction under the null identity and an empty text.

        Args:
            latent: [B, C, h, w].
            noise: standard normal, same shape.
            sigma: noise level S, in model space.
        """
        denoised_once = part("host.purifying").denoised_once
        with torch.inference_mode():
            return {"samples": denoised_once(self.model, self._no_text, latent["samples"], noise, sigma)}

    def regenerate(self, trajectory: Any, faces: Any, scale: float, text: Any = None) -> Latent:
        """Generate a LATENT that shows another person."""
        latent: Latent = self._node("ReverseIdentityKSampler", self.model, trajectory, faces, scale, attributes=text)
        return latent

    def paste(self, pictures: Pictures, faces: Any, results: Pictures) -> Pictures:
        """Paste results over the pictures with ReverseIdentityFacePaste, as the workflows for photographs do.

        Args:
            pictures: the originals, each an aligned crop of itself.
            faces: their FACES.
            results: the regenerated pictures.
        """
        placement = part("reverse_personalization.geometry.placement")
        crops = tuple(placement.Placement(number, 0, np.eye(2, 3)) for number in range(len(pictures)))
        placements = placement.Placements(crops, pictures.shape[1], faces)
        pasted = self._node("ReverseIdentityFacePaste", _as_image(pictures), placements, _as_image(results))
        return _as_pictures(pasted)

    def generate(self, inputs: Mapping[str, str], count: int, side: int, steps: int, cfg: float, seed: int) -> Pictures:
        """Generate pictures from noise and text with the host's sampler, on the checkpoint without an adapter."""
        with torch.inference_mode():
            empty = self._host.EmptyLatentImage().generate(side, side, count)[0]
            sampled = self._host.KSampler().sample(
                self._model, seed, steps, cfg, "dpmpp_2m", "karras", self.text(inputs), self._no_text, empty
            )[0]
        return self.decode(sampled)

    def face_pack(self, name: str) -> Any:
        """Open an InsightFace pack as the pack's nodes do (`host.insight.FacePack`).

        Raises:
            FileNotFoundError: the models do not include it.
        """
        insight = part("host.insight")
        lowest_score = part("reverse_personalization.geometry.faces").DEFAULT_THRESHOLD
        return insight.load_pack(name, "CPU", lowest_score)


def chosen(faces: Any, rows: Iterable[int]) -> Any:
    """Select the FACES of some pictures by index, in this order."""
    return replace(faces, images=tuple(faces.images[row] for row in rows))


def _as_image(pictures: Pictures) -> Tensor:
    return torch.from_numpy(pictures.astype(np.float32) / 255)


def _as_pictures(image: Tensor) -> Pictures:
    return np.clip(255.0 * image.cpu().numpy(), 0, 255).astype(np.uint8)
