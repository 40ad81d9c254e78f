"""A dry run finds the faces of every photograph, says what would become of them, and leaves nothing anywhere."""

from __future__ import annotations

import json

import pytest

from batch.command_line import main
from batch.face_search import faces_only
from batch.workflow import DEFAULT, WorkflowError, prepare, read
from harness.environment import ROOT
from tests.batch.fake_server import photograph, write_photographs

PHOTOGRAPH = "Alice Smith {}.png"


def kinds(graph) -> set[str]:
    return {node["class_type"] for node in graph.values()}


def test_it_says_what_would_become_of_every_photograph(run, server, out, tmp_path) -> None:
    write_photographs(tmp_path / "in", "anonymised", "covered", "nobody")
    done = run(tmp_path / "in", "--dry-run", servers=[server])
    said = [line.rpartition("Alice Smith ")[2] for line in done.said.splitlines() if ".png: " in line]
    assert said == [
        "0.png: 2 faces; 2 faces would be changed",
        "1.png: 3 faces, doubtful: 1, 3 of them from left to right; 1 face would be changed, 2 covered",
        "2.png: 0 faces; would not be saved, because nobody is found: look at it",
    ]
    assert "5 faces, 2 of them doubtful; would end as: 1 anonymised, 1 covered, 1 blocked, 0 failed" in done.said
    assert done.code == done.counts["exit_code"] == 0
    assert (done.counts["faces"], done.counts["doubtful"]) == (5, 2)
    assert {"anonymised": 1, "covered": 1, "blocked": 1, "failed": 0}.items() <= done.counts.items()
    assert "Alice" not in done.said.splitlines()[-1]


def test_it_writes_nothing_and_leaves_nothing(run, server, out, tmp_path) -> None:
    write_photographs(tmp_path / "in", "anonymised", "covered")
    before = sorted(tmp_path.rglob("*"))
    assert "nothing is left on the servers" in run(tmp_path / "in", "--dry-run", servers=[server]).said
    assert sorted(tmp_path.rglob("*")) == before
    assert server.leftovers() == []
    assert server.freed == 1


def test_servers_only_look_for_faces_and_no_photograph_is_used_to_measure(run, server, tmp_path) -> None:
    write_photographs(tmp_path / "in", "anonymised", "anonymised")
    run(tmp_path / "in", "--dry-run", "--set", "FaceEmbed.det_size=1024", servers=[server])
    searches, timings = server.graphs[:2], server.graphs[2:]
    for graph in searches:
        assert kinds(graph) == {"ReverseIdentityLoadPhotograph", "FaceEmbed", "PreviewAny"}
        [search] = [node["inputs"] for node in graph.values() if node["class_type"] == "FaceEmbed"]
        assert (search["det_size"], search["previews"]) == (1024, False)
    assert len(timings) == 3
    for graph in timings:
        assert not kinds(graph) & {"ReverseIdentityLoadPhotograph", "FaceEmbed", "ReverseIdentitySaveImage"}
        assert {"EmptyImage", "KSampler", "CheckpointLoaderSimple"} <= kinds(graph)


def test_the_time_is_reckoned_from_faces_evaluations_and_searches(run, server, two_servers, tmp_path) -> None:
    write_photographs(tmp_path / "in", "anonymised", "covered", "nobody")
    # 3 photographs are searched twice, half a second each; 3 faces take 25 to 73 evaluations of a quarter of a second.
    seconds = [3 * 2 * 0.5 + 3 * evaluations * 0.25 for evaluations in (25, 73)]
    done = run(tmp_path / "in", "--dry-run", servers=[server])
    assert done.counts["seconds"] == pytest.approx(seconds, abs=0.06)
    assert "would take about 22 s to 58 s on 1 server: 2 x 0.5 s to look for the faces of each photograph" in done.said
    assert "25 to 73 evaluations of 0.25 s for each face, both measured now" in done.said
    write_photographs(tmp_path / "in", "anonymised", "covered", "nobody", *["slow 0.3"] * 4)
    seconds = [(7 * 2 * 0.5 + 7 * evaluations * 0.25) / 2 for evaluations in (25, 73)]
    done = run(tmp_path / "in", "--dry-run", servers=two_servers)
    assert done.counts["seconds"] == pytest.approx(seconds, abs=0.06)


def test_what_was_done_before_tells_the_time(run, server, tmp_path) -> None:
    write_photographs(tmp_path / "in", "slow 0.3", "slow 0.3", "slow 0.3", "slow 0.3")
    assert run(tmp_path / "in", servers=[server]).code == 0
    (tmp_path / "in" / "b.png").write_bytes(photograph("anonymised", 70))
    (tmp_path / "in" / "c.png").write_bytes(photograph("anonymised", 71))
    graphs = len(server.graphs)
    done = run(tmp_path / "in", "--dry-run", servers=[server])
    least, most = done.counts["seconds"]
    assert 0.5 < least == most < 3
    assert "as the 4 photographs that are done took" in done.said
    assert len(server.graphs) == graphs + 2
    # Other settings have another pace.
    other = run(tmp_path / "in", "--dry-run", "--set", "FaceEmbed.det_size=1024", servers=[server])
    assert "both measured now" in other.said


