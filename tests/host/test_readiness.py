"""What a server says of itself to who wants to run a workflow on it, and that it says no more than that."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import threading
import time

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from harness.in_process import part
from tests import fake_insight

ALL = {"file": ["face.safetensors", "solid"], "guide": ["fake"], "checker": ["judge"], "provider": ["CPU"]}


@pytest.fixture
def route(pack):
    return part("host.readiness_route")


@pytest.fixture
def models(tmp_path, monkeypatch):
    """The only folder for checkpoints, with one."""
    import folder_paths

    folder = tmp_path / "checkpoints"
    folder.mkdir()
    (folder / "face.safetensors").write_bytes(b"weights")
    monkeypatch.setitem(folder_paths.folder_names_and_paths, "checkpoints", ([str(folder)], {".safetensors"}))
    return folder


def ask(route, *questions):
    """Status and object of each answer, by aiohttp itself."""

    async def answers():
        application = web.Application()
        application.router.add_get(route.READINESS_ROUTE, route.tell_readiness)
        said = []
        async with TestClient(TestServer(application)) as client:
            for question in questions:
                pairs = [(key, value) for key, values in question.items() for value in values]
                answer = await client.get(route.READINESS_ROUTE, params=pairs)
                assert answer.headers["Cache-Control"] == "no-store"
                said.append((answer.status, await answer.json()))
        return said

    return asyncio.run(answers())


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_it_says_which_files_it_has_and_what_the_recognisers_run_on(route, models, fake_pack, judge_pack):
    [(status, said)] = ask(route, ALL)
    assert status == 200
    checkpoint = {"name": "checkpoints/face.safetensors", "bytes": 7, "sha256": sha256(models / "face.safetensors")}
    assert said["files"] == [checkpoint]
    [guide], [checker] = said["guides"], said["checkers"]
    for found, folder in ((guide, fake_pack), (checker, judge_pack)):
        assert (found["name"], found["fault"], found["provider"]) == (folder.name, None, "CPUExecutionProvider")
        assert {file["name"]: file["sha256"] for file in found["files"]} == {
            f"insightface/models/{folder.name}/{path.name}": sha256(path) for path in folder.glob("*.onnx")
        }
        assert found["recogniser"]["sha256"] == sha256(folder / "recognition.onnx")
    assert "thresholds" not in guide
    assert checker["thresholds"] == {
        "at_one_place": 0.25,
        "between_places": 0.2,
        "source": "unmeasured",
        "words": "unmeasured threshold",
    }
    assert said["pack"] == part("reverse_personalization.assurance.project").project_value("version")
    assert min(*said["disk_free"].values(), *said["room"].values()) > 0


def test_a_measured_threshold_is_told_from_a_cautious_one(route, judge_pack):
    point = {"threshold": 0.4, "false_match_rate": 0.001, "measured_on": "squares"}
    (judge_pack / "verification.json").write_text(json.dumps(point))
    [(_, said)] = ask(route, {**ALL, "guide": ["fake"]})
    assert said["checkers"][0]["thresholds"]["source"] == "measured"
    assert said["checkers"][0]["thresholds"]["between_places"] == 0.4


def test_a_provider_that_does_not_start_is_not_the_one_that_is_told(route, judge_pack, monkeypatch):
    packs = part("host.face_packs")
    # As where the CUDA provider is in the build, but its libraries are not there.
    monkeypatch.setattr(
        packs, "choose_providers", lambda choice, available: ["CUDAExecutionProvider", packs.PROVIDERS["CPU"]]
    )
    [(_, said)] = ask(route, {**ALL, "provider": ["CUDA"]})
    assert said["guides"][0]["provider"] == "CPUExecutionProvider"


@pytest.mark.parametrize(
    ("break_it", "said"),
    [
        (lambda folder: (folder / "recognition.onnx").unlink(), "no face recogniser"),
        (lambda folder: (folder / "recognition.onnx").write_bytes(b"half"), "it is damaged or incomplete"),
        (lambda folder: (folder / "verification.json").write_text("{}"), "cannot be used"),
        (lambda folder: [path.unlink() for path in folder.glob("*")], "is not installed"),
    ],
)
def test_what_is_wrong_with_a_recogniser_is_said_without_a_place(route, judge_pack, tmp_path, break_it, said):
    break_it(judge_pack)
    [(status, found)] = ask(route, ALL)
    assert status == 200
    assert said in found["checkers"][0]["fault"]
    assert str(tmp_path) not in json.dumps(found)


@pytest.mark.parametrize("name", ["absent", "../..", "../../outside", "/etc", "..", ""])
def test_no_name_leads_out_of_the_folders(route, models, fake_pack, tmp_path, tmp_path_factory, name):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    secret = elsewhere / "secret.safetensors"
    secret.write_bytes(b"Alice Smith")
    outside = fake_insight.write(
        elsewhere / "outside", detection=fake_insight.detector(), recognition=fake_insight.recogniser()
    )
    words = [name, os.path.relpath(secret, models), str(secret), secret.name]
    [(status, said)] = ask(route, {"file": words, "guide": [name, str(outside)], "checker": [name, "../../x.onnx"]})
    assert status == 200
    assert said["files"] == []
    assert {one["fault"] for one in said["guides"] + said["checkers"]} == {
        "it is not installed: put it into models/insightface/models"
    }
    assert str(tmp_path) not in json.dumps(said)


def test_no_code_counts_as_a_model(route, pack, tmp_path, monkeypatch):
    import folder_paths

    (tmp_path / "other.bin").write_bytes(b"code")
    monkeypatch.setitem(folder_paths.folder_names_and_paths, "custom_nodes", ([str(tmp_path)], set()))
    assert ask(route, {"file": ["other.bin"]})[0][1]["files"] == []


def test_a_file_is_read_once_and_meanwhile_one_can_ask_again(route, models, monkeypatch):
    monkeypatch.setattr(route, "ANSWER_WITHIN", 0.05)
    readiness, go_on, read = part("host.readiness"), threading.Event(), []
    slow = readiness.file_sha256

    def waits(path, between):
        read.append(os.path.basename(path))
        go_on.wait(20)
        return slow(path, between=between)

    monkeypatch.setattr(readiness, "file_sha256", waits)
    assert ask(route, {"file": ALL["file"]}, {"file": ALL["file"]}) == [(202, {"reading": True})] * 2
    go_on.set()
    monkeypatch.setattr(route, "ANSWER_WITHIN", 20)
    [(status, said)] = ask(route, {"file": ALL["file"]})
    assert (status, len(said["files"]), read) == (200, 1, ["face.safetensors"])


def test_questions_that_nobody_comes_back_for_stand_in_nobodys_way(route, models, monkeypatch):
    monkeypatch.setattr(route, "ANSWER_WITHIN", 0)
    monkeypatch.setattr(route, "MOST_QUESTIONS", 1)
    go_on = threading.Event()
    monkeypatch.setattr(part("host.readiness"), "file_sha256", lambda path, between: str(go_on.wait(20)))
    first, second = {"file": ALL["file"]}, {"file": [*ALL["file"], "x"]}
    assert [status for status, _ in ask(route, first, second)] == [202, 503]
    go_on.set()
    monkeypatch.setattr(route, "ANSWER_WITHIN", 20)
    deadline = time.monotonic() + 20
    while ask(route, second)[0][0] != 200:
        assert time.monotonic() < deadline


def test_hashing_leaves_an_interrupt_to_the_run(route, models):
    import comfy.model_management

    comfy.model_management.interrupt_current_processing()
    try:
        assert ask(route, {"file": ALL["file"]})[0][0] == 200
        assert comfy.model_management.processing_interrupted()
    finally:
        comfy.model_management.interrupt_current_processing(False)


@pytest.mark.parametrize("question", [{"path": ["/etc/passwd"]}, {"file": ["x"] * 301}])
def test_another_question_is_refused(route, question):
    [(status, said)] = ask(route, question)
    assert status == 400
    assert "expected" in said["error"]
