"""Servers that die, hang, come back, lose photographs or cannot do it: no photograph is lost, none is done twice."""

from __future__ import annotations

import threading
import time

import pytest

from tests.batch.fake_server import FakeServer, photograph, write_photographs


def later(seconds: float, do) -> threading.Timer:
    timer = threading.Timer(seconds, do)
    timer.daemon = True
    timer.start()
    return timer


def keep_alive(server: FakeServer, stop: threading.Event) -> threading.Thread:
    """Start a server again whenever it has died."""

    def watch() -> None:
        while not stop.wait(0.05):
            if not server.alive:
                server.start()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    return thread


@pytest.fixture
def immortal(server: FakeServer):
    stop = threading.Event()
    thread = keep_alive(server, stop)
    yield server
    stop.set()
    thread.join()


def test_two_servers_share_the_work(run, two_servers, tmp_path) -> None:
    write_photographs(tmp_path / "in", *["slow 0.05"] * 12)
    assert run(tmp_path / "in", servers=two_servers).code == 0
    done = [len(server.runs) for server in two_servers]
    assert sum(done) == 12
    assert min(done) > 2
    assert [server.leftovers() for server in two_servers] == [[], []]


def test_a_poisonous_photograph_fails_after_three_deaths_and_harms_no_other(run, immortal, manifest, tmp_path) -> None:
    write_photographs(tmp_path / "in", "anonymised", "poison", "anonymised", "covered", "anonymised")
    done = run(tmp_path / "in", servers=[immortal])
    assert done.code == 3
    assert immortal.deaths == 3
    assert [line["code"] for line in manifest()] == ["anonymised", "server_died", "anonymised", "covered", "anonymised"]
    assert immortal.leftovers() == []


def test_a_poisonous_photograph_takes_those_beside_it_along_only_once(run, immortal, manifest, tmp_path) -> None:
    write_photographs(tmp_path / "in", "poison", "slow 0.2", "slow 0.2", "slow 0.2")
    assert run(tmp_path / "in", "--in-flight", "4", servers=[immortal]).code == 3
    assert [line["code"] for line in manifest()] == ["server_died", "anonymised", "anonymised", "anonymised"]


def test_a_dead_server_loses_its_jobs_to_others(run, two_servers, manifest, tmp_path) -> None:
    write_photographs(tmp_path / "in", *["slow 0.1"] * 8)
    later(0.25, two_servers[0].die)
    done = run(tmp_path / "in", servers=two_servers)
    assert done.code == 0
    assert [line["status"] for line in manifest()] == ["anonymised"] * 8
    assert f"{two_servers[0].url} could not be asked" in done.said
    # When it answers again, the next run looks; nothing else is left to do.
    two_servers[0].start()
    runs = len(two_servers[1].runs)
    again = run(tmp_path / "in", servers=two_servers)
    assert "nothing is left on 1 server" in again.said
    assert len(two_servers[1].runs) == runs


def test_a_server_is_taken_back_when_it_answers_again(run, server, tmp_path) -> None:
    write_photographs(tmp_path / "in", *["slow 0.1"] * 5)
    later(0.25, server.die)
    later(0.6, server.start)
    assert run(tmp_path / "in", servers=[server]).code == 0
    assert len({bytes(one) for one in server.runs}) == 5
    assert server.leftovers() == []


def test_a_server_that_hangs_loses_its_jobs_and_is_cleaned_when_it_is_back(run, two_servers, tmp_path) -> None:
    write_photographs(tmp_path / "in", *["slow 0.1"] * 8)
    hanging = two_servers[0]
    later(0.25, hanging.hung.set)
    later(1.2, hanging.hung.clear)
    done = run(tmp_path / "in", "--answer-within", "0.4", servers=two_servers)
    assert done.code == 0
    assert hanging.leftovers() == []
    assert done.counts["not_clean"] == 0


def test_a_job_that_hangs_is_interrupted_and_fails_in_the_end(run, server, manifest, tmp_path) -> None:
    write_photographs(tmp_path / "in", "anonymised", "hang", "anonymised")
    assert run(tmp_path / "in", "--timeout", "0.2", servers=[server]).code == 3
    assert [line["code"] for line in manifest()] == ["anonymised", "timeout", "anonymised"]
    assert server.deaths == 0
    assert server.leftovers() == []


