"""Counts what a broken and resumed batch has lost, doubled, cut short or left behind."""

from __future__ import annotations

import hashlib
import io
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from batch.manifest import FILE as MANIFEST

from .stage import Backend


@dataclass(frozen=True)
class Count:
    """What is wrong with one run; all 0 if nothing is.

    Attributes:
        lost: inputs that the manifest does not name, or whose result is not there.
        doubled: inputs that it names more than once, and pictures that belong to none.
        truncated: results that are not what the manifest says, or no whole picture, or lack their report.
        left_on_servers: files, photographs, results and runs that are still on a server.
        wrong: inputs that ended otherwise than they must.
        results: sha256 of each input's result.
        notes: what was counted, in words.
    """

    lost: int = 0
    doubled: int = 0
    truncated: int = 0
    left_on_servers: int = 0
    wrong: int = 0
    results: dict[str, str] = field(default_factory=dict, repr=False)
    notes: tuple[str, ...] = ()


def count(results: Path, inputs: Path, expected: Mapping[str, str], backends: Sequence[Backend]) -> Count:
    """Look at a run that has ended.

    Args:
        results: the folder that the client wrote.
        inputs: the folder with the photographs.
        expected: by each photograph's name the status that it must end with.
        backends: the servers.
    """
    entries = [json.loads(line) for line in (results / MANIFEST).read_text(encoding="utf-8").splitlines()]
    by_name: dict[str, list[dict[str, str]]] = {}
    for entry in entries:
        by_name.setdefault(Path(entry["input"]).name, []).append(entry)
    notes: list[str] = []
    lost = doubled = truncated = wrong = 0
    made: dict[str, str] = {}
    for name, status in expected.items():
        found = by_name.pop(name, [])
        if not found:
            lost += 1
            notes.append(f"{name} is not in the manifest")
            continue
        doubled += len(found) - 1
        entry = found[0]
        if entry["status"] != status:
            wrong += 1
            notes.append(f"{name} is {entry['status']} ({entry['code']}: {entry['sentence']}), expected {status}")
        if entry.get("output"):
            fault = _fault_of(results, entry)
            lost += fault == "lost"
            truncated += fault == "truncated"
            notes += [f"{name}: {entry['output']} is {fault}"] if fault else []
            made[name] = entry["sha256"]
    doubled += len(by_name)
    stray = _strays(results, entries) + _shared_by_strangers(inputs, entries)
    notes += stray
    left = 0
    for number, backend in enumerate(backends):
        there = {what: amount for what, amount in backend.left().items() if amount}
        left += sum(there.values())
        notes += [f"server {number} still has {amount} {what}" for what, amount in there.items()]
    return Count(lost, doubled + len(stray), truncated, left, wrong, made, tuple(notes))


def _fault_of(results: Path, entry: Mapping[str, str]) -> str:
    picture, report = results / entry["output"], results / entry["report"]
    if not picture.is_file():
        return "lost"
    content = picture.read_bytes()
    if hashlib.sha256(content).hexdigest() != entry["sha256"]:
        return "truncated"
    try:
        Image.open(io.BytesIO(content)).load()
        told = json.loads(report.read_text(encoding="utf-8"))["file"]["sha256"]
    except (OSError, ValueError, KeyError):
        return "truncated"
    return "" if told == entry["sha256"] else "truncated"


def _strays(results: Path, entries: Sequence[Mapping[str, str]]) -> list[str]:
    """Pictures and reports that belong to no input, and files that never got their names."""
    known = {entry[key] for entry in entries for key in ("output", "report") if entry.get(key)}
    own = {MANIFEST}
    return [
        f"{path.name} belongs to no input"
        for path in sorted(results.iterdir())
        if path.is_file() and path.name not in known | own and path.suffix in (".png", ".json", ".tmp", ".part")
    ]


def _shared_by_strangers(inputs: Path, entries: Sequence[Mapping[str, str]]) -> list[str]:
    """Results that photographs with different content share, and photographs that have several results."""
    contents: dict[str, set[str]] = {}
    for entry in entries:
        path = inputs / Path(entry["input"]).name
        if entry.get("output") and path.is_file():
            contents.setdefault(entry["output"], set()).add(hashlib.sha256(path.read_bytes()).hexdigest())
    several = Counter(content for shown in contents.values() for content in shown)
    numbers = {output: len(shown) for output, shown in contents.items()}
    shared = [f"{output} is the result of {number} photographs" for output, number in numbers.items() if number > 1]
    return shared + [f"one photograph has {times} results" for times in several.values() if times > 1]
