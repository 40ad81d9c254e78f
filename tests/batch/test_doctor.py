"""The doctor says of every server what it has, what it lacks and what to do, and whether servers fit together."""

from __future__ import annotations

import json

import pytest

from batch.command_line import main
from harness.environment import ROOT
from tests.batch.fake_server import MEASURED, READY, recogniser

CHOICES = {"ckpt_name": ["sd_xl_base_1.0.safetensors"], "checker": ["antelopev2"], "model_pack": ["buffalo_l"]}
CAUTIOUS = {"at_one_place": 0.25, "between_places": 0.2, "source": "unmeasured", "words": "unmeasured threshold"}
GPU = "CUDAExecutionProvider"


def every_node(missing: str = "", **models: list[str]) -> dict:
    graph = json.loads((ROOT / "workflows" / "api" / "group-photo.json").read_text())
    nodes = {}
    for node in graph.values():
        inputs = {name: ["COMBO", {"options": options}] for name, options in models.items() if name in node["inputs"]}
        nodes[node["class_type"]] = {"input": {"required": {**inputs, "destination": [["memory"], {}]}}}
    nodes.pop(missing, None)
    return nodes


@pytest.fixture
def doctor(capsys):
    """A function that asks the doctor about servers; returns its exit code and what it says."""

    def asked(*servers, arguments=()) -> tuple[int, str]:
        for server in servers:
            server.nodes = server.nodes if len(server.nodes) > 1 else every_node(**CHOICES)
        code = main(["--doctor", *arguments, *(part for one in servers for part in ("--server", one.url))])
        return code, capsys.readouterr().out

    return asked


def test_everything_that_is_there_is_named(doctor, server, tmp_path) -> None:
    server.reading = 2
    code, said = doctor(server, arguments=["--out", str(tmp_path / "not" / "yet")])
    assert code == 0
    assert f"{server.url}: ComfyUI 0.30.0" in said
    assert "memory: 8.0 GiB of 16.0 GiB free" in said
    assert "cpu: 2.0 GiB of 4.0 GiB free" in said
    assert "disk: 16.0 GiB free for temporary files, 32.0 GiB for output; memory for photographs: 2.0 GiB" in said
    assert f"checkpoints/sd_xl_base_1.0.safetensors: 6,938,078,334 bytes, sha256 {'31e3' * 16}" in said
    assert "buffalo_l guides, on CPUExecutionProvider" in said
    assert "antelopev2 checks, on CPUExecutionProvider: measured threshold, 0.3 at one place and 0.4 between" in said
    assert "free for the results" in said
    assert "note:" not in said
    assert said.splitlines()[-1].startswith("ready: run the command without --doctor")
    assert not (tmp_path / "not").exists()


def test_it_asks_for_models_and_tells_nothing_else(doctor, server) -> None:
    doctor(server, arguments=["--set", "Text of the photograph (none).text=Alice Smith"])
    [asked] = [request for request in server.requests if "readiness" in request]
    assert "file=sd_xl_base_1.0.safetensors" in asked
    assert "guide=buffalo_l" in asked
    assert "checker=antelopev2" in asked
    assert "Alice" not in asked
    assert not any(request.startswith(("POST", "PUT", "DELETE")) for request in server.requests)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"checkers": [recogniser("antelopev2", "a" * 64, thresholds=CAUTIOUS)]}, "scripts/calibrate.py"),
        ({"disk_free": {"temporary": 5, "output": 2**40}}, "less than 1.0 GiB of disk is free: make room"),
        ({"room": {"photographs": 2**31, "results": 2**20}}, "its memory for photographs and results is nearly full"),
        ({"pack": "0.0.9"}, "has version 0.0.9 of the pack, this command"),
    ],
)
def test_what_people_should_know_is_no_fault(doctor, server, changes, said) -> None:
    server.readiness = {**READY, **changes}
    code, found = doctor(server)
    assert code == 0
    [note] = [line for line in found.splitlines() if line.startswith("note:")]
    assert said in note


@pytest.mark.parametrize(("provider", "device", "noted"), [(GPU, "cuda", 0), ("CPU", "cuda", 1), ("CPU", "cpu", 0)])
def test_faces_on_the_processor_beside_a_graphics_card_are_noted(doctor, server, provider, device, noted) -> None:
    provider = {"CPU": "CPUExecutionProvider"}.get(provider, provider)
    server.device = device
    server.readiness = {
        **READY,
        "guides": [recogniser("buffalo_l", "b" * 64, provider=provider)],
        "checkers": [recogniser("antelopev2", "a" * 64, thresholds=MEASURED, provider=provider)],
    }
    code, said = doctor(server)
    assert (code, said.count("although ComfyUI computes on a graphics card: run install.py")) == (0, noted)


def test_a_threshold_set_by_hand_is_noted(doctor, server) -> None:
    _, said = doctor(server, arguments=["--set", "ReverseIdentityCheck.threshold=0.3"])
    assert "(ReverseIdentityCheck): threshold set by hand, 0.3" in said


@pytest.mark.parametrize(
    ("nodes", "arguments", "said"),
    [
        (every_node(ckpt_name=["other.safetensors"]), [], "has no sd_xl_base_1.0.safetensors for ckpt_name; it offers"),
        (every_node("FaceEmbed"), [], "there is no node FaceEmbed"),
        (every_node("ReverseIdentitySaveImage"), [], "there is no node ReverseIdentitySaveImage"),
        (every_node(), ["--checker", "buffalo_l"], "buffalo_l guides the change and judges it"),
    ],
)
def test_what_is_missing_is_said_with_what_to_do(doctor, server, nodes, arguments, said) -> None:
    server.nodes = nodes
    code, found = doctor(server, arguments=arguments)
    assert code == 4
    assert said in found
    assert found.splitlines()[-1].startswith("not ready: see to what is missing")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "has an older version of this pack: update it there"),
        ({**READY, "guides": [{"name": "buffalo_l", "fault": "it is damaged"}]}, "buffalo_l: it is damaged"),
        (
            {**READY, "checkers": [recogniser("antelopev2", "b" * 64, thresholds=MEASURED)]},
            "antelopev2 has the same recogniser as buffalo_l, which guides the change: name another with --checker",
        ),
    ],
)
def test_what_a_server_says_is_wrong_counts_as_missing(doctor, server, changes, said) -> None:
    server.readiness = changes
    code, found = doctor(server)
    assert code == 4
    assert f"missing: {server.url}: {said}" in found


def test_servers_must_have_the_same_files(doctor, two_servers) -> None:
    assert doctor(*two_servers)[0] == 0
    two_servers[1].readiness = {**READY, "files": [{**READY["files"][0], "sha256": "c" * 64}]}
    code, said = doctor(*two_servers)
    assert code == 4
    assert "checkpoints/sd_xl_base_1.0.safetensors is not the same file everywhere (31e331e331e3 on" in said


def test_a_program_can_read_it(doctor, server) -> None:
    _, said = doctor(server, arguments=["--json"])
    found = json.loads(said.splitlines()[-1])
    assert found["exit_code"] == 0
    assert found["missing"] == []
    files = found["servers"][server.url]["files"]
    assert files["insightface/models/antelopev2/r.onnx"] == "a" * 64


def test_a_server_that_does_not_answer(doctor, server, two_servers) -> None:
    server.die()
    code, said = doctor(server, two_servers[0])
    assert code == 4
    assert f"missing: {server.url}: does not answer" in said
    assert "start ComfyUI there, or check the address" in said
    assert "antelopev2 checks" in said