def test_the_time_counts_from_when_the_server_starts_the_job(run, server, tmp_path) -> None:
    write_photographs(tmp_path / "in", *["slow 0.25"] * 4)
    assert run(tmp_path / "in", "--timeout", "0.6", "--in-flight", "4", servers=[server]).code == 0
    assert len(server.runs) == 4


def test_a_waiting_job_goes_to_a_server_that_has_nothing_to_do(run, two_servers, tmp_path) -> None:
    write_photographs(tmp_path / "in", "slow 1.5", "anonymised", "anonymised", "anonymised")
    assert run(tmp_path / "in", "--in-flight", "3", servers=two_servers).code == 0
    assert sum(len(server.runs) for server in two_servers) == 4
    # The one that works on the slow photograph does nothing else.
    slow = next(server for server in two_servers if photograph("slow 1.5", 0) in server.runs)
    assert slow.runs.index(photograph("slow 1.5", 0)) == len(slow.runs) - 1


@pytest.mark.parametrize("path", ["PUT .*photographs", "prompt$", "/history/", "/queue$", "results/"])
def test_a_server_that_answers_500_once_loses_nothing(run, server, path, tmp_path) -> None:
    write_photographs(tmp_path / "in", *["anonymised"] * 3)
    server.fails[path] = 1
    assert run(tmp_path / "in", servers=[server]).code == 0
    assert server.leftovers() == []


def test_uploads_that_never_arrive_fail_in_the_end(run, server, manifest, tmp_path) -> None:
    write_photographs(tmp_path / "in", "anonymised")
    server.fails["PUT .*photographs"] = 1000
    assert run(tmp_path / "in", servers=[server]).code == 3
    assert manifest()[0]["code"] == "server_died"
    assert server.fails["PUT .*photographs"] == 997


def test_a_photograph_that_the_server_lost_is_sent_again(run, server, tmp_path) -> None:
    write_photographs(tmp_path / "in", "slow 0.3", "slow 0.3")

    def lose_the_one_that_waits() -> None:
        while True:
            with server.lock:
                if server.running and server.pending:
                    [(_, graph)] = server.pending
                    [loader] = [one for one in graph.values() if one["class_type"] == "ReverseIdentityLoadPhotograph"]
                    del server.photographs[loader["inputs"]["image"]]
                    return
            time.sleep(0.005)

    later(0, lose_the_one_that_waits)
    assert run(tmp_path / "in", servers=[server]).code == 0
    assert len(server.uploads) == 3


def test_a_server_without_the_pack_gets_nothing(run, two_servers, manifest, tmp_path) -> None:
    write_photographs(tmp_path / "in", "anonymised", "anonymised")
    two_servers[0].nodes = {}
    done = run(tmp_path / "in", servers=two_servers)
    assert done.code == 0
    assert two_servers[0].uploads == []
    assert f"{two_servers[0].url} does not have this pack" in done.said


@pytest.mark.parametrize("without", ["the pack", "the model", "the file of the model"])
def test_if_no_server_can_do_it_nothing_is_lost(run, server, manifest, tmp_path, without) -> None:
    does = "MissingModelError" if without == "the file of the model" else "anonymised"
    write_photographs(tmp_path / "in", does, does)
    arguments = ["--checkpoint", "absent"] if without == "the model" else []
    if without == "the pack":
        server.nodes = {"ReverseIdentitySaveImage": {"input": {"required": {}, "optional": {}}}}
    done = run(tmp_path / "in", *arguments, servers=[server])
    assert done.code == 3
    assert [line["code"] for line in manifest()] == ["no_server"] * 2
    why = {"the pack": "older version", "the model": "does not take the workflow: node 1 (x): there is no absent; run"}
    assert why.get(without, "nothing was saved") in done.said
    assert server.leftovers() == []
    # Nobody has to ask for another try.
    server.nodes = FakeServer().nodes
    assert run(tmp_path / "in", *arguments, servers=[server]).counts["failed"] == (0 if without == "the pack" else 2)


def test_without_any_server_the_batch_gives_up(run, server, manifest, tmp_path) -> None:
    write_photographs(tmp_path / "in", "anonymised")
    server.die()
    done = run(tmp_path / "in", "--give-up", "0.5", servers=[server])
    assert done.code == 3
    assert manifest()[0]["code"] == "no_server"


def test_loopback_goes_through_no_proxy(run, server, tmp_path, monkeypatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    write_photographs(tmp_path / "in", "anonymised")
    assert run(tmp_path / "in", servers=[server]).code == 0
