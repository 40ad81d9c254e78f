"""Digests patches as they were made, so that what they write while they run does not make a model look different."""

from __future__ import annotations

import functools
import types
import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torch import Tensor, nn

from .code_digest import written_cells

_MOST_VALUES = 100_000


class FirstSight:
    """Remembers each patch's digest for as long as the patch lives.

    A node makes a patch once and does not change it afterwards, so its state when first seen is its settings; lists and
    caches that it fills later are not.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[int, ...], tuple[weakref.ref[Any], str]] = {}

    def digest(self, patch: Any, compute: Callable[[], str]) -> str:
        """A patch's digest.

        Args:
            patch: any value; the digests of modules, and of values without weak references (numbers, containers), are
                computed anew each time.
            compute: computes the digest.
        """
        owner: Any = patch
        key: tuple[int, ...] = (id(patch),)
        if isinstance(patch, types.MethodType):  # a new object at every access
            owner, key = patch.__self__, (id(patch.__self__), id(patch.__func__))
        if isinstance(owner, (nn.Module, Tensor)) or type(owner).__weakrefoffset__ == 0:
            return compute()
        if key not in self._kept:
            forget = functools.partial(_forget, self._kept, key)
            self._kept[key] = (weakref.ref(owner, forget), compute())
        return self._kept[key][1]


def _forget(kept: dict[tuple[int, ...], Any], key: tuple[int, ...], reference: Any) -> None:
    kept.pop(key, None)


def running_cells(patches: Iterable[Any]) -> frozenset[int]:
    """Ids of the closure cells that any of several patches writes: two patches of a node may share their state.

    Args:
        patches: functions, methods, callable objects, and containers of these.
    """
    cells: set[int] = set()
    met: dict[int, Any] = {}
    waiting = list(patches)
    while waiting and len(met) < _MOST_VALUES:
        value = waiting.pop()
        if id(value) in met or isinstance(value, (str, bytes, int, float, Tensor, nn.Module, type, types.ModuleType)):
            continue
        met[id(value)] = value
        if isinstance(value, types.FunctionType):
            cells.update(written_cells(value))
            waiting.extend(_contents(value))
        elif isinstance(value, types.MethodType):
            waiting.extend((value.__func__, value.__self__))
        elif isinstance(value, functools.partial):
            waiting.extend((value.func, value.args, value.keywords))
        elif isinstance(value, Mapping):
            waiting.extend(value.values())
        elif isinstance(value, (list, tuple, set, frozenset)):
            waiting.extend(value)
        elif callable(value) and hasattr(value, "__dict__"):
            waiting.extend(vars(value).values())
    return frozenset(cells)


def _contents(function: types.FunctionType) -> list[Any]:
    contents = [*vars(function).values(), function.__defaults__, function.__kwdefaults__]
    for cell in function.__closure__ or ():
        try:
            contents.append(cell.cell_contents)
        except ValueError:  # a variable that has no value yet
            continue
    return contents
