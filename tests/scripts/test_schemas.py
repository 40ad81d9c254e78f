"""Generated files come from this checkout's own schemas, or from none."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.environment import ROOT, SetupError
from miniature import workspace
from scripts import locales, schemas, workflows

LINK = Path("custom_nodes", "reverse-personalization")
OWN = {"python_module": "custom_nodes.reverse-personalization"}
OTHERS = {"KSampler": {"python_module": "nodes"}, "Probe": {"python_module": "custom_nodes.another-pack"}}
LOG = "ImportError: no module named absent"


class RecordingServer:
    """Stands for a ComfyUI: it keeps where its link to the pack led when it started."""

    started: list[tuple[Path, Path]]
    nodes: dict[str, Any]

    def __init__(self, base: Path, **_: Any) -> None:
        self.base = base

    def __enter__(self) -> RecordingServer:
        self.started.append((self.base, (self.base / LINK).resolve()))
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def object_info(self) -> dict[str, Any]:
        return self.nodes

    def log_tail(self, lines: int) -> str:
        return LOG


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> type[RecordingServer]:
    class Server(RecordingServer):
        started = []
        nodes = {**OTHERS, "FaceEmbed": OWN}

    monkeypatch.setattr(schemas, "ComfyServer", Server)
    monkeypatch.setattr(schemas, "provide_host", lambda: (Path(sys.executable), tmp_path))
    return Server


def test_every_run_has_a_base_directory_of_its_own_that_leads_to_this_checkout(server: type[RecordingServer]) -> None:
    for _ in range(2):
        assert schemas.read_schemas() == server.nodes
    (first, pack), (second, again) = server.started
    assert pack == again == ROOT
    assert first != second
    assert not first.exists()
    assert not second.exists()
    for base in (first, second):
        # Several checkouts may share `.comfyui`.
        assert (ROOT / ".comfyui").resolve() not in base.resolve().parents


def test_the_end_of_a_run_removes_no_file_of_the_checkout(server: type[RecordingServer]) -> None:
    schemas.read_schemas()
    assert Path(__file__).is_file()
    assert all(target.is_dir() for target in workspace.PACK_LINKS.values())


def test_only_the_packs_nodes_are_its_own() -> None:
    assert schemas.own_schemas({**OTHERS, "FaceEmbed": OWN}) == {"FaceEmbed": OWN}


@pytest.mark.parametrize("nodes", [{}, OTHERS])
def test_a_pack_that_was_not_imported_is_refused_with_the_servers_log(
    server: type[RecordingServer], nodes: dict[str, Any]
) -> None:
    server.nodes = nodes
    with pytest.raises(SetupError, match=rf"(?s){len(nodes)} nodes but none of this pack.*{LOG}"):
        schemas.read_schemas()


@pytest.mark.parametrize("arguments", [[], ["--check"]])
@pytest.mark.parametrize("command", [locales, workflows])
def test_a_command_without_the_pack_writes_nothing_and_fails(
    server: type[RecordingServer], command: Any, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    server.nodes = OTHERS
    monkeypatch.setattr("harness.whole_text.write_whole", lambda path, text: pytest.fail(f"{path} was written"))
    monkeypatch.setattr(sys, "argv", [command.__name__, *arguments])
    monkeypatch.delitem(sys.modules, command.__name__)
    with pytest.raises(SystemExit) as raised:
        runpy.run_module(command.__name__, run_name="__main__", alter_sys=False)
    # A text as exit code is printed and ends a process with 1.
    assert isinstance(raised.value.code, str)
    assert raised.value.code.startswith("error: ComfyUI has 2 nodes but none of this pack")
    assert LOG in raised.value.code
