"""The parts of a function that decide what it computes: its code, and the variables that it writes itself."""

from __future__ import annotations

import dis
import functools
import re
from collections.abc import Iterator
from types import CodeType, FunctionType
from typing import Any

_CUSTOM_NODES = re.compile(r".*custom_nodes[/\\]")


def module_name(name: str | None) -> str:
    """A module's name without the path that the host puts into the names of custom node packs.

    Args:
        name: `__module__` of a function or class; None if it has none.
    """
    return re.sub(r".*[/\\]", "", _CUSTOM_NODES.sub("", name or "")) or "?"


def readable_name(value: Any) -> str:
    """A patch's name for messages: `FreeU_V2.execute.output_block_patch of comfy_extras.nodes_freelunch`."""
    named = value if hasattr(value, "__qualname__") else getattr(value, "func", type(value))
    qualified = getattr(named, "__qualname__", type(named).__qualname__).replace("<locals>.", "")
    return f"{qualified} of {module_name(getattr(named, '__module__', None))}"


def code_parts(code: CodeType) -> list[Any]:
    """The parts of a code object that count: instructions, names, constants and nested code, not its file or lines.

    The instructions are the compiler's, without the interpreter's later specialisations.
    """
    constants = [code_parts(item) if isinstance(item, CodeType) else item for item in code.co_consts]
    counts = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)
    return [code.co_code, code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars, counts, constants]


def written_cells(function: FunctionType) -> Iterator[int]:
    """Ids of the closure cells that a function writes (`nonlocal`): its running state, not its settings."""
    if function.__closure__:
        written = _written_names(function.__code__)
        for name, cell in zip(function.__code__.co_freevars, function.__closure__, strict=True):
            if name in written:
                yield id(cell)


def written_attributes(kind: type, method: FunctionType) -> frozenset[str]:
    """Names of the attributes that a method assigns, directly or through other methods of its class."""
    seen: dict[str, FunctionType] = {}
    waiting = [method]
    while waiting:
        code = waiting.pop().__code__
        called = {name: getattr(kind, name, None) for name in code.co_names if name not in seen}
        found = {name: item for name, item in called.items() if isinstance(item, FunctionType)}
        seen.update(found)
        waiting.extend(found.values())
    return frozenset().union(*(_stored(item.__code__, "STORE_ATTR") for item in (method, *seen.values())))


@functools.lru_cache(maxsize=4096)
def _written_names(code: CodeType) -> frozenset[str]:
    return _stored(code, "STORE_DEREF", "DELETE_DEREF")


def _stored(code: CodeType, *operations: str) -> frozenset[str]:
    own = {step.argval for step in dis.get_instructions(code) if step.opname in operations}
    return frozenset(own.union(*(_stored(item, *operations) for item in code.co_consts if isinstance(item, CodeType))))
