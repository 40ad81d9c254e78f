"""Servers on a Ray cluster: the same guarantees, nothing on a network, nothing in Ray's store, nothing left."""

from __future__ import annotations

import os
import signal
import tempfile
from pathlib import Path

import pytest

from batch import ray_actor, ray_engine
from batch.command_line import main
from batch.own_server import OwnServerError
from tests.batch.fake_host import folders, lives, wait_until
from tests.batch.fake_server import write_photographs

pytest.importorskip("ray", reason="Ray is not installed: python -m pip install ray")


@pytest.fixture(autouse=True)
def short_paths(monkeypatch):
    """Ray's sockets have paths of at most 107 characters, too few for a folder of pytest's."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        monkeypatch.setenv("RAY_TMPDIR", folder)
        yield


ENGINE = ("--engine", "ray", "--ray-servers", "2", "--in-flight", "1")


def test_two_servers_share_the_work_and_end(run, starts, tmp_path) -> None:
    write_photographs(tmp_path / "in", *["anonymised", "covered"] * 3)
    done = run(tmp_path / "in", *ENGINE)
    assert done.code == 0, done.said
    assert (done.counts["anonymised"], done.counts["covered"]) == (3, 3)
    assert len(starts()) == 2
    assert all(start["no_previews"] == "1" for start in starts())
    assert not any(lives(start["pid"]) for start in starts())
    assert folders(tmp_path) == []
    assert "nothing is left on 2 servers" in done.said


def test_results_are_those_of_a_server_on_this_machine(run, starts, out, manifest, tmp_path) -> None:
    write_photographs(tmp_path / "in", "anonymised", "covered")
    assert run(tmp_path / "in", *ENGINE).code == 0
    through_ray = {line["input"]: line["sha256"] for line in manifest()}
    out.rename(tmp_path / "first")
    assert run(tmp_path / "in").code == 0
    assert {line["input"]: line["sha256"] for line in manifest()} == through_ray
    assert all(through_ray.values())
    assert len(through_ray) == 2


def test_a_server_that_dies_costs_its_job_alone(run, starts, manifest, tmp_path) -> None:
    write_photographs(tmp_path / "in", "anonymised", "poison", "covered")
    assert run(tmp_path / "in", *ENGINE).code == 3
    assert [line["code"] for line in manifest()] == ["anonymised", "server_died", "covered"]
    assert folders(tmp_path) == []


def test_an_actor_that_is_killed_is_replaced(starts, tmp_path) -> None:
    ray = ray_engine.connect("")
    try:
        [server] = ray_engine.servers(ray, 1, [])
        server.start(lambda: False)
        [first] = starts()
        client = server.client(5)
        assert client.stats()
        # The process of the actor, which is the parent of ComfyUI's keeper.
        keeper = int(Path(f"/proc/{first['pid']}/stat").read_text().split()[3])
        os.kill(int(Path(f"/proc/{keeper}/stat").read_text().split()[3]), signal.SIGKILL)
        wait_until(lambda: not lives(first["pid"]))
        assert not server.runs()
        with pytest.raises(Exception, match="does not answer"):
            client.stats()
        server.start(lambda: False)
        assert server.client(5).stats()
        server.stop()
    finally:
        ray_engine.disconnect()
    assert not any(lives(start["pid"]) for start in starts())
    wait_until(lambda: not folders(tmp_path))


@pytest.mark.parametrize("size", [0, 1, ray_actor.PIECE, ray_actor.PIECE + 1, 3 * ray_actor.PIECE])
def test_contents_of_any_size_come_through_whole(size: int, starts, monkeypatch) -> None:
    sent = os.urandom(size)
    seen: list[int] = []
    actor = ray_actor.ComfyActor([])

    class Echo:
        def __enter__(self) -> Echo:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def request(self, method, url, data, **_):
            import requests

            answer = requests.Response()
            answer.status_code, answer._content = 200, data
            return answer

    class Ray:
        class exceptions:  # noqa: N801 - Ray's name
            RayError = KeyError

        @staticmethod
        def get(value, timeout):
            return value

    class Remote:
        def __getattr__(self, name: str):
            class Call:
                @staticmethod
                def remote(*arguments):
                    seen.extend(len(one) for one in arguments if isinstance(one, bytes))
                    return getattr(actor, name)(*arguments)

            return Call

    monkeypatch.setattr(ray_actor.requests, "Session", Echo)
    import requests

    adapter = ray_engine.RayAdapter(Ray, Remote())  # type: ignore[arg-type]
    monkeypatch.undo()
    monkeypatch.setattr(ray_actor.requests, "Session", Echo)
    request = requests.Request("PUT", f"http://somewhere{ray_engine.HOST}/path?a=b", data=sent).prepare()
    assert adapter.send(request, timeout=(1.0, 2.0)).content == sent
    # Ray puts arguments of up to 100 KB into its messages, and larger ones into its store.
    assert all(one <= 64 * 1024 for one in seen)
    assert sum(seen) == size
    assert actor._pieces == actor._contents == {}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--server", "http://127.0.0.1:1", "--engine", "ray"], "leave out one of them"),
        (["--ray-servers", "2"], "are for --engine ray"),
    ],
)
def test_options_that_contradict_each_other_are_refused(arguments, message, out, capsys, tmp_path) -> None:
    write_photographs(tmp_path / "in", "anonymised")
    with pytest.raises(SystemExit):
        main([str(tmp_path / "in"), "--out", str(out), *arguments])
    assert message in capsys.readouterr().err


def test_a_cluster_that_is_not_there_is_said(run, starts, out, capsys, tmp_path) -> None:
    write_photographs(tmp_path / "in", "anonymised")
    assert main([str(tmp_path / "in"), "--out", str(out), "--quiet", "--engine", "ray", "--ray-address", "auto"]) == 3
    assert "there is no Ray cluster at auto" in capsys.readouterr().err


@pytest.mark.parametrize(("address", "failures", "tries"), [("", 2, 3), ("", 3, 3), ("10.0.0.1:6379", 1, 1)])
def test_a_cluster_of_this_machine_is_started_again(
    address: str, failures: int, tries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    calls = []

    def init(**options: object) -> None:
        calls.append(options["address"])
        if len(calls) <= failures:
            # What Ray raises when its processes take longer than 30 s.
            raise Exception("The current node timed out during startup.")

    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    if failures < tries:
        assert ray_engine.connect(address) is ray
    else:
        with pytest.raises(OwnServerError, match="timed out during startup"):
            ray_engine.connect(address)
    assert calls == [address or "local"] * tries
