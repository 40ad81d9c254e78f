"""What replaces a function in tests that inject faults: it throws, returns nothing, or returns spoilt values."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import torch


class InjectedError(RuntimeError):
    """What is thrown."""


def throw(*args: Any, **kwargs: Any) -> Any:
    raise InjectedError("the injected fault")


def give(value: Any) -> Callable[..., Any]:
    return lambda *args, **kwargs: value


def spoilt(function: Callable[..., Any], spoil: Callable[[Any], Any]) -> Callable[..., Any]:
    return lambda *args, **kwargs: spoil(function(*args, **kwargs))


def to_nan(value: Any) -> Any:
    """The same with every number that is not a position or a size made NaN."""
    if isinstance(value, torch.Tensor):
        return torch.full_like(value, torch.nan) if value.is_floating_point() else value
    if isinstance(value, np.ndarray):
        return np.full_like(value, np.nan) if value.dtype.kind == "f" else value
    if isinstance(value, float):
        return float("nan")
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        return type(value)(to_nan(one) for one in value)
    if isinstance(value, dict):
        return {key: to_nan(one) for key, one in value.items()}
    if dataclasses.is_dataclass(value):
        changed = {f.name: to_nan(getattr(value, f.name)) for f in dataclasses.fields(value) if f.init}
        return dataclasses.replace(value, **changed)
    return value


FAULTS: dict[str, Callable[[Any], Any]] = {
    "throws": lambda function: throw,
    "gives nothing": lambda function: give(None),
    "gives NaN": lambda function: spoilt(function, to_nan),
}


def nothing_from(kind: Any) -> Callable[..., Any]:
    from comfy_api.latest import io

    return lambda *args, **kwargs: io.NodeOutput(*[None] * len(kind.RETURN_TYPES))


def spoil_output(output: Any) -> Any:
    from comfy_api.latest import io

    return io.NodeOutput(*[to_nan(one) for one in output.result or ()])


def boxes_nan(faces: list[Any]) -> list[Any]:
    return [dataclasses.replace(face, box=(float("nan"),) * 4) for face in faces]


def landmarks_nan(faces: list[Any]) -> list[Any]:
    return [dataclasses.replace(face, landmarks=((float("nan"),) * 2,) * 5) for face in faces]


def landmarks_together(faces: list[Any]) -> list[Any]:
    return [dataclasses.replace(face, landmarks=(face.centre,) * 5) for face in faces]
