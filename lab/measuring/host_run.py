"""The real workflow inside this process: ComfyUI's own loaders, encoders and sampler, and the pack's own nodes."""

from __future__ import annotations

import asyncio
import functools
import importlib
import importlib.util
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scripts.comfyui import comfyui_folder

from ..build import ADAPTER, CHECKPOINT, FACE_PACK
from .settings import FOUND_SCORE

ROOT = Path(__file__).resolve().parents[2]
PACK = "reverse_personalization_measured"
"""The pack's name in `sys.modules`."""

MODEL_FOLDERS = ("checkpoints", "ipadapter", "insightface")

Latent = dict[str, Any]
Pictures = NDArray[np.uint8]


@functools.cache
def start_host() -> tuple[ModuleType, dict[str, Any]]:
    """ComfyUI on the CPU with the pack and the miniature's size, without a server; nothing of it is written to.

    Returns:
        ComfyUI's module `nodes`, and the pack's node classes by id.

    Raises:
        SetupError: there is no ComfyUI, see `scripts.comfyui.comfyui_folder`.
    """
    # The host's `nodes` must win over our folder of that name.
    sys.path.insert(0, str(comfyui_folder()))
    arguments = importlib.import_module("comfy.cli_args").args
    arguments.cpu = True
    arguments.base_directory = tempfile.mkdtemp(prefix="comfyui-base-")
    nodes = importlib.import_module("nodes")
    utilities: Any = importlib.import_module("comfy.utils")
    utilities.PROGRESS_BAR_ENABLED = False
    spec = importlib.util.spec_from_file_location(PACK, ROOT / "__init__.py", submodule_search_locations=[str(ROOT)])
    if spec is None or spec.loader is None:
        raise ImportError(f"{ROOT} is not a pack")
    package = importlib.util.module_from_spec(spec)
    sys.modules[PACK] = package
    spec.loader.exec_module(package)

    async def register() -> list[Any]:
        await nodes.load_custom_node(str(ROOT / "miniature" / "host_extension"))
        extension = await package.comfy_entrypoint()
        await extension.on_load()
        classes: list[Any] = await extension.get_node_list()
        return classes

    return nodes, {node.define_schema().node_id: node for node in asyncio.run(register())}


class Workflow:
    """The nodes of the shipped workflow, loaded once. Pictures are uint8 [N, side, side, 3].

    Args:
        models: folder in ComfyUI's layout.

    Raises:
        FileNotFoundError: a model is missing.
        SetupError: there is no ComfyUI.
    """

    def __init__(self, models: Path) -> None:
        missing = [str(file) for file in (CHECKPOINT, ADAPTER, FACE_PACK) if not (models / file).exists()]
        if missing:
            raise FileNotFoundError(f"{models} lacks {', '.join(missing)}; `python -m miniature.train` writes them")
        self._host, self._pack = start_host()
        paths = importlib.import_module("folder_paths")
        for name in MODEL_FOLDERS:
            paths.add_model_folder_path(name, str((models / name).resolve()), is_default=True)
        with torch.inference_mode():
            loaded = self._host.CheckpointLoaderSimple().load_checkpoint(CHECKPOINT.name)
        self._model, self._clip, self._vae = loaded[:3]
        self._with_adapter = self._node("IdentityAdapterLoader", self._model, ADAPTER.name, 1.0)
        self._no_text = self.text({})

    def _node(self, name: str, *args: Any, **kwargs: Any) -> Any:
        with torch.inference_mode():
            return self._pack[name].execute(*args, **kwargs).result[0]

    def text(self, inputs: Mapping[str, str], faces: Any = None) -> Any:
        """CONDITIONING of AttributePrompt; without inputs that of CLIPTextEncode for no text."""
        if inputs:
            return self._node("AttributePrompt", self._clip, **inputs, faces=faces)
        with torch.inference_mode():
            return self._host.CLIPTextEncode().encode(self._clip, "")[0]

    def embed(self, pictures: Pictures) -> Any:
        """FACES with one face a picture, which is taken for an aligned crop."""
        return self._node(
            "FaceEmbed", _as_image(pictures), FACE_PACK.name, provider="CPU", detect=False, threshold=FOUND_SCORE
        )

    def encode(self, pictures: Pictures) -> Latent:
        """LATENT of pictures."""
        with torch.inference_mode():
            latent: Latent = self._host.VAEEncode().encode(self._vae, _as_image(pictures))[0]
        return latent

    def decode(self, latent: Latent) -> Pictures:
        """Pictures of a LATENT, as SaveImage writes them."""
        with torch.inference_mode():
            image = self._host.VAEDecode().decode(self._vae, latent)[0]
        return _as_pictures(image)

    def invert(self, latent: Latent, steps: int, denoise: float, seed: int) -> Any:
        """NOISE_TRAJECTORY of a LATENT under the null identity and no text."""
        return self._node("DPMSolverInversion", self._with_adapter, latent, self._no_text, steps, denoise, seed)

    def regenerate(self, trajectory: Any, faces: Any, scale: float, text: Any = None) -> Latent:
        """LATENT of somebody else."""
        latent: Latent = self._node(
            "ReverseIdentityKSampler", self._with_adapter, trajectory, faces, scale, attributes=text
        )
        return latent

    def paste(self, pictures: Pictures, faces: Any, results: Pictures) -> Pictures:
        """Results laid over the pictures by FacePaste, as in the workflows for photographs.

        Args:
            pictures: the originals, each an aligned crop of itself.
            faces: FACES of them.
            results: what was made of them.
        """
        placement = importlib.import_module(f"{PACK}.reverse_personalization.placement")
        crops = tuple(placement.Placement(number, 0, np.eye(2, 3)) for number in range(len(pictures)))
        placements = placement.Placements(crops, pictures.shape[1], faces)
        pasted = self._node("FacePaste", _as_image(pictures), placements, _as_image(results))
        return _as_pictures(pasted)

    def generate(self, inputs: Mapping[str, str], count: int, side: int, steps: int, cfg: float, seed: int) -> Pictures:
        """Pictures from nothing but noise and a text: the host's sampler on the checkpoint without adapter."""
        with torch.inference_mode():
            empty = self._host.EmptyLatentImage().generate(side, side, count)[0]
            sampled = self._host.KSampler().sample(
                self._model, seed, steps, cfg, "dpmpp_2m", "karras", self.text(inputs), self._no_text, empty
            )[0]
        return self.decode(sampled)

    def face_pack(self, name: str) -> Any:
        """An InsightFace pack as the pack's nodes open it (`host.insight.FacePack`).

        Raises:
            FileNotFoundError: it is not among the models.
        """
        insight = importlib.import_module(f"{PACK}.host.insight")
        lowest_score = importlib.import_module(f"{PACK}.nodes.face_embed").DEFAULT_THRESHOLD
        return insight.load_pack(name, "CPU", lowest_score)


def chosen(faces: Any, rows: Iterable[int]) -> Any:
    """FACES of some pictures, in this order."""
    return replace(faces, images=tuple(faces.images[row] for row in rows))


def _as_image(pictures: Pictures) -> Tensor:
    return torch.from_numpy(pictures.astype(np.float32) / 255)


def _as_pictures(image: Tensor) -> Pictures:
    return np.clip(255.0 * image.cpu().numpy(), 0, 255).astype(np.uint8)
