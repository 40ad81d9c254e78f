"""Small model files in the miniature's widths for the host's loaders: LoRA, ControlNet, hypernetwork and GLIGEN.

The weights are random, because it only matters that they change the picture.
"""

from __future__ import annotations

import importlib
import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

State = dict[str, Tensor]

LORA_RANK = 4
LORA_STRENGTH = 0.15
"""Norm of a LoRA's change relative to the weight it changes."""

CONTROL_STRENGTH = 0.3
"""Standard deviation of the random output layers of a ControlNet."""

HYPERNETWORK_STRENGTH = 0.02
GLIGEN_GATE = 0.3


def write_files(folder: Path, model: Any, clip: Any) -> None:
    """Write one file of each kind and register the folders with the host.

    Args:
        folder: existing folder.
        model: MODEL of the miniature.
        clip: CLIP of the miniature.
    """
    paths: Any = importlib.import_module("folder_paths")
    write: Any = importlib.import_module("comfy.utils").save_torch_file
    random = torch.Generator().manual_seed(20)
    weights = {"diffusion_model." + name: weight for name, weight in model.model.diffusion_model.state_dict().items()}
    made = {
        "loras": lora(random, weights, clip.cond_stage_model.state_dict()),
        "controlnet": controlnet(random, model),
        "gligen": gligen(random, weights, clip),
    }
    for kind, state in made.items():
        (folder / kind).mkdir()
        write(state, str(folder / kind / f"tiny-{kind}.safetensors"))
        paths.add_model_folder_path(kind, str(folder / kind))
    (folder / "hypernetworks").mkdir()
    torch.save(hypernetwork(random, model), folder / "hypernetworks" / "tiny-hypernetworks.pt")
    paths.add_model_folder_path("hypernetworks", str(folder / "hypernetworks"))


def lora(random: torch.Generator, network: State, texts: State) -> State:
    """Make a LoRA on every second attention weight of the network and both text encoders."""
    state: State = {}
    names = [name for name in network if ".attn" in name and name.endswith("weight")]
    text_names = [name for name in texts if "self_attn" in name and name.endswith("proj.weight")]
    for prefix, weights, chosen in (("", network, names[::2]), ("text_encoders.", texts, text_names[::2])):
        for name in chosen:
            weight, key = weights[name], prefix + name.removesuffix(".weight")
            up = torch.randn(weight.shape[0], LORA_RANK, generator=random)
            down = torch.randn(LORA_RANK, weight.shape[1], generator=random)
            scale = LORA_STRENGTH * weight.float().norm() / (up @ down).norm()
            state[f"{key}.lora_up.weight"], state[f"{key}.lora_down.weight"] = up * scale, down
    return state


def controlnet(random: torch.Generator, model: Any) -> State:
    """Make a ControlNet as its training starts, a copy of the network, but with output layers that are not zero."""
    cldm: Any = importlib.import_module("comfy.cldm.cldm")
    ops: Any = importlib.import_module("comfy.ops")
    unused = ("out_channels", "transformer_depth_output", "disable_self_attentions")
    config = {name: value for name, value in model.model.model_config.unet_config.items() if name not in unused}
    with torch.inference_mode(False):
        network = cldm.ControlNet(**config, hint_channels=3, operations=ops.disable_weight_init)
        state: State = network.state_dict()
    copied = model.model.diffusion_model.state_dict()
    for name, weight in state.items():
        if name in copied and copied[name].shape == weight.shape:
            state[name] = copied[name].clone()
        else:
            spread = CONTROL_STRENGTH / math.sqrt(max(1, weight[0].numel())) if weight.ndim > 1 else 0.0
            state[name] = spread * torch.randn(weight.shape, generator=random)
    return state


def hypernetwork(random: torch.Generator, model: Any) -> dict[int, list[State]]:
    """Make linear layers on keys and values, by the width of their input."""
    unet = model.model.model_config.unet_config
    widths = {unet["context_dim"], *(unet["model_channels"] * times for times in unet["channel_mult"])}

    def layer(width: int) -> State:
        weight = HYPERNETWORK_STRENGTH * torch.randn(width, width, generator=random)
        return {"linear.0.weight": weight, "linear.0.bias": torch.zeros(width)}

    return {width: [layer(width), layer(width)] for width in sorted(widths)}


def gligen(random: torch.Generator, network: State, clip: Any) -> State:
    """Make gated attention for every transformer block, and the network that places a text in a box."""
    module: Any = importlib.import_module("comfy.gligen")
    tokens = clip.tokenize("a face")
    width = clip.encode_from_tokens(tokens, return_pooled="unprojected")[1].shape[-1]
    state: State = {}
    for name, weight in network.items():
        if not name.endswith("attn1.to_q.weight"):
            continue
        block = name.removeprefix("diffusion_model.").removesuffix("attn1.to_q.weight")
        query = weight.shape[0]
        state |= _random(random, module.GatedSelfAttentionDense(query, width, query // 64, 64), f"{block}fuser.")
    return state | _random(random, module.PositionNet(width, width), "position_net.")


def _random(random: torch.Generator, module: Any, prefix: str) -> State:
    """Return a module's state with random weights of typical size."""
    state: State = {}
    for name, weight in module.state_dict().items():
        if name.startswith("alpha"):
            filled = torch.full(weight.shape, GLIGEN_GATE)
        elif weight.ndim > 1:
            filled = torch.randn(weight.shape, generator=random) / math.sqrt(weight.shape[1])
        else:
            filled = (
                torch.ones(weight.shape) if "norm" in name and name.endswith("weight") else torch.zeros(weight.shape)
            )
        state[prefix + name] = filled
    return state
