"""Compare the pack, inside ComfyUI, with numbers from the paper authors' implementation.

    python -m tests.golden DIR

reads a folder in the golden format (tests/golden_set/FORMAT.md), runs the pack's nodes on it and exits with
0 if every number is within its tolerance, otherwise with 1.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from harness.environment import SetupError
from harness.in_process import load_pack, part, run_node

EPS_TOLERANCE = 3e-5
NOISE_MAP_TOLERANCE = 1e-4
FINAL_TOLERANCE = 1e-3
RECONSTRUCTION_TOLERANCE = 1e-5
START_TOLERANCE = 1e-5

# name in eps.npz -> adapter on, identity's factor, ip_scale, LoRA on
EPS_VARIANTS = {
    "eps_base": (False, 0.0, 0.0, False),
    "eps_null": (True, 0.0, 1.0, True),
    "eps_id": (True, 1.0, 1.0, True),
    "eps_id_scale08": (True, 1.0, 0.8, True),
    "eps_id_x09": (True, 0.9, 1.0, True),
    "eps_lora_only": (True, 1.0, 0.0, True),
    "eps_null_nolora": (True, 0.0, 1.0, False),
    "eps_id_nolora": (True, 1.0, 1.0, False),
    "eps_nolora_scale0": (True, 1.0, 0.0, False),
}
TOKENS = {"tokens_null": 0.0, "tokens_id": 1.0, "tokens_id_x09": 0.9}


@dataclass(frozen=True)
class Comparison:
    """The difference of a number from the golden one, and its tolerance."""

    name: str
    difference: float
    tolerance: float

    @property
    def passed(self) -> bool:
        return bool(np.isfinite(self.difference)) and self.difference <= self.tolerance

    def __str__(self) -> str:
        verdict = "ok  " if self.passed else "FAIL"
        return f"{verdict} {self.name:<44} {self.difference:10.2e}  (at most {self.tolerance:.0e})"


class GoldenModel:
    """The golden UNet as a ComfyUI model, and the adapter files beside it.

    Args:
        folder: in the golden format.
    """

    def __init__(self, folder: Path) -> None:
        load_pack()
        import comfy.model_patcher
        import comfy.supported_models
        import folder_paths
        from safetensors.torch import load_file

        unet_config = json.loads((folder / "unet_config.json").read_text(encoding="utf-8"))
        family = comfy.supported_models.SDXL if unet_config.get("num_classes") else comfy.supported_models.SD15
        heads = {key: unet_config[key] for key in ("num_heads", "num_head_channels")}
        config = type("Golden", (family,), {"unet_config": {}, "unet_extra_config": heads})(unet_config)
        config.set_inference_dtype(torch.float32, None)
        cpu = torch.device("cpu")
        network = config.get_model({}, device=cpu)
        network.load_model_weights(load_file(folder / "unet_comfy.safetensors"), "model.diffusion_model.")
        self.patcher = comfy.model_patcher.CoreModelPatcher(network, load_device=cpu, offload_device=cpu)
        folder_paths.add_model_folder_path("ipadapter", str(folder), is_default=True)
        self.adapter_files = sorted(
            path.name for pattern in ("ip-adapter*.bin", "ip-adapter*.safetensors") for path in folder.glob(pattern)
        )
        if not self.adapter_files:
            raise FileNotFoundError(f"no ip-adapter*.bin or .safetensors in {folder}")

    def with_adapter(self, ip_scale: float = 1.0, lora: bool = True, file: str | None = None) -> Any:
        """The model after ReverseIdentityAdapterLoader; `lora` off takes the LoRA's patches away again."""
        model = run_node("ReverseIdentityAdapterLoader", self.patcher, file or self.adapter_files[0], ip_scale)
        if not lora:
            model = model.clone()
            model.patches.clear()
            model.add_patches({})
        return model


