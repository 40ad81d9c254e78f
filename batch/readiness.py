"""Asks a server about models, recognisers, disk and memory, and puts the answer into words for the doctor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .client import Client
from .workflow import Prepared

GUIDE, CHECKER, PROVIDER = "model_pack", "checker", "provider"
"""Inputs that name the recogniser that guides the change, the one that judges it, and what they run on."""

BY_DEFAULT = "auto"

CPU = "CPUExecutionProvider"

GIB = 2**30

LITTLE_DISK, LITTLE_ROOM = GIB, GIB // 2
"""Bytes of which fewer are told: of a disk, and of the server's memory for photographs or results."""


@dataclass
class Findings:
    """What is known of a server.

    Attributes:
        good: lines about what is there.
        notes: sentences about what people should know.
        bad: sentences about what is missing, each with what to do.
        versions: of "comfyui" and "pack".
        files: sha256 of model files by name.
    """

    good: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    bad: list[str] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)


def ask(client: Client, prepared: Prepared, words: Sequence[str], on_gpu: bool, found: Findings) -> None:
    """Ask a server what it needs for a workflow, and add what it says to the findings.

    Args:
        client: of the server.
        prepared: the workflow.
        words: that may be names of model files.
        on_gpu: whether the server computes on a graphics card.
        found: gets lines and sentences, without the server's name.

    Raises:
        ServerLostError: the server does not answer.
        GoneError: it has an older version of the pack.
    """
    questions = _questions(prepared)
    for number, (provider, (guides, checkers)) in enumerate(questions.items()):
        query = [("file", word) for word in words if not number]
        query += [("guide", name) for name in guides] + [("checker", name) for name in checkers]
        said = client.readiness([*query, (PROVIDER, provider)])
        if not number:
            _tell_of_the_server(said, found)
        for file in said["files"]:
            _tell_of_file(file, found)
        for one in said["guides"]:
            if _usable(one, found):
                found.good.append(f"  {one['name']} guides, on {one['provider']}")
        for one in said["checkers"]:
            if _usable(one, found):
                _tell_of_checker(one, said["guides"], found)
        described = [one for one in (*said["guides"], *said["checkers"]) if not one["fault"]]
        if on_gpu and any(one["provider"] == CPU for one in described) and provider == BY_DEFAULT:
            found.notes.append(
                "faces are searched and compared on the CPU although ComfyUI computes on a graphics card: run "
                "install.py of the pack with ComfyUI's Python there, and start that ComfyUI again"
            )
    found.notes += [
        f"node {key} ({node['class_type']}): threshold set by hand, {value:g}"
        for key, node, value in _by_hand(prepared)
    ]


def _questions(prepared: Prepared) -> dict[str, tuple[list[str], list[str]]]:
    """Guides and checkers by the provider that they are asked to run on; one question at least."""
    found: dict[str, tuple[list[str], list[str]]] = {}
    for node in prepared.graph.values():
        inputs = node["inputs"]
        provider = str(inputs.get(PROVIDER, BY_DEFAULT))
        for place, key in enumerate((GUIDE, CHECKER)):
            if isinstance(name := inputs.get(key), str):
                named = found.setdefault(provider, ([], []))[place]
                named += [name] if name not in named else []
    return found or {BY_DEFAULT: ([], [])}


def _by_hand(prepared: Prepared) -> Iterator[tuple[str, Mapping[str, Any], float]]:
    """Nodes that check, with a threshold that the workflow sets."""
    for key, node in prepared.graph.items():
        value = node["inputs"].get("threshold")
        if CHECKER in node["inputs"] and isinstance(value, (int, float)) and value:
            yield key, node, value


def _tell_of_the_server(said: Mapping[str, Any], found: Findings) -> None:
    found.versions["pack"] = str(said["pack"])
    disk, room = said["disk_free"], said["room"]
    found.good.append(f"  this pack: version {found.versions['pack']}")
    found.good.append(
        f"  disk: {gib(disk['temporary'])} free for temporary files, {gib(disk['output'])} for output; memory for "
        f"photographs: {gib(room['photographs'])}, for results: {gib(room['results'])}"
    )
    if min(disk.values()) < LITTLE_DISK:
        found.notes.append(f"less than {gib(LITTLE_DISK)} of disk is free: make room there")
    if min(room.values()) < LITTLE_ROOM:
        found.notes.append(
            "its memory for photographs and results is nearly full: another client uses it, or left something, which "
            "is forgotten after six hours"
        )


def _tell_of_file(file: Mapping[str, Any], found: Findings) -> None:
    if file["name"] not in found.files:
        found.files[file["name"]] = file["sha256"]
        found.good.append(f"  {file['name']}: {file['bytes']:,} bytes, sha256 {file['sha256']}")


def _usable(one: Mapping[str, Any], found: Findings) -> bool:
    """Whether a recogniser can be used; says what is wrong, or which files it has."""
    if one["fault"]:
        found.bad.append(f"{one['name']}: {one['fault']}")
        return False
    for file in one["files"]:
        _tell_of_file(file, found)
    return True


def _tell_of_checker(one: Mapping[str, Any], guides: Sequence[Mapping[str, Any]], found: Findings) -> None:
    name, threshold = one["name"], one["thresholds"]
    found.good.append(
        f"  {name} checks, on {one['provider']}: {threshold['words']}, {threshold['at_one_place']:.3g} at one place "
        f"and {threshold['between_places']:.3g} between places"
    )
    if threshold["source"] == "unmeasured":
        found.notes.append(
            f"nobody has measured the threshold of {name}, so cautious ones hold and more faces are covered than need "
            "be: measure it with scripts/calibrate.py of the pack"
        )
    same = [
        guide["name"] for guide in guides if guide.get("recogniser", {}).get("sha256") == one["recogniser"]["sha256"]
    ]
    if same:
        found.bad.append(
            f"{name} has the same recogniser as {', '.join(same)}, which guides the change: name another with --checker"
        )


def gib(size: float) -> str:
    """A number of bytes for people."""
    return f"{size / GIB:.1f} GiB"
