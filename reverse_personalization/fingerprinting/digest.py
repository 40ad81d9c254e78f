"""Digests that tell networks and their patches apart, the same in every process.

A weight counts by its shape, dtype and 64 of its elements: enough to distinguish weights of different origin without
reading seven gigabytes. A function counts by its code and closure, an object by its class and attributes. What a patch
writes while it runs is not a setting and does not count.
"""

from __future__ import annotations

import enum
import functools
import hashlib
import logging
import pathlib
import random
import threading
import types
import uuid
import weakref
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from operator import itemgetter
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import PackError
from .code_digest import code_parts, module_name, written_attributes
from .tensor_digest import tensor_bytes

_SHOWN = 12
_DEEPEST = 100
_MOST_VALUES = 500_000
_READ_WHOLE = 1 << 20
"""Largest number of elements of a tensor other than a weight that is read whole: masks may differ in a few pixels."""

_BY_TYPE_ALONE = (
    torch.device,  # where a network runs does not decide what it predicts
    uuid.UUID,
    logging.Logger,
    weakref.ref,
    threading.local,
    type(threading.Lock()),
    type(threading.RLock()),
)
_DESCRIPTORS = (
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
    types.ClassMethodDescriptorType,
    types.GetSetDescriptorType,
)
_BY_REPR = (
    torch.dtype,
    torch.layout,
    torch.memory_format,
    pathlib.PurePath,
    range,
    slice,
    type(...),
    type(NotImplemented),
)
_CACHED_FUNCTION = type(functools.lru_cache(print))
_TORCH_ATTRIBUTES = frozenset(vars(nn.Module()))

Expand = Callable[[Any], Any]
"""Replaces a value of a type that the caller knows with simpler values; returns any other value itself."""


class UndigestibleError(PackError, ValueError):
    """A value has no digest that is the same in every process; the message says which: "a generator in state.x"."""


def digest(
    parts: Iterable[tuple[str, Any]], *, expand: Expand = lambda value: value, running: Collection[int] = frozenset()
) -> str:
    """A short digest of named values.

    Args:
        parts: names with tensors, numbers, strings, functions, modules, objects, and containers of these; order counts.
        expand: replaces values of types that the caller knows, such as a network, with simpler ones.
        running: ids of closure cells that functions write while they run and that do not count.

    Returns:
        12 hexadecimal digits.

    Raises:
        UndigestibleError: a value cannot be compared between processes.
    """
    digester = _Digester(expand, running)
    with torch.no_grad():
        for name, value in parts:
            digester.add(name, value)
    return digester.hexdigest()


class Weight:
    """Marks a tensor as a weight, of which only a sample counts.

    Args:
        tensor: of any size and kind, on any device.
    """

    __slots__ = ("tensor",)

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


