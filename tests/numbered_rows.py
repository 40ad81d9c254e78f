"""Tensors and hints whose rows hold their numbers, so that a test sees which row went where."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from harness.in_process import load_pack

BATCH = 3
"""Number of rows unless another is given."""


def numbered(*shape: int, count: int = BATCH) -> Tensor:
    """A tensor whose rows hold their numbers."""
    return torch.arange(float(count)).view(count, *[1] * len(shape)).expand(count, *shape).clone()


def numbers(value: Tensor) -> list[float]:
    return value.flatten(1).mean(1).tolist() if value.ndim > 1 else value.tolist()


def hints(count: int = BATCH, previous: Any = None) -> Any:
    """A ControlNet that notes which hint the host would show it for each latent, and whether it is ready."""
    load_pack()
    import comfy.controlnet

    class HintReader(comfy.controlnet.ControlBase):
        seen: list[list[float]]

        def get_control(self, x: Tensor, t: Any, cond: Any, batched_number: int, *options: Any) -> None:
            assert self.timestep_range is not None, "not prepared by the host"
            if self.previous_controlnet is not None:
                self.previous_controlnet.get_control(x, t, cond, batched_number, *options)
            if self.cond_hint is None:
                self.cond_hint = self.cond_hint_original.clone()
            if self.cond_hint.shape[0] != x.shape[0]:
                self.cond_hint = comfy.controlnet.broadcast_image_to(self.cond_hint, x.shape[0], batched_number)
            self.seen.append(numbers(self.cond_hint.expand(x.shape[0], *self.cond_hint.shape[1:])))

    control = HintReader()
    control.seen = []
    control.set_cond_hint(numbered(3, 64, 64, count=count), extra_concat=[numbered(1, 8, 8, count=count)])
    return control.set_previous_controlnet(previous)
