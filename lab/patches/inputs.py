"""Chooses values for the inputs of any node from its schema alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .host_nodes import HostNode, Specification

SIDE = 128
"""Pixels, for every input that is a width or a height."""

_PLAIN = {"INT": 0, "FLOAT": 0.0, "BOOLEAN": False, "STRING": ""}
_SIZES = ("width", "height", "target_width", "target_height")


class UnavailableError(Exception):
    """No value is available for an input.

    Attributes:
        needs: ids of loaders without a file to load, or types that no node provides.
    """

    def __init__(self, needs: frozenset[str]) -> None:
        super().__init__(", ".join(sorted(needs)))
        self.needs = needs


@dataclass(frozen=True)
class Via:
    """An override: the output of a certain node of the host.

    Attributes:
        node: id of the node.
        inputs: overrides of the node's inputs.
    """

    node: str
    inputs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class AtHand:
    """An override: fill an optional input with the value at hand for its type."""


@dataclass(frozen=True, eq=False)
class Supplies:
    """The values that inputs are filled from.

    Attributes:
        nodes: the host's nodes by id; they provide the types that `ready` lacks.
        ready: values by type.
    """

    nodes: Mapping[str, HostNode]
    ready: Mapping[str, Any]

    def arguments(self, node: HostNode, given: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
        """Choose values for all required inputs of a node and for its overridden optional inputs.

        Args:
            node: node to run.
            given: by type, the value for the first input of that type.
            overrides: by input name, a value, `Via` or `AtHand`.

        Raises:
            UnavailableError: no value is available for an input.
        """
        return self._arguments(node, dict(given), overrides, ())

    def run(self, node: HostNode, wanted: str, given: Mapping[str, Any], overrides: Mapping[str, Any]) -> Any:
        """Run a node with values for its inputs and return its first output of the type `wanted`."""
        outputs = node.run(self.arguments(node, given, overrides))
        return outputs[node.outputs.index(wanted)]

    def _arguments(
        self, node: HostNode, left: dict[str, Any], overrides: Mapping[str, Any], path: tuple[str, ...]
    ) -> dict[str, Any]:
        unknown = [name for name in overrides if name not in node.required and name not in node.optional]
        if unknown:
            raise KeyError(f"{node.id} has no input {', '.join(unknown)}; it has {', '.join(node.required)}")
        values: dict[str, Any] = {}
        for name, specification in {**node.required, **node.optional}.items():
            if name in overrides:
                values[name] = self._overridden(overrides[name], specification[0], path)
                left.pop(specification[0], None)
            elif name in node.required:
                values[name] = self._value(node, name, specification, left, path)
        if getattr(node.kind, "INPUT_IS_LIST", False):
            return {name: [value] for name, value in values.items()}
        return values

    def _overridden(self, override: Any, wanted: str, path: tuple[str, ...]) -> Any:
        if isinstance(override, AtHand):
            return self.ready[wanted]
        if isinstance(override, Via):
            node = self.nodes[override.node]
            outputs = node.run(self._arguments(node, {}, override.inputs, (*path, node.id)))
            return outputs[node.outputs.index(wanted)]
        return override

    def _value(
        self, node: HostNode, name: str, specification: Specification, left: dict[str, Any], path: tuple[str, ...]
    ) -> Any:
        of_type, options = specification
        if of_type == "COMBO":
            choices = list(options.get("options") or ())
            if not choices:
                raise UnavailableError(frozenset({node.id}))
            return options.get("default", choices[0])
        if of_type in _PLAIN:
            if name in _SIZES:
                return SIDE
            if name == "length":
                return options.get("min", 1)
            return options.get("default", options.get("min", _PLAIN[of_type]))
        if of_type == "COMFY_AUTOGROW_V3":
            template = options["template"]
            ((_, inner),) = template["input"]["required"].items()
            first = (template.get("names") or [f"{template.get('prefix', '')}0"])[0]
            return {first: self._value(node, first, (inner[0], inner[1]), left, path)}
        if of_type == "COMFY_DYNAMICCOMBO_V3":
            return {name: options["options"][0]["key"]}
        return self._of_type(of_type, left, path)

    def _of_type(self, of_type: str, left: dict[str, Any], path: tuple[str, ...]) -> Any:
        for wanted in of_type.split(","):
            if wanted in left:
                return left.pop(wanted)
            if wanted in self.ready:
                return self.ready[wanted]
        needs: set[str] = set()
        for wanted in of_type.split(","):
            for provider in self._providers(wanted, path):
                try:
                    values = self._arguments(provider, {}, {}, (*path, provider.id))
                    value = provider.run(values)[provider.outputs.index(wanted)]
                    if value is not None:
                        return value
                    needs.add(provider.id)
                except UnavailableError as error:
                    needs |= error.needs
                except Exception:  # noqa: BLE001 - a node that raises provides no value
                    needs.add(provider.id)
        raise UnavailableError(frozenset(needs or {of_type}))

    def _providers(self, wanted: str, path: tuple[str, ...]) -> list[HostNode]:
        giving = [node for node in self.nodes.values() if node.gives(wanted) and not node.takes(wanted)]
        return [node for node in sorted(giving, key=lambda node: (len(node.required), node.id)) if node.id not in path]