def conditioning(embeds: np.ndarray, pooled: np.ndarray | None, time_ids: np.ndarray | None) -> list[list[Any]]:
    """Golden text arrays as ComfyUI's CONDITIONING."""
    options: dict[str, Any] = {}
    if pooled is not None:
        options["pooled_output"] = torch.from_numpy(pooled)
    if time_ids is not None:
        names = ("height", "width", "crop_h", "crop_w", "target_height", "target_width")
        options.update(zip(names, (float(value) for value in time_ids), strict=True))
    return [[torch.from_numpy(embeds), options]]


def faces_of(embeddings: Tensor, height: int, width: int) -> Any:
    """Make FACES with given unit embeddings, one per image."""
    faces = part("reverse_personalization.geometry.faces")
    box, landmarks = (0.0, 0.0, float(width), float(height)), ((0.0, 0.0),) * 5
    images = tuple((faces.Face(box, landmarks, 1.0, embedding),) for embedding in embeddings)
    return faces.Faces(images, height, width, "golden", "none")


def predict_eps(model: Any, text: Any, identity: Tensor | None, x: Tensor, timesteps: list[int]) -> Tensor:
    """Return the network's output at noisy latents x (model space, variance preserving), one per timestep."""
    import comfy.samplers
    from comfy.patcher_extension import WrappersMP

    outputs: list[Tensor] = []

    def record(executor: Any, *args: Any, **kwargs: Any) -> Tensor:
        outputs.append(executor(*args, **kwargs))
        return outputs[-1]

    class Probe(comfy.samplers.Sampler):
        def sample(self, model_wrap: Any, sigmas: Tensor, extra_args: dict[str, Any], *args: Any) -> Tensor:
            scale = (1 + sigmas**2).sqrt().view(-1, 1, 1, 1)
            return model_wrap(x * scale, sigmas, **extra_args)

    model = model.clone()
    model.add_wrapper_with_key(WrappersMP.DIFFUSION_MODEL, "golden probe", record)
    guider = comfy.samplers.CFGGuider(model)
    if identity is not None:
        text = part("host.identity_adapter").with_identity(text, identity)
    guider.inner_set_conds({"positive": text})
    sigmas = model.get_model_object("model_sampling").sigmas[timesteps]
    with torch.inference_mode():
        guider.sample(torch.zeros_like(x), torch.zeros_like(x), Probe(), sigmas)
    return outputs[0]


def compare_eps(golden: GoldenModel, data: Mapping[str, np.ndarray]) -> Iterator[Comparison]:
    """The adapter and its LoRA alone: raw predictions at fixed inputs."""
    text = conditioning(data["embeds"], data.get("pooled"), data.get("time_ids"))
    timesteps = [int(t) for t in data["t"]]
    x = torch.from_numpy(data["x"]).expand(len(timesteps), -1, -1, -1)
    identity = torch.from_numpy(data["id_embed"])[None]
    for name, (adapter, factor, ip_scale, lora) in EPS_VARIANTS.items():
        for file in golden.adapter_files if adapter else [""]:
            model = golden.with_adapter(ip_scale, lora, file) if adapter else golden.patcher
            eps = predict_eps(model, text, identity * factor if adapter else None, x, timesteps)
            yield _compare(f"{name} {file.rpartition('.')[2]}", eps, data[name], EPS_TOLERANCE)
    layers = golden.with_adapter().get_additional_models_with_key(part("host.identity_adapter").KEY)[0].model
    for name, factor in TOKENS.items():
        with torch.inference_mode():
            yield _compare(name, layers.tokens(identity * factor)[0], data[name], EPS_TOLERANCE)


