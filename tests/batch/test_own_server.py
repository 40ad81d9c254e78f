"""The ComfyUI that the command starts: private folders, started again if it dies, gone at the end, even if killed."""

from __future__ import annotations

import subprocess

from batch.command_line import main
from batch.own_server import PREFIX
from tests.batch.conftest import COMMAND
from tests.batch.fake_host import folders, lives, wait_until
from tests.batch.fake_server import write_photographs


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
