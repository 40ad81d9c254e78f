"""Fixtures of the tests of the batch command."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from batch.command_line import main
from tests.batch.fake_host import MAIN
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


@pytest.fixture
def starts(tmp_path, monkeypatch):
    """A function that says how the ComfyUI was started each time."""
    host = tmp_path / "ComfyUI"
    (host / "comfy").mkdir(parents=True)
    (host / "main.py").write_text(MAIN, encoding="utf-8")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("COMFYUI", str(host))
    monkeypatch.setenv("STARTS", str(tmp_path / "starts"))
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))

    def read() -> list[dict]:
        path = tmp_path / "starts"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    return read
