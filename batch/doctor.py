"""Whether servers can do what a batch asks of them: `--doctor`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from reverse_personalization.assurance.project import project_value

from . import readiness
from .client import Client, GoneError, NoRoomError, ServerLostError
from .readiness import CHECKER, GUIDE, LITTLE_DISK, Findings, gib
from .workflow import SAVER, Prepared, is_link

OLDER = "has an older version of this pack: update it there, and start that ComfyUI again"

CUDA_DEVICE = "cuda"
"""What ComfyUI calls the devices on which ONNX Runtime has a build of its own."""


class Report:
    """What the doctor found.

    Args:
        prepared: the workflow that servers are to run.
        out: folder for the results, or None.
    """

    def __init__(self, prepared: Prepared, out: Path | None) -> None:
        self._prepared = prepared
        self._servers: dict[str, Findings] = {}
        self.notes: list[str] = []
        self.missing = recognisers(prepared)
        self._good = [f"this command: version {project_value('version')} of the pack"]
        if out is not None:
            free = shutil.disk_usage(
                next(place for place in (out.absolute(), *out.absolute().parents) if place.exists())
            ).free
            self._good.append(f"  {gib(free)} free for the results")
            if free < LITTLE_DISK:
                self.notes.append(f"less than {gib(LITTLE_DISK)} is free in --out: make room, or choose another folder")

    def add(self, name: str, found: Findings) -> None:
        """Add what is known of a server under its name."""
        self._servers[name] = found
        self.notes += [f"{name}: {sentence}" for sentence in found.notes]
        self.missing += [f"{name}: {sentence}" for sentence in found.bad]

    def compare(self) -> None:
        """Add in what the servers differ: a photograph must get the same result on all."""
        for file in sorted({file for found in self._servers.values() for file in found.files}):
            holders: dict[str, list[str]] = {}
            for name, found in self._servers.items():
                if file in found.files:
                    holders.setdefault(found.files[file], []).append(name)
            if len(holders) > 1:
                who = "; ".join(f"{sha256[:12]} on {', '.join(names)}" for sha256, names in holders.items())
                self.missing.append(
                    f"{file} is not the same file everywhere ({who}): copy it from one server to the others"
                )
        ours = project_value("version")
        for name, found in self._servers.items():
            if found.versions.get("pack", ours) != ours:
                self.notes.append(
                    f"{name}: has version {found.versions['pack']} of the pack, this command {ours}: update one of them"
                )
        hosts = {found.versions["comfyui"] for found in self._servers.values() if "comfyui" in found.versions}
        if len(hosts) > 1:
            self.notes.append(
                f"the servers have different versions of ComfyUI, {', '.join(sorted(hosts))}: results may differ"
            )

    def text(self) -> str:
        """The findings for people."""
        lines = list(self._good)
        for found in self._servers.values():
            lines += found.good
        lines += [f"note: {line}" for line in self.notes] + [f"missing: {line}" for line in self.missing]
        lines.append(
            "not ready: see to what is missing, then run --doctor again"
            if self.missing
            else "ready: run the command without --doctor, or with --dry-run to see what it would do"
        )
        return "\n".join(lines)

    def line(self, exit_code: int) -> str:
        """The same as one line of JSON."""
        servers = {name: {"versions": found.versions, "files": found.files} for name, found in self._servers.items()}
        return json.dumps({"servers": servers, "notes": self.notes, "missing": self.missing, "exit_code": exit_code})


def examine(client: Client, prepared: Prepared, name: str) -> Findings:
    """Ask a server.

    Args:
        client: of the server.
        prepared: the workflow that it is to run.
        name: of the server in messages.
    """
    found = Findings()
    try:
        stats, nodes = client.stats(), client.nodes()
        _tell_of_the_host(stats, name, found)
        _compare_nodes(prepared, nodes, found)
        if SAVER in nodes:
            on_gpu = any(device.get("type") == CUDA_DEVICE for device in _devices(stats))
            readiness.ask(client, prepared, _words(prepared, nodes), on_gpu, found)
    except GoneError:
        found.bad.append(OLDER)
    except (ServerLostError, NoRoomError) as error:
        why = str(error).removeprefix(f"{client.url} ")
        found.bad.append(f"{why}; start ComfyUI there, or check the address")
    return found


def recognisers(prepared: Prepared) -> list[str]:
    """What is wrong with the workflow's choice of recognisers: who guides must not judge."""
    guides, checkers = (
        {node["inputs"][key] for node in prepared.graph.values() if isinstance(node["inputs"].get(key), str)}
        for key in (GUIDE, CHECKER)
    )
    if same := guides & checkers:
        return [
            f"the workflow: {', '.join(sorted(same))} guides the change and judges it; name another recogniser with "
            "--checker"
        ]
    return [] if checkers else ["the workflow: no node has a checker, so nothing judges the results; choose another"]


