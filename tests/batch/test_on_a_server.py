"""The doctor and a dry run on a real server with the miniature."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from PIL import Image

from batch.command_line import main
from harness.comfyui import comfyui_folder
from harness.server import ComfyServer
from miniature.layout import WEIGHTS
from tests.shipped_workflows import rendered
from tests.workspace import make_workspace, shipped

pytestmark = pytest.mark.server

WIDTH, HEIGHT = 320, 256


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComfyServer]:
    folder = make_workspace(tmp_path_factory.mktemp("base"), WEIGHTS)
    with ComfyServer(folder, comfyui=comfyui_folder()) as running:
        yield running


@pytest.fixture
def command(server: ComfyServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """A function that runs the command on the server with the workflow for groups; returns its code and its words."""
    (tmp_path / "workflow.json").write_text(json.dumps(shipped("group-photo")), encoding="utf-8")

    def run(*arguments: str) -> tuple[int, str]:
        quick = ["--set", "FaceEmbed.det_size=256", "--set", "FaceEmbed.search_turned=false"]
        given = ["--server", server.url, "--workflow", str(tmp_path / "workflow.json"), *quick, "--json", "--quiet"]
        code = main([*arguments, *given])
        return code, capsys.readouterr().out

    return run


def test_the_doctor_finds_the_server_ready(server: ComfyServer, command) -> None:
    code, said = command("--doctor")
    assert code == 0, said
    files = json.loads(said.splitlines()[-1])["servers"][server.url]["files"]
    assert files.keys() >= {
        "checkpoints/miniature.safetensors",
        "ipadapter/ip-adapter-faceid_miniature.bin",
        "insightface/models/miniature/recognition.onnx",
        "insightface/models/miniature-judge/recognition.onnx",
    }
    assert "miniature guides, on CPUExecutionProvider" in said
    assert "miniature-judge checks, on CPUExecutionProvider: measured threshold" in said
    assert str(server.base_directory) not in said
    assert str(WEIGHTS) not in said


def test_a_dry_run_finds_faces_and_leaves_nothing(server: ComfyServer, command, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    rendered(5, WIDTH, HEIGHT).save(tmp_path / "in" / "people.png")
    Image.new("RGB", (WIDTH, HEIGHT), (90, 120, 150)).save(tmp_path / "in" / "nobody.png")
    files = [path for kind in ("input", "output", "temp") for path in (server.base_directory / kind).rglob("*")]
    code, said = command(str(tmp_path / "in"), "--out", str(tmp_path / "out"), "--dry-run")
    assert code == 0, said
    counts = json.loads(said.splitlines()[-1])
    assert (counts["anonymised"], counts["blocked"], counts["faces"]) == (1, 1, 2)
    least, most = counts["seconds"]
    assert 0 < least < most
    assert not (tmp_path / "out").exists()
    kept = requests.get(f"{server.url}/reverse_personalization/photographs", timeout=60).json()
    assert kept == {"photographs": 0, "results": 0}
    assert requests.get(f"{server.url}/history", timeout=60).json() == {}
    assert files == [path for kind in ("input", "output", "temp") for path in (server.base_directory / kind).rglob("*")]