def test_a_second_dry_run_says_the_same_and_a_real_run_is_not_changed_by_it(run, server, manifest, tmp_path) -> None:
    write_photographs(tmp_path / "in", "anonymised", "covered")
    first, second = (run(tmp_path / "in", "--dry-run", servers=[server]) for _ in range(2))
    assert sorted(first.said.splitlines()) == sorted(second.said.splitlines())
    assert run(tmp_path / "in", servers=[server]).counts["new"] == 2
    assert [line["status"] for line in manifest()] == ["anonymised", "covered"]
    done = run(tmp_path / "in", "--dry-run")
    assert "0 photographs to run, 2 inputs done" in done.said
    assert "nothing is left to do; no server was asked" in done.said
    assert (done.code, done.counts["done"]) == (0, 2)


def test_a_server_that_dies_costs_only_time(run, two_servers, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr("batch.servers.FIRST_PAUSE", 0.05)
    two_servers[0].die()
    write_photographs(tmp_path / "in", "anonymised", "covered", "anonymised")
    done = run(tmp_path / "in", "--dry-run", servers=two_servers)
    assert (done.code, done.counts["faces"]) == (0, 7)
    assert two_servers[1].leftovers() == []


def test_a_server_that_does_not_count_faces_is_a_failure(run, server, tmp_path) -> None:
    write_photographs(tmp_path / "in", "silent")
    done = run(tmp_path / "in", "--dry-run", servers=[server])
    assert (done.code, done.counts["failed"], done.counts["seconds"]) == (3, 1, None)
    assert "did not say how many faces there are: update the pack on the server" in done.said


def test_a_workflow_without_a_search_is_only_listed(run, server, tmp_path) -> None:
    graph = {
        "1": {"class_type": "LoadImage", "inputs": {"image": "x"}},
        "2": {"class_type": "ReverseIdentitySaveImage", "inputs": {"images": ["1", 0]}},
    }
    (tmp_path / "own.json").write_text(json.dumps(graph))
    write_photographs(tmp_path / "in", "anonymised")
    done = run(tmp_path / "in", "--dry-run", "--workflow", tmp_path / "own.json", servers=[server])
    assert done.code == 0
    assert "1 photographs to run" in done.said
    assert "the workflow has no FaceEmbed" in done.said
    assert server.requests == []


def test_without_a_comfyui_it_says_what_to_do(out, capsys, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("COMFYUI", str(tmp_path))
    write_photographs(tmp_path / "in", "anonymised")
    assert main([str(tmp_path / "in"), "--out", str(out), "--quiet", "--dry-run"]) == 3
    said = capsys.readouterr()
    assert "1 photographs to run" in said.out
    assert "name a running one with --server" in said.err


WITH_ONE_PHOTOGRAPH = [
    "change-age",
    "composed",
    "group-photo",
    "keep-age-and-sex",
    "keep-eyes-and-mouth",
    "made-up-person",
]


@pytest.mark.parametrize("name", WITH_ONE_PHOTOGRAPH)
def test_of_each_shipped_workflow_only_the_search_is_kept(name) -> None:
    whole = prepare(read(ROOT / "workflows" / "api" / f"{name}.json"))
    cut = faces_only(whole)
    assert kinds(cut.graph) == {"ReverseIdentityLoadPhotograph", "FaceEmbed", "PreviewAny"}
    assert cut.loader == whole.loader
    [search] = [key for key, node in cut.graph.items() if node["class_type"] == "FaceEmbed"]
    assert cut.graph[search] == whole.graph[search]
    assert cut.saver not in whole.graph


def test_a_search_of_what_was_changed_is_not_run() -> None:
    graph = read(DEFAULT)
    edit = next(key for key, node in graph.items() if node["class_type"] == "ReverseIdentityEditRetry")
    search = next(node for node in graph.values() if node["class_type"] == "FaceEmbed")
    other = {**search, "inputs": {**search["inputs"], "image": [edit, 0]}}
    graph = {"0": other, **graph}
    check = next(node for node in graph.values() if node["class_type"] == "ReverseIdentityCheck")
    check["inputs"]["drawn_faces"] = ["0", 1]
    assert "0" in prepare(graph).graph
    assert "0" not in faces_only(prepare(graph)).graph
    search["inputs"]["image"] = [edit, 0]
    with pytest.raises(WorkflowError, match="in the photograph as it is loaded"):
        faces_only(prepare(graph))
