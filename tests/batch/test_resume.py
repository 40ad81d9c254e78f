"""A batch goes on where it was, whatever ended it, and notices what changed among its inputs."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest

from batch.journal import Journal
from tests.batch.conftest import COMMAND
from tests.batch.fake_server import photograph, result_of, write_photographs

MIXED = ["anonymised", "slow 0.05", "covered", "NoFaceError", "slow 0.1", "UnreadablePhotographError", "no_face"] * 2
STATUS = {"covered": "covered", "NoFaceError": "blocked", "UnreadablePhotographError": "failed"}


def started(out: Path, *arguments: str | Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*COMMAND, *map(str, arguments), "--out", str(out), "--quiet"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        # A shell in the background has its children ignore interrupts.
        preexec_fn=None if os.name == "nt" else lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def complete(out: Path, paths: list[Path], does: list[str]) -> None:
    """Check that every input ended once, with files of its own that are whole."""
    lines = [json.loads(line) for line in (out / "manifest.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["input"] for line in lines] == [str(path) for path in paths]
    assert [line["status"] for line in lines] == [STATUS.get(what, "anonymised") for what in does]
    pictures = [line["output"] for line in lines if line["output"]]
    assert len(set(pictures)) == len(pictures)
    files = {path.name for path in out.iterdir() if path.name.startswith(("anonymised-", ".unfinished"))}
    assert files == {*pictures, *(line["report"] for line in lines if line["output"])}
    for path, line in zip(paths, lines, strict=True):
        if line["output"]:
            assert (out / line["output"]).read_bytes() == result_of(path.read_bytes())


def test_a_killed_client_loses_and_doubles_nothing(server, out, tmp_path) -> None:
    paths = write_photographs(tmp_path / "in", *MIXED)
    chance = random.Random(5)
    kills = 0
    for _ in range(8):
        client = started(out, tmp_path / "in", "--server", server.url)
        before = len(server.requests)
        # After it has begun to work, at any moment.
        deadline = time.monotonic() + 20
        while len(server.requests) == before and client.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(chance.uniform(0, 0.3))
        if client.poll() is None:
            client.kill()
            kills += 1
        client.communicate()
    last = started(out, tmp_path / "in", "--server", server.url)
    said = last.communicate(timeout=60)[0].decode()
    assert last.returncode == 3, said
    assert kills > 2
    complete(out, paths, MIXED)
    # The name of a photograph is in the journal before the server has the photograph.
    assert server.leftovers() == []
    assert Journal(out).traces() == []


def test_a_killed_client_and_server_lose_and_double_nothing(server, out, tmp_path) -> None:
    paths = write_photographs(tmp_path / "in", *MIXED)
    for moment in (0.1, 0.25):
        client = started(out, tmp_path / "in", "--server", server.url)
        before = len(server.requests)
        while len(server.requests) == before and client.poll() is None:
            time.sleep(0.005)
        time.sleep(moment)
        client.kill()
        client.communicate()
        server.die()
        server.start()
    assert started(out, tmp_path / "in", "--server", server.url).wait(60) == 3
    complete(out, paths, MIXED)
    assert server.leftovers() == []


@pytest.mark.parametrize("moment", ["writing", "report", "picture", "saved"])
def test_a_crash_between_any_two_steps_of_saving_is_recognised(
    run, server, out, manifest, monkeypatch, tmp_path, moment
):
    from batch import outputs

    paths = write_photographs(tmp_path / "in", "anonymised")
    steps = []

    class Crash(BaseException):
        pass

    def crash_after(owner, name, when):
        original = getattr(owner, name)

        def called(*arguments):
            answer = original(*arguments)
            steps.append(name)
            if steps.count(name) == when:
                raise Crash
            return answer

        monkeypatch.setattr(owner, name, called)

    crash_after(
        *{
            "writing": (Journal, "writing", 1),
            "report": (outputs, "_give_name", 1),
            "picture": (outputs, "_give_name", 2),
            "saved": (Journal, "saved", 1),
        }[moment]
    )
    with pytest.raises(Crash):
        run(tmp_path / "in", servers=[server])
    monkeypatch.undo()
    runs = len(server.runs)
    assert run(tmp_path / "in", servers=[server]).code == 0
    complete(out, paths, ["anonymised"])
    # Once both files were on the disk, nothing is computed again.
    assert len(server.runs) == runs + (moment == "writing")


def test_a_finished_batch_asks_no_server_and_writes_nothing(run, server, out, tmp_path) -> None:
    write_photographs(tmp_path / "in", "anonymised", "NoFaceError")
    assert run(tmp_path / "in", servers=[server]).code == 1
    before = {path.name: path.stat().st_mtime_ns for path in out.iterdir() if "journal" not in path.name}
    asked = len(server.requests)
    again = run(tmp_path / "in", servers=[server])
    assert again.code == 1
    assert "no server was asked" in again.said
    assert len(server.requests) == asked
    assert {path.name: path.stat().st_mtime_ns for path in out.iterdir() if "journal" not in path.name} == before


def test_new_replaced_and_removed_photographs_are_noticed(run, server, manifest, tmp_path) -> None:
    paths = write_photographs(tmp_path / "in", "anonymised", "anonymised", "anonymised")
    run(tmp_path / "in", servers=[server])
    paths[0].write_bytes(photograph("covered", 77))
    paths[1].unlink()
    new = tmp_path / "in" / "new.png"
    new.write_bytes(photograph("anonymised", 78))
    done = run(tmp_path / "in", servers=[server])
    assert [done.counts[key] for key in ("new", "replaced", "removed")] == [1, 1, 1]
    for path in (paths[0], paths[1], new):
        assert f"  {path}\n" in done.said
    assert len(server.runs) == 5
    lines = {line["input"]: line for line in manifest()}
    assert lines[str(paths[0])]["status"] == "covered"
    assert lines[str(paths[1])]["removed"]
    assert not lines[str(new)]["removed"]
    # Who comes back is not done again.
    paths[1].write_bytes(photograph("anonymised", 1))
    assert run(tmp_path / "in", servers=[server]).counts["anonymised"] == 3
    assert len(server.runs) == 5


def test_a_result_that_was_taken_away_is_made_again(run, server, out, manifest, tmp_path) -> None:
    write_photographs(tmp_path / "in", "anonymised", "anonymised")
    run(tmp_path / "in", servers=[server])
    (out / manifest()[1]["output"]).unlink()
    done = run(tmp_path / "in", servers=[server])
    assert (done.code, done.counts["lost"], len(server.runs)) == (0, 1, 3)
    assert all((out / line["output"]).is_file() for line in manifest())


@pytest.mark.parametrize(("status", "runs"), [("blocked", 1), ("failed", 2)])
def test_what_was_blocked_or_failed_runs_again_on_request(run, server, tmp_path, status, runs) -> None:
    errors = ("NoFaceError", "UnreadablePhotographError", "UnreadablePhotographError")
    write_photographs(tmp_path / "in", "anonymised", *errors)
    run(tmp_path / "in", servers=[server])
    before = len(server.runs)
    assert run(tmp_path / "in", "--retry", status, servers=[server]).code == 3
    assert len(server.runs) == before + runs


def test_other_settings_make_other_results(run, server, manifest, tmp_path) -> None:
    write_photographs(tmp_path / "in", "anonymised")
    run(tmp_path / "in", servers=[server])
    done = run(tmp_path / "in", "--set", "FaceEmbed.det_size=1024", servers=[server])
    assert len(server.runs) == 2
    assert "1 pictures in the folder were made with other settings" in done.said
    assert manifest()[0]["output"] == "anonymised-000002.png"


def test_a_second_client_is_refused(run, server, out, tmp_path) -> None:
    write_photographs(tmp_path / "in", "slow 0.2", "anonymised")
    first = started(out, tmp_path / "in", "--server", server.url)
    while not server.uploads:
        time.sleep(0.01)
    # However long the second takes to start, the first is not done.
    server.hung.set()
    second = subprocess.run([*COMMAND, tmp_path / "in", "--out", out], capture_output=True, text=True, check=False)
    server.hung.clear()
    assert second.returncode == 3
    assert "another client works on" in second.stderr
    assert first.wait(30) == 0


@pytest.mark.skipif(os.name == "nt", reason="signals")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_batch_cleans_up_and_can_go_on(server, out, tmp_path, how) -> None:
    does = ["slow 0.4"] * 4
    paths = write_photographs(tmp_path / "in", *does)
    client = started(out, tmp_path / "in", "--server", server.url)
    while not server.running:
        time.sleep(0.01)
    client.send_signal(how)
    said = client.communicate(timeout=30)[0].decode()
    assert client.returncode == 130, said
    assert "run the same command to go on" in said
    assert server.leftovers() == []
    assert Counter(json.loads(line)["code"] for line in (out / "manifest.jsonl").open())["not_reached"] >= 3
    assert started(out, tmp_path / "in", "--server", server.url).wait(30) == 0
    complete(out, paths, does)
