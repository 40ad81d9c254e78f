"""Random numbers of model patches: the same for the same seed and noise level, in inversion and replay alike.

Patches such as HyperTile and token merging draw from torch's global generators while the network runs. The host's
samplers seed those generators once per run; here every call of the network is seeded, because inversion and replay do
not make the same number of calls.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from comfy.patcher_extension import WrappersMP
from torch import Tensor


@contextmanager
def generators_kept(devices: Iterable[torch.device]) -> Iterator[None]:
    """Restore the global generators of the CPU and of these devices on leaving the context."""
    cpu = torch.get_rng_state()
    others = [(device, module, module.get_rng_state(*_which(device))) for device, module in _with_generators(devices)]
    try:
        yield
    finally:
        torch.set_rng_state(cpu)
        for device, module, state in others:
            module.set_rng_state(state, *_which(device))


def call_seed(seed: int, level: float) -> int:
    """The 63-bit number that seeds the generators for calls at a noise level.

    Args:
        seed: of the run.
        level: noise level.
    """
    return int.from_bytes(hashlib.sha256(f"{seed} {level.hex()}".encode()).digest()[:8], "big") >> 1


def seed_generators(number: int, device: torch.device) -> None:
    """Seed the global generators of the CPU and of a device, which must be the current one of its type."""
    torch.default_generator.manual_seed(number)
    for _, module in _with_generators([device]):
        module.manual_seed(number)


def seeding_every_call(model_options: dict[str, Any], key: str, number: int) -> dict[str, Any]:
    """Model options with which every call of the network starts from freshly seeded global generators.

    Args:
        model_options: the host's; they are not modified.
        key: of the wrapper.
        number: to seed with.
    """

    def around_model(executor: Callable[..., Tensor], x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        seed_generators(number, x.device)
        return executor(x, *args, **kwargs)

    def around_function(apply_model: Callable[..., Tensor], args: dict[str, Any]) -> Tensor:
        seed_generators(number, args["input"].device)
        result: Tensor = model_options["model_function_wrapper"](apply_model, args)
        return result

    transformer_options = model_options.get("transformer_options", {})
    wrappers = transformer_options.get("wrappers", {})
    # First, so that other wrappers draw after it.
    models = {key: [around_model], **wrappers.get(WrappersMP.APPLY_MODEL, {})}
    wrappers = {**wrappers, WrappersMP.APPLY_MODEL: models}
    options = {**model_options, "transformer_options": {**transformer_options, "wrappers": wrappers}}
    if "model_function_wrapper" in model_options:
        options["model_function_wrapper"] = around_function
    return options


def _with_generators(devices: Iterable[torch.device]) -> list[tuple[torch.device, Any]]:
    """Devices that have a generator besides the CPU's, with their module of torch."""
    modules = [(device, getattr(torch, device.type, None)) for device in devices if device.type != "cpu"]
    return [(device, module) for device, module in modules if hasattr(module, "get_rng_state")]


def _which(device: torch.device) -> tuple[torch.device, ...]:
    """Arguments that name the device to its module; Apple's module has only one device."""
    return () if device.type == "mps" else (device,)
