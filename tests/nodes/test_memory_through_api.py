"""Photographs and results in the server's memory, through its API: nothing touches the disk, and programs read why."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import requests
from PIL import Image

from harness.comfyui import comfyui_folder
from harness.server import ComfyServer, WorkflowFailed
from harness.workflow import Workflow, node_of, with_inputs
from miniature.layout import WEIGHTS
from reverse_personalization.assurance.result import RESULT_SCHEMA_FILE
from reverse_personalization.errors import code_of
from tests.shipped_workflows import rendered
from tests.workspace import make_workspace, shipped

pytestmark = pytest.mark.server

WIDTH, HEIGHT = 320, 256
ROUTE = "/reverse_personalization"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComfyServer]:
    folder = make_workspace(tmp_path_factory.mktemp("base"), WEIGHTS)
    with ComfyServer(folder, comfyui=comfyui_folder()) as running:
        yield running


def sent(server: ComfyServer, content: bytes) -> str:
    """Name under which the server keeps a photograph."""
    answer = requests.post(f"{server.url}{ROUTE}/photographs", data=content, timeout=60)
    name: str = answer.json()["name"]
    return name


def encoded(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "png")
    return file.getvalue()


def in_memory(original: str, finished: str) -> Workflow:
    """The workflow that only checks, from memory to memory."""
    workflow = with_inputs(
        shipped("check-only"),
        FaceEmbed={"det_size": 256, "threshold": 0.5, "search_turned": False, "previews": False},
        ReverseIdentityCheck={"det_size": 256, "det_threshold": 0.5, "second_search": False, "previews": False},
        ReverseIdentitySaveImage={"destination": "memory"},
    )
    first = workflow[node_of(workflow, "FaceEmbed")]["inputs"]["image"][0]
    for number, node in workflow.items():
        if "image" in node["inputs"] and isinstance(node["inputs"]["image"], str):
            node["class_type"] = "ReverseIdentityLoadPhotograph"
            node["inputs"] = {"image": original if number == first else finished}
    return workflow


def on_disk(server: ComfyServer) -> set[Path]:
    kinds = ("input", "output", "temp")
    return {path for kind in kinds for path in (server.base_directory / kind).rglob("*") if path.is_file()}


def test_a_photograph_goes_in_and_a_picture_comes_out_without_a_file(server: ComfyServer) -> None:
    before, photograph = on_disk(server), rendered(5, WIDTH, HEIGHT)
    names = [sent(server, encoded(one)) for one in (photograph, photograph.transpose(Image.Transpose.FLIP_LEFT_RIGHT))]
    workflow = in_memory(*names)
    entry = server.run(workflow)
    [result] = entry["outputs"][node_of(workflow, "ReverseIdentitySaveImage")]["anonymised"]
    jsonschema.validate(result, json.loads(RESULT_SCHEMA_FILE.read_text(encoding="utf-8")))
    assert result["status"] == "covered"
    assert {face["status"] for face in result["faces"]} == {"covered"}
    assert result["report"]["file"]["sha256"] == result["file"]["sha256"]
    address = f"{server.url}{ROUTE}/results/{result['file']['token']}"
    picture = Image.open(io.BytesIO(requests.get(address, timeout=60).content))
    assert (picture.size, picture.info) == ((WIDTH, HEIGHT), {})
    assert on_disk(server) == before
    for name in names:
        requests.delete(f"{server.url}{ROUTE}/photographs/{name}", timeout=60)
        assert requests.get(f"{server.url}{ROUTE}/photographs/{name}", timeout=60).json() == {"kept": False}
    requests.delete(address, timeout=60)
    assert requests.get(address, timeout=60).status_code == 404


@pytest.mark.parametrize(
    ("content", "code"),
    [
        pytest.param(b"no picture", "unreadable_photograph", id="damaged"),
        pytest.param(encoded(Image.new("RGB", (WIDTH, HEIGHT), (90, 120, 150))), "no_face", id="nobody"),
    ],
)
def test_a_program_reads_why_nothing_was_saved(server: ComfyServer, content: bytes, code: str) -> None:
    name = sent(server, content)
    with pytest.raises(WorkflowFailed) as failed:
        server.run(in_memory(name, name))
    assert failed.value.exception_type.startswith("reverse_personalization.")
    assert code_of(failed.value.exception_type) == code


def test_a_photograph_that_is_gone_is_refused_when_the_workflow_is_queued(server: ComfyServer) -> None:
    name = sent(server, encoded(rendered(5, WIDTH, HEIGHT)))
    requests.delete(f"{server.url}{ROUTE}/photographs/{name}", timeout=60)
    answer: Any = requests.post(f"{server.url}/prompt", json={"prompt": in_memory(name, name)}, timeout=60)
    assert answer.status_code == 400
    assert "input folder" in answer.text