class _Digester:
    def __init__(self, expand: Expand, running: Collection[int]) -> None:
        self._expand = expand
        self._running = running
        self._state = hashlib.sha256()
        # Objects met so far, numbered in order. An object met again is written as its number, so that cycles end. The
        # objects are kept alive, because an id is unique only while its object lives.
        self._met: dict[int, tuple[int, Any]] = {}
        self._called: dict[int, Callable[..., Any]] = {}
        self._path: list[str] = []
        self._values = 0

    def add(self, name: str, value: Any) -> None:
        self._write("part", name)
        self._inner(name, value)

    def hexdigest(self) -> str:
        return self._state.hexdigest()[:_SHOWN]

    def _write(self, kind: str, content: str | bytes) -> None:
        encoded = content.encode(errors="surrogatepass") if isinstance(content, str) else content
        self._state.update(f"{kind} {len(encoded)}:".encode())
        self._state.update(encoded)

    def _inner(self, name: str, value: Any) -> None:
        self._path.append(name)
        self._values += 1
        if len(self._path) > _DEEPEST or self._values > _MOST_VALUES:
            raise UndigestibleError(f"too much to compare at {'.'.join(self._path[:5])}")
        self._any(value)
        self._path.pop()

    def _any(self, value: Any) -> None:
        kind = type(value)
        if kind is Weight:
            self._write("weight", tensor_bytes(value.tensor, whole=False))
        elif kind is tuple:  # never written as a number: the interpreter may or may not share constants
            self._sequence(value)
        elif kind is list or kind is dict:
            self._once(value, self._sequence if kind is list else self._mapping)
        elif kind is float:
            self._number(value)
        elif value is None or isinstance(value, (bool, str, bytes)):
            self._write(kind.__name__, value if isinstance(value, (str, bytes)) else repr(value))
        elif isinstance(value, enum.Enum):
            self._write("enum", f"{_class_name(type(value))}.{value.name}")
        elif isinstance(value, (int, float, complex, np.generic)):
            self._number(value.item() if isinstance(value, np.generic) else value)
        elif isinstance(value, Tensor):
            self._write("tensor", tensor_bytes(value, whole=value.numel() <= _READ_WHOLE))
        elif isinstance(value, np.ndarray) and value.dtype != object:
            self._write("array", f"{value.shape}{value.dtype}".encode() + np.ascontiguousarray(value).tobytes())
        elif isinstance(value, _BY_REPR):
            self._write(type(value).__name__, repr(value))
        elif isinstance(value, _BY_TYPE_ALONE) or type(value) is object:
            self._write("type", type(value).__name__)
        elif isinstance(value, types.ModuleType):
            self._write("module", module_name(value.__name__))
        elif kind is frozenset:
            self._unordered(value)
        else:
            self._once(value, self._compound)

    def _once(self, value: Any, walk: Callable[[Any], None]) -> None:
        if id(value) in self._met:
            self._write("again", str(self._met[id(value)][0]))
        else:
            self._met[id(value)] = (len(self._met), value)
            walk(value)

    def _compound(self, value: Any) -> None:
        expanded = self._expand(value)
        if expanded is not value:
            self._inner("", expanded)
        elif isinstance(value, (types.FunctionType, types.MethodType, types.CodeType, functools.partial)):
            self._function(value)
        elif isinstance(value, type):
            self._class(value)
        elif isinstance(value, nn.Module):
            self._module(value)
        elif isinstance(value, torch.Size):
            self._sequence(value)
        elif isinstance(value, types.MappingProxyType):
            self._mapping(value)
        elif type(value) is set:
            self._unordered(value)
        else:
            self._object(value)

    def _number(self, value: complex) -> None:
        # A strength of 1 equals a strength of 1.0.
        exact = not isinstance(value, int) or abs(value) < 1 << 53
        self._write("number", repr(complex(value)) if exact else repr(value))

    def _sequence(self, value: Sequence[Any]) -> None:
        self._write("sequence", str(len(value)))
        for i, item in enumerate(value):
            self._inner(str(i), item)

    def _mapping(self, value: Mapping[Any, Any]) -> None:
        self._write("mapping", str(len(value)))
        for key, name, item in sorted(((self._apart(k), k, v) for k, v in value.items()), key=itemgetter(0)):
            self._write("key", key)
            self._inner(str(name), item)

    def _unordered(self, value: Set[Any]) -> None:
        self._write("set", " ".join(sorted(self._apart(item) for item in value)))

    def _apart(self, value: Any) -> str:
        return digest([("", value)], expand=self._expand, running=self._running)

    def _function(self, value: Any) -> None:
        if isinstance(value, types.MethodType):
            self._write("method", getattr(value, "__name__", ""))
            self._inner("", value.__func__)
            self._called[id(value.__self__)] = value.__func__
            self._inner("self", value.__self__)
        elif isinstance(value, functools.partial):
            self._write("partial", "")
            self._sequence([value.func, value.args, value.keywords])
        elif isinstance(value, types.CodeType):
            self._sequence(code_parts(value))
        elif (compiled := getattr(value, "_torchdynamo_orig_callable", None)) is not None:
            self._write("compiled", "")
            self._inner("", compiled)
        else:
            self._write("function", f"{module_name(value.__module__)} {value.__qualname__}")
            self._inner("code", value.__code__)
            self._inner("defaults", [value.__defaults__, value.__kwdefaults__, value.__dict__])
            for name, cell in zip(value.__code__.co_freevars, value.__closure__ or (), strict=True):
                if id(cell) not in self._running:
                    self._inner(name, _content(cell))

    def _class(self, value: type) -> None:
        self._write("class", " ".join(_class_name(base) for base in value.__mro__))
        if "<locals>" in value.__qualname__:  # its methods may close over settings
            methods = {name: item for name, item in vars(value).items() if isinstance(item, types.FunctionType)}
            self._mapping(methods)

    def _module(self, value: nn.Module) -> None:
        if hasattr(value, "_orig_mod") and type(value).__module__.startswith("torch._dynamo"):
            self._write("compiled", "")
            self._inner("", value._orig_mod)
            return
        self._inner("class", type(value))
        if type(value).__module__.startswith(("torch.nn.", "comfy.ops")):
            # The host attaches its own bookkeeping to these; their description says what they compute.
            self._write("layer", value.extra_repr())
        else:
            settings = {name: item for name, item in vars(value).items() if name not in _TORCH_ATTRIBUTES}
            self._mapping({name: item for name, item in settings.items() if not _is_bookkeeping(name)})
        for name, tensor in sorted(value._parameters.items()):
            self._inner(name, None if tensor is None else Weight(tensor))
        self._mapping({k: v for k, v in value._buffers.items() if k not in value._non_persistent_buffers_set})
        self._mapping(value._modules)

    def _object(self, value: Any) -> None:
        kind = type(value)
        if isinstance(value, (types.BuiltinFunctionType, types.MethodWrapperType)):
            self._write("builtin", value.__qualname__)
            if not isinstance(value.__self__, types.ModuleType):
                self._inner("self", value.__self__)
        elif isinstance(value, _DESCRIPTORS):
            self._write("builtin", f"{value.__objclass__.__qualname__}.{value.__name__}")
        elif isinstance(value, _CACHED_FUNCTION):
            self._inner("", value.__wrapped__)
        elif isinstance(value, torch.Generator):
            self._write("generator", str(value.initial_seed()))
        elif isinstance(value, random.Random):
            self._inner("", value.getstate())
        elif (state := _state_of(value)) is None:
            raise UndigestibleError(f"a {_class_name(kind)} in {'.'.join(filter(None, self._path))}")
        else:
            self._inner("class", kind)
            running = [self._called.get(id(value)), vars(kind).get("__call__")]
            methods = [method for method in running if isinstance(method, types.FunctionType)]
            written = {name for method in methods for name in written_attributes(kind, method)}
            # A number or flag that the object writes when it is called is running state, not a setting.
            self._mapping({name: item for name, item in state.items() if name not in written or not _is_plain(item)})
            if isinstance(value, Mapping):
                self._mapping(value)
            elif isinstance(value, Set):
                self._unordered(value)
            elif isinstance(value, Sequence):
                self._sequence(value)


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # a variable that has no value yet
        return ("empty cell",)


def _class_name(kind: type) -> str:
    return f"{module_name(kind.__module__)}.{kind.__qualname__}"


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, (bool, int, float, complex, str))


def _state_of(value: Any) -> dict[str, Any] | None:
    """An object's attributes; None if its contents cannot be read."""
    slots = [name for kind in type(value).__mro__ for name in _slots(kind)]
    state = {name: getattr(value, name) for name in slots if hasattr(value, name)}
    if hasattr(value, "__dict__"):
        return {**state, **vars(value)}
    return state if slots or isinstance(value, (Mapping, Set, Sequence)) else None


def _slots(kind: type) -> Sequence[str]:
    slots = vars(kind).get("__slots__", ())
    names = (slots,) if isinstance(slots, str) else tuple(slots)
    return [name for name in names if name not in ("__dict__", "__weakref__")]


def _is_bookkeeping(name: str) -> bool:
    """Whether an attribute is one that the host sets on modules when it loads them."""
    return (
        name.startswith(("comfy_", "prev_comfy_", "_v_", "_pin", "_prefetch"))
        or name.endswith(("_comfy_model_dtype", "_lowvram_function"))
        or name in ("_v", "weight_function", "bias_function", "seed_key", "device", "factory_kwargs")
    )