def compare_run(golden: GoldenModel, name: str, data: Mapping[str, np.ndarray]) -> Iterator[Comparison]:
    """One full run: inversion, generation with the identity, reconstruction without."""
    steps, seed, guidance = int(data["steps"]), int(data["seed"]), float(data["guidance"])
    denoise = round(1.0 - float(data["skip"]), 6)
    schedule = part("reverse_personalization.method.schedule")
    x0 = torch.from_numpy(data["x0"])
    noise = schedule.timestep_noise(x0.shape[1:], steps, seed)
    drawn = noise.numpy()[::-1].reshape(data["noise"].shape)
    yield Comparison(f"{name} noise", float(not np.array_equal(drawn, data["noise"])), 0.0)
    visited = schedule.timesteps(steps, denoise)
    yield Comparison(f"{name} timesteps", float(visited != data["timesteps"].tolist()), 0.0)

    model = golden.with_adapter(float(data["ip_scale"]))
    network = model.model

    def text(which: str, time_ids: str) -> list[list[Any]]:
        return conditioning(
            data[f"{which}_embeds{_suffix(which, time_ids)}"],
            data.get(f"{which}_pooled{_suffix(which, time_ids)}"),
            data.get(f"time_ids_{time_ids}"),
        )

    trajectory = run_node(
        "DPMSolverInversion",
        model,
        {"samples": network.process_latent_out(x0)},
        text("pos", "inv"),
        steps,
        denoise,
        seed,
        negative=text("neg", "inv"),
        cfg=guidance,
    )
    yield _compare(f"{name} init_latents", trajectory.x_T, data["init_latents"], START_TOLERANCE)
    zs = data["zs"].reshape(trajectory.z.shape)
    scale = float(np.abs(zs).max())
    yield _compare(f"{name} zs (relative)", trajectory.z / scale, zs / scale, NOISE_MAP_TOLERANCE)

    height, width = (8 * side for side in x0.shape[2:])
    somebody = torch.from_numpy(data["id_embed_unit"])[None]

    def generate(attributes: Any, embedding: Tensor, identity_scale: float, source: Any) -> Tensor:
        faces = faces_of(embedding, height, width)
        latent = run_node(
            "ReverseIdentityKSampler", model, trajectory, faces, guidance, attributes, identity_scale, source
        )
        return network.process_latent_in(latent["samples"])

    final = generate(text("neg", "gen"), somebody, float(data["id_emb_scale"]), text("pos", "gen"))
    yield _compare(f"{name} final_exact", final, data["final_exact"], FINAL_TOLERANCE)
    # The zero vector is the null identity, and both texts are the inversion's.
    reconstruction = generate(text("neg", "inv"), torch.zeros_like(somebody), 1.0, text("pos", "inv"))
    yield _compare(f"{name} reconstruction", reconstruction, data["x0"], RECONSTRUCTION_TOLERANCE)


def _suffix(which: str, phase: str) -> str:
    return f"_{phase}" if which == "neg" else ""


def _compare(name: str, ours: Tensor, golden: np.ndarray, tolerance: float) -> Comparison:
    if tuple(ours.shape) != golden.shape:
        return Comparison(f"{name} shape {tuple(ours.shape)} for {golden.shape}", float("inf"), tolerance)
    return Comparison(name, float(np.abs(ours.double().cpu().numpy() - golden).max()), tolerance)


def compare_folder(folder: Path) -> Iterator[Comparison]:
    """Every comparison that a golden folder allows."""
    golden = GoldenModel(folder)
    yield from compare_eps(golden, np.load(folder / "eps.npz"))
    for path in sorted(folder.glob("*.npz")):
        if path.name != "eps.npz":
            yield from compare_run(golden, path.stem, np.load(path))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.golden", description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="a folder in the golden format")
    folder = parser.parse_args().folder.resolve()
    if not (folder / "eps.npz").is_file():
        parser.error(f"no eps.npz in {folder}; expected a folder in the golden format (tests/golden_set/FORMAT.md)")
    failed = count = 0
    for comparison in compare_folder(folder):
        print(comparison, flush=True)
        count += 1
        failed += not comparison.passed
    print(f"{count - failed} of {count} within tolerance")
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except SetupError as error:
        sys.exit(f"error: {error}")
