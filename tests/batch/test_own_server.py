"""The ComfyUI that the command starts: private folders, started again if it dies, gone at the end, even if killed."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from batch.command_line import main
from batch.own_server import PREFIX
from harness.environment import ROOT
from tests.batch.conftest import COMMAND
from tests.batch.fake_server import write_photographs

MAIN = f"""
import json, os, sys, time
sys.path.insert(0, {str(ROOT)!r})
from tests.batch.fake_server import FakeServer

def after(name):
    return sys.argv[sys.argv.index(name) + 1]

with open(os.environ["STARTS"], "a") as starts:
    starts.write(json.dumps({{"pid": os.getpid(), "argv": sys.argv[1:],
                              "no_previews": os.environ["REVERSE_PERSONALIZATION_NO_PREVIEWS"]}}) + "\\n")
if "--refuse" in sys.argv:
    sys.exit("no such model folder")
open(os.path.join(after("--temp-directory"), "temp", "private"), "w").close()
server = FakeServer(int(after("--port")))
while server.alive:
    time.sleep(0.02)
"""


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


def folders(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "temporary").glob(f"{PREFIX}*"))


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"


def wait_until(true) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_it_has_folders_of_its_own_and_nothing_is_left(run, starts, tmp_path) -> None:
    write_photographs(tmp_path / "in", "anonymised", "covered")
    done = run(tmp_path / "in", "--comfyui-args=--cpu --output-directory elsewhere")
    assert done.code == 0, done.said
    assert "nothing is left on 1 server" in done.said
    [start] = starts()
    given = start["argv"]
    assert "--cpu" in given
    # What is given last counts.
    assert PREFIX in given[len(given) - given[::-1].index("--output-directory")]
    assert {"--input-directory", "--user-directory", "--database-url", "--disable-auto-launch"} <= set(given)
    assert start["no_previews"] == "1"
    assert folders(tmp_path) == []
    assert not lives(start["pid"])
    # What is finished starts none.
    assert run(tmp_path / "in").code == 0
    assert len(starts()) == 1


def test_it_is_started_again_when_it_dies(run, starts, manifest, tmp_path) -> None:
    write_photographs(tmp_path / "in", "anonymised", "poison", "covered")
    assert run(tmp_path / "in").code == 3
    assert [line["code"] for line in manifest()] == ["anonymised", "server_died", "covered"]
    assert len(starts()) in (3, 4)
    assert folders(tmp_path) == []


def test_one_that_does_not_start_is_given_up_with_its_log(run, starts, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr("batch.servers.FIRST_PAUSE", 0.05)
    write_photographs(tmp_path / "in", "anonymised")
    done = run(tmp_path / "in", "--comfyui-args=--refuse")
    assert done.code == 3
    assert "no such model folder" in done.said
    assert len(starts()) == 3
    assert folders(tmp_path) == []


def test_without_a_comfyui_it_says_what_to_do(out, capsys, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("COMFYUI", str(tmp_path))
    write_photographs(tmp_path / "in", "anonymised")
    assert main([str(tmp_path / "in"), "--out", str(out), "--quiet"]) == 3
    assert "name a running one with --server" in capsys.readouterr().err


def test_a_killed_client_leaves_no_server_and_no_folder(out, starts, tmp_path) -> None:
    write_photographs(tmp_path / "in", "hang")
    client = subprocess.Popen([*COMMAND, tmp_path / "in", "--out", out, "--quiet"])
    wait_until(starts)
    [start] = starts()
    wait_until(lambda: (out / ".journal.sqlite").exists() and lives(start["pid"]))
    client.kill()
    client.wait()
    wait_until(lambda: not lives(start["pid"]))
    wait_until(lambda: not folders(tmp_path))
    assert client.returncode == -9
