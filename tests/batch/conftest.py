"""Fixtures of the tests of the batch command."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from batch.command_line import main
from tests.batch.fake_server import FakeServer, fake_servers

COMMAND = [sys.executable, str(Path(__file__).parents[2] / "batch")]


@dataclass
class Ran:
    """What a run of the command came to."""

    code: int
    said: str
    counts: dict[str, Any]


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with fake_servers(1) as [one]:
        yield one


@pytest.fixture
def two_servers() -> Iterator[list[FakeServer]]:
    with fake_servers(2) as both:
        yield both


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def run(out: Path, capsys: pytest.CaptureFixture[str]):
    """A function that runs the command in this process, on these servers."""

    def ran(*arguments: str | Path, servers: list[FakeServer] | tuple[FakeServer, ...] = ()) -> Ran:
        named = [part for one in servers for part in ("--server", one.url)]
        code = main([*map(str, arguments), "--out", str(out), "--json", "--quiet", *named])
        said = capsys.readouterr().out
        return Ran(code, said, json.loads(said.splitlines()[-1]) if said.strip().endswith("}") else {})

    return ran


@pytest.fixture
def manifest(out: Path):
    """A function that reads the manifest."""

    def read() -> list[dict[str, Any]]:
        return [json.loads(line) for line in (out / "manifest.jsonl").read_text(encoding="utf-8").splitlines()]

    return read
