"""The client that drives a ComfyUI server, on a real one."""

from __future__ import annotations

import json

import pytest

from harness.server import (
    ComfyServer,
    Event,
    ServerError,
    WorkflowFailed,
    WorkflowInterrupted,
    WorkflowRejected,
    parse_event,
)

PNG = b"\x89PNG\r\n\x1a\n"

# Nodes for the tests of the server: one that raises, one that runs until it is interrupted.
PROBE_NODES = """
import time
import comfy.model_management

class Raise:
    CATEGORY, FUNCTION, OUTPUT_NODE, RETURN_TYPES = "probe", "run", True, ()
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"message": ("STRING", {})}}
    def run(self, message):
        raise ValueError(message)

class Endless(Raise):
    def run(self, message):
        while True:
            comfy.model_management.throw_exception_if_processing_interrupted()
            time.sleep(0.02)

NODE_CLASS_MAPPINGS = {"ProbeRaise": Raise, "ProbeEndless": Endless}
"""


def empty_image(width: int = 32, color: int = 0) -> dict:
    return {
        "1": {
            "class_type": "EmptyImage",
            "inputs": {"width": width, "height": 16, "batch_size": 2, "color": color},
        },
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "test"}},
    }


def probe(class_type: str, message: str) -> dict:
    return {"7": {"class_type": class_type, "inputs": {"message": message}}}


def test_websocket_messages_are_parsed():
    text = json.dumps({"type": "progress", "data": {"value": 1}})
    assert parse_event(text) == Event("progress", {"value": 1})
    assert parse_event(b"\0\0\0\1\0\0\0\2" + PNG) == Event("preview", {}, PNG)
    assert parse_event(b"\0\0\0\4\0\0\0\2{}" + PNG) == Event("preview", {}, PNG)
    words = b"\0\0\0\3\0\0\0\0035:2step 3"
    assert parse_event(words) == Event("progress_text", {"node": "5:2", "text": "step 3"})
    assert parse_event(b"\0\0\0\2\0\0\0\1" + PNG) is None


def test_a_server_that_dies_is_reported_with_its_log(tmp_path):
    (tmp_path / "main.py").write_text("raise SystemExit('no such device')")
    with (
        pytest.raises(ServerError, match=r"exit code 1.*\nno such device"),
        ComfyServer(tmp_path / "base", comfyui=tmp_path),
    ):
        pytest.fail("the server is not up")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory):
    base = tmp_path_factory.mktemp("server")
    (base / "custom_nodes").mkdir()
    (base / "custom_nodes" / "probe.py").write_text(PROBE_NODES)
    with ComfyServer(base) as started:
        yield started


@pytest.mark.server
def test_a_workflow_runs_and_its_pictures_come_back(server):
    history = server.run(empty_image(color=0xFF0000))
    images = server.images(history)
    assert [image[:8] for image in images] == [PNG, PNG]
    assert [path.read_bytes() for path in server.image_files(history)] == images
    assert server.images(history, kind="temp") == []
    assert server.image_files(history)[0].is_relative_to(server.base_directory / "output")
    assert server.memory() > 100e6
    server.free()


@pytest.mark.server
def test_an_uploaded_picture_replaces_one_of_the_same_name(server, tmp_path):
    for content in (b"first", b"second"):
        (tmp_path / "a.png").write_bytes(content)
        assert server.upload(tmp_path / "a.png", "my portrait.png") == "my portrait.png"
    assert (server.base_directory / "input" / "my portrait.png").read_bytes() == b"second"


@pytest.mark.server
def test_an_invalid_workflow_is_rejected_with_the_nodes_errors(server):
    with pytest.raises(WorkflowRejected, match="smaller than min") as raised:
        server.queue(empty_image(width=-1))
    assert raised.value.node_errors["1"]["errors"][0]["type"] == "value_smaller_than_min"


@pytest.mark.server
def test_a_node_that_raises_fails_the_workflow_with_its_message(server):
    with pytest.raises(WorkflowFailed, match="no face") as raised:
        server.run(probe("ProbeRaise", "no face"))
    assert (raised.value.node_id, raised.value.node_type) == ("7", "ProbeRaise")
    assert "raise ValueError(message)" in raised.value.traceback


@pytest.mark.server
def test_a_running_workflow_can_be_interrupted(server):
    events = server.events(probe("ProbeEndless", ""))
    started = next(event for event in events if event.type == "executing")
    server.interrupt()
    assert [event.type for event in events][-1] == "executing"
    with pytest.raises(WorkflowInterrupted, match="ProbeEndless"):
        server.wait(started.data["prompt_id"], timeout=60)


@pytest.mark.server
def test_waiting_longer_than_allowed_is_an_error(server):
    prompt_id = server.queue(probe("ProbeEndless", "again"))
    ticks: list[float] = []
    with pytest.raises(TimeoutError, match=prompt_id):
        server.wait(prompt_id, timeout=0.5, on_wait=ticks.append)
    assert ticks == sorted(ticks)
    assert len(ticks) > 1
    server.interrupt()
    with pytest.raises(WorkflowInterrupted):
        server.wait(prompt_id, timeout=60)


@pytest.mark.server
def test_events_tell_which_nodes_run_and_what_they_give(server):
    events = list(server.events(empty_image(color=0x00FF00)))
    nodes = [event.data["node"] for event in events if event.type == "executing"]
    assert nodes == ["1", "2", None]
    executed = [event.data for event in events if event.type == "executed"]
    assert [data["node"] for data in executed] == ["2"]
    assert len(executed[0]["output"]["images"]) == 2
