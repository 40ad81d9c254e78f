"""Lists the nodes that the host ships, with their inputs and outputs, from the running host."""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

Specification = tuple[Any, Mapping[str, Any]]
"""Type or list of choices of an input, and its options."""


@dataclass(frozen=True, eq=False)
class HostNode:
    """A node class of the host, written for its V1 or V3 interface.

    Attributes:
        id: id under which the host registers it.
        kind: node class.
        required: required inputs by name.
        optional: optional inputs by name.
        outputs: types of the outputs.
    """

    id: str
    kind: type
    required: Mapping[str, Specification]
    optional: Mapping[str, Specification]
    outputs: tuple[str, ...]

    @property
    def module(self) -> str:
        """Name of the host's file that defines the node."""
        return Path(inspect.getfile(self.kind)).stem

    def takes(self, wanted: str) -> bool:
        """Whether an input accepts a type."""
        given = (*self.required.values(), *self.optional.values())
        return any(isinstance(of_type, str) and wanted in of_type.split(",") for of_type, _ in given)

    def gives(self, wanted: str) -> bool:
        """Whether an output has a type."""
        return wanted in self.outputs

    def run(self, inputs: Mapping[str, Any]) -> tuple[Any, ...]:
        """Run the node and return its outputs as the executor would see them."""
        if hasattr(self.kind, "define_schema"):
            answer = self.kind.execute(**inputs)  # type: ignore[attr-defined]
        else:
            answer = getattr(self.kind(), self.kind.FUNCTION)(**inputs)  # type: ignore[attr-defined]
        if inspect.isawaitable(answer):
            answer = asyncio.run(_awaited(answer))
        outputs = tuple(getattr(answer, "result", answer))
        lists = getattr(self.kind, "OUTPUT_IS_LIST", None) or ()
        several = (*lists, *[False] * (len(outputs) - len(lists)))
        return tuple(output[0] if listed else output for output, listed in zip(outputs, several, strict=True))


async def _awaited(answer: Any) -> Any:
    return await answer


def host_nodes(nodes: ModuleType) -> dict[str, HostNode]:
    """Return all nodes of the host's `nodes.py` and `comfy_extras` folder by id.

    Args:
        nodes: the host's `nodes` module.

    Raises:
        RuntimeError: an extras file that defines nodes does not load, so its nodes would be missed.
    """
    failed = asyncio.run(nodes.init_builtin_extra_nodes())
    main = Path(inspect.getfile(nodes))
    folder = main.parent / "comfy_extras"
    # The host's file of node replacements needs a running server and defines no node.
    lost = [file for file in failed if _DEFINES_NODES.search((folder / file).read_text(encoding="utf-8"))]
    if lost:
        raise RuntimeError(f"the host cannot load {', '.join(lost)}; expected every file of {folder.name} to load")
    own = (folder.resolve(), main.resolve())
    found = {name: _described(name, kind) for name, kind in nodes.NODE_CLASS_MAPPINGS.items() if _is_from(kind, own)}
    return dict(sorted(found.items()))


_DEFINES_NODES = re.compile(r"\bComfyNode\)|NODE_CLASS_MAPPINGS", re.IGNORECASE)


def _is_from(kind: type, places: tuple[Path, Path]) -> bool:
    file = Path(inspect.getfile(kind)).resolve()
    return file.is_relative_to(places[0]) or file == places[1]


def _described(name: str, kind: Any) -> HostNode:
    inputs = kind.INPUT_TYPES()
    required, optional = (
        {key: _specification(value) for key, value in (inputs.get(section) or {}).items()}
        for section in ("required", "optional")
    )
    return HostNode(name, kind, required, optional, tuple(_type_name(given) for given in kind.RETURN_TYPES))


def _specification(value: Any) -> Specification:
    of_type, *rest = value
    options = dict(rest[0]) if rest else {}
    if isinstance(of_type, (list, tuple)):
        return "COMBO", {**options, "options": list(of_type)}
    return _type_name(of_type), options


def _type_name(given: Any) -> str:
    if isinstance(given, (list, tuple)):
        return "COMBO"
    return str(getattr(given, "value", given))
