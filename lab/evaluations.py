"""What this process's host does with its denoisers: every call is counted, and can be looked at or changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from torch import Tensor

from harness.in_process import start_host

Call = Callable[[], Tensor]
"""Evaluates the network once more on the same input."""


@dataclass
class Evaluations:
    """How often the denoiser was evaluated.

    Attributes:
        rows: of each call, in order.
    """

    rows: list[int] = field(default_factory=list)

    @property
    def count(self) -> int:
        """Evaluations, each latent of a batch counted."""
        return sum(self.rows)


@contextmanager
def around_evaluations(evaluate: Callable[[Call, int], Tensor]) -> Iterator[None]:
    """Let a function evaluate every denoiser of this process while the `with` block lasts.

    Args:
        evaluate: called with what the host would do and with the number of rows; returns the prediction.
    """
    start_host()
    model: Any = import_module("comfy.model_base").BaseModel
    apply_model = model.apply_model

    def apply(self: Any, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return evaluate(lambda: apply_model(self, x, *args, **kwargs), len(x))

    model.apply_model = apply
    try:
        yield
    finally:
        model.apply_model = apply_model


@contextmanager
def counted_evaluations() -> Iterator[Evaluations]:
    """Count the evaluations of every denoiser in this process while the `with` block lasts."""
    counted = Evaluations()

    def count(call: Call, rows: int) -> Tensor:
        counted.rows.append(rows)
        return call()

    with around_evaluations(count):
        yield counted
