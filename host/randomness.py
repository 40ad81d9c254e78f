"""Random numbers of model patches: the same for the same seed and noise level, in inversion and replay alike.

Patches such as HyperTile and token merging draw from torch's global generators while the network runs. The host's
samplers seed those generators once a run; here every call of the network is seeded, because inversion and replay do not
make the same number of calls.
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
def callers_generators_kept(devices: Iterable[torch.device]) -> Iterator[None]:
    """Give the global generators of the CPU and of these devices back as they were."""
    cpu = torch.get_rng_state()
    others = [(device, module, module.get_rng_state(*_which(device))) for device, module in _with_generators(devices)]
    try:
        yield
    finally:
        torch.set_rng_state(cpu)
        for device, module, state in others:
            module.set_rng_state(state, *_which(device))


def seeding_every_call(transformer_options: dict[str, Any], key: str, seed: int, level: float) -> dict[str, Any]:
    """Transformer options with which every call of the network starts from freshly seeded global generators.

    Args:
        transformer_options: the host's; they are not modified.
        key: of the wrapper.
        seed: of the run.
        level: noise level of the call.
    """
    drawn = hashlib.sha256(f"{seed} {level.hex()}".encode()).digest()
    number = int.from_bytes(drawn[:8], "big") >> 1

    def seeded(executor: Callable[..., Tensor], x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        torch.default_generator.manual_seed(number)
        for _, module in _with_generators([x.device]):
            module.manual_seed(number)
        return executor(x, *args, **kwargs)

    wrappers = transformer_options.get("wrappers", {})
    # First, so that the draws of other wrappers come after it.
    around_model = {key: [seeded], **wrappers.get(WrappersMP.APPLY_MODEL, {})}
    return {**transformer_options, "wrappers": {**wrappers, WrappersMP.APPLY_MODEL: around_model}}


def _with_generators(devices: Iterable[torch.device]) -> list[tuple[torch.device, Any]]:
    """Devices that have a generator besides the CPU's, with their module of torch."""
    modules = [(device, getattr(torch, device.type, None)) for device in devices if device.type != "cpu"]
    return [(device, module) for device, module in modules if hasattr(module, "get_rng_state")]


def _which(device: torch.device) -> tuple[torch.device, ...]:
    """What names the device to its module; there is only one of Apple's."""
    return () if device.type == "mps" else (device,)