def _tell_of_the_host(stats: Mapping[str, Any], name: str, found: Findings) -> None:
    system = stats.get("system", {})
    found.versions["comfyui"] = str(system.get("comfyui_version", "?"))
    found.good.append(f"{name}: ComfyUI {found.versions['comfyui']}")
    found.good.append(f"  memory: {_free(system, 'ram')}")
    found.good += [f"  {device.get('name', '?')}: {_free(device, 'vram')}" for device in _devices(stats)]


def _free(where: Mapping[str, Any], kind: str) -> str:
    return f"{gib(where.get(f'{kind}_free') or 0)} of {gib(where.get(f'{kind}_total') or 0)} free"


def _devices(stats: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [one for one in stats.get("devices", ()) if isinstance(one, dict)]


def _compare_nodes(prepared: Prepared, nodes: Mapping[str, Any], found: Findings) -> None:
    """Compare what the workflow names with the nodes that a server has and what they offer."""
    for key, node in prepared.graph.items():
        kind = node["class_type"]
        if kind in nodes:
            found.bad += _wrong_choices(key, node, nodes[kind])
        else:
            found.bad.append(f"there is no node {kind}, which the workflow needs (node {key}); install its pack there")
    if not found.bad:
        found.good.append("  has every node of the workflow, and offers every model that it names")


def _wrong_choices(key: str, node: Mapping[str, Any], described: Mapping[str, Any]) -> list[str]:
    """Values that the server does not offer, such as models that it does not have."""
    wrong = []
    for name, value, choices in _chosen(node, described):
        if value not in choices:
            offered = ", ".join(map(str, choices)) or "nothing"
            wrong.append(
                f"node {key} ({node['class_type']}) has no {value} for {name}; it offers {offered}. Put the model "
                f"there, or choose with --set {key}.{name}=..."
            )
    return wrong


def _words(prepared: Prepared, nodes: Mapping[str, Any]) -> list[str]:
    """All choices of the workflow; some are names of model files. Free texts are nobody's business."""
    return sorted(
        {
            value
            for node in prepared.graph.values()
            for _, value, _ in _chosen(node, nodes.get(node["class_type"], {}))
            if isinstance(value, str)
        }
    )


def _chosen(node: Mapping[str, Any], described: Mapping[str, Any]) -> Iterator[tuple[str, Any, list[Any]]]:
    """Name, value and choices of each input of a node that is a choice and is not linked."""
    groups = described.get("input", {})
    inputs = {**groups.get("required", {}), **groups.get("optional", {})}
    for name, value in node["inputs"].items():
        choices = _choices(inputs.get(name))
        if choices is not None and not is_link(value):
            yield name, value, choices


def _choices(spec: Any) -> list[Any] | None:
    """What an input can be set to, in either form in which ComfyUI says so; None if it is no choice."""
    if not isinstance(spec, (list, tuple)) or not spec:
        return None
    if isinstance(spec[0], list):
        return spec[0]
    if spec[0] == "COMBO" and len(spec) > 1 and isinstance(spec[1], dict):
        options = spec[1].get("options")
        return options if isinstance(options, list) else None
    return None
