"""Every photograph ends once, with status, code and files; the exit code tells the worst; servers are left clean."""

from __future__ import annotations

import hashlib
import stat

import pytest

from tests.batch.fake_server import FakeServer, photograph, result_of, write_photographs


def test_every_status_has_its_code_and_files(run, server, out, manifest, tmp_path) -> None:
    does = [
        "anonymised",
        "covered",
        "no_face",
        "unhandled",
        "NoFaceError",
        "UnsafeFaceError",
        "UnreadablePhotographError",
    ]
    paths = write_photographs(tmp_path / "in", *does)
    done = run(tmp_path / "in", servers=[server])
    assert done.code == 3
    assert {key: done.counts[key] for key in ("anonymised", "covered", "blocked", "failed")} == {
        "anonymised": 3,
        "covered": 1,
        "blocked": 2,
        "failed": 1,
    }
    lines = {line["input"]: line for line in manifest()}
    assert [lines[str(path)]["code"] for path in paths] == [
        "anonymised",
        "covered",
        "no_face",
        "unhandled",
        "no_face",
        "unsafe_face",
        "unreadable_photograph",
    ]
    assert [lines[str(path)]["faces"] for path in paths] == [2, 1, 0, 1, None, None, None]
    for path in paths[:4]:
        line = lines[str(path)]
        picture = (out / line["output"]).read_bytes()
        assert picture == result_of(path.read_bytes())
        assert line["sha256"] == hashlib.sha256(picture).hexdigest()
        assert line["sha256"] in (out / line["report"]).read_text()
    assert all(lines[str(path)]["output"] is None and lines[str(path)]["sentence"] for path in paths[4:])
    assert len(list(out.glob("anonymised-*"))) == 8
    assert stat.S_IMODE((out / "manifest.jsonl").stat().st_mode) == 0o600
    assert stat.S_IMODE((out / ".journal.sqlite").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("does", "code"),
    [
        (["anonymised", "covered"], 0),
        (["anonymised", "NoFaceError"], 1),
        (["NoFaceError", "UnreadablePhotographError"], 3),
    ],
)
def test_the_exit_code_tells_the_worst(run, server, tmp_path, does, code) -> None:
    write_photographs(tmp_path / "in", *does)
    done = run(tmp_path / "in", servers=[server])
    assert (done.code, done.counts["exit_code"]) == (code, code)


@pytest.mark.parametrize("others", [[], ["somebody's photograph"]])
def test_nothing_is_left_on_the_server(run, server, tmp_path, others) -> None:
    write_photographs(tmp_path / "in", *["anonymised"] * 5, "NoFaceError", "UnreadablePhotographError")
    server.history["somebody else's"] = {}
    server.photographs.update(dict.fromkeys(others, b"x"))
    done = run(tmp_path / "in", servers=[server])
    assert server.leftovers() == [*others, "somebody else's"]
    assert server.freed == 1
    assert "nothing is left on 1 server" in done.said
    # It has looked, rather than believed what it did: for each only if any is there at all.
    assert len(server.uploads) == 7
    last = max(number for number, path in enumerate(server.requests) if path.startswith("DELETE"))
    looked = [path for path in server.requests[last:] if path.startswith("GET /reverse_personalization/photographs")]
    assert len(looked) == (8 if others else 1)


def test_a_server_that_forgets_nothing_is_named(run, server, tmp_path, monkeypatch) -> None:
    write_photographs(tmp_path / "in", "anonymised")
    monkeypatch.setattr(server, "photographs", _Sticky())
    done = run(tmp_path / "in", servers=[server])
    assert f"{server.url} still has 1 photographs and 0 runs" in done.said
    assert done.counts["not_clean"] == 1
    # The next run has nothing to do but this.
    server.photographs = {}
    assert "nothing is left on 1 server" in run(tmp_path / "in", servers=[server]).said


class _Sticky(dict):
    def pop(self, *_):
        return None


def test_names_of_originals_are_nowhere_but_in_the_manifest(run, server, out, tmp_path) -> None:
    write_photographs(tmp_path / "in", "anonymised", "covered", "NoFaceError", "UnreadablePhotographError")
    done = run(tmp_path / "in", servers=[server])
    holders = [path.name for path in out.iterdir() if b"Alice" in path.read_bytes()]
    assert set(holders) <= {"manifest.jsonl", ".journal.sqlite", ".journal.sqlite-wal"}
    assert "manifest.jsonl" in holders
    assert "Alice" not in done.said
    assert "Alice" not in str(server.graphs) + str(server.requests)


def test_inputs_with_one_content_share_a_result(run, server, manifest, tmp_path) -> None:
    paths = write_photographs(tmp_path / "in", "anonymised", "anonymised")
    paths[1].write_bytes(paths[0].read_bytes())
    done = run(tmp_path / "in", servers=[server])
    assert len(server.runs) == 1
    assert done.counts["duplicates"] == 1
    assert done.counts["anonymised"] == 2
    assert len({line["output"] for line in manifest()}) == 1
    assert [line["input"] for line in manifest()] == [str(path) for path in paths]


def test_no_file_is_replaced(run, server, out, manifest, tmp_path) -> None:
    out.mkdir()
    (out / "anonymised-000001.png").write_bytes(b"mine")
    (out / "anonymised-000003.json").write_bytes(b"mine too")
    write_photographs(tmp_path / "in", "anonymised", "anonymised", "anonymised")
    assert run(tmp_path / "in", servers=[server]).code == 0
    assert (out / "anonymised-000001.png").read_bytes() == b"mine"
    assert (out / "anonymised-000003.json").read_bytes() == b"mine too"
    names = {line["output"] for line in manifest()}
    assert names == {"anonymised-000002.png", "anonymised-000004.png", "anonymised-000005.png"}


def test_too_large_a_photograph_fails(run, server, manifest, tmp_path) -> None:
    (tmp_path / "big.png").write_bytes(photograph() + b" " * (1 << 20))
    assert run(tmp_path / "big.png", servers=[server]).code == 3
    assert manifest()[0]["code"] == "too_large"


def test_a_picture_that_the_workflow_leaves_out_is_blocked(run, server, manifest, tmp_path) -> None:
    write_photographs(tmp_path / "in", "left out")
    assert run(tmp_path / "in", servers=[server]).code == 1
    assert (manifest()[0]["status"], manifest()[0]["code"]) == ("blocked", "no_face")


def test_a_question_to_a_person_blocks(run, server, manifest, tmp_path) -> None:
    write_photographs(tmp_path / "in", "question")
    assert run(tmp_path / "in", "--set", "FaceEmbed.doubtful=ask", servers=[server]).code == 1
    assert (manifest()[0]["status"], manifest()[0]["code"]) == ("blocked", "undecided")
    # Without such a workflow, a run without a result is an answer that nobody expected.
    assert run(tmp_path / "in", servers=[server]).code == 3
    assert manifest()[0]["code"] == "wrong_answer"


def test_a_full_server_is_waited_for(run, server: FakeServer, tmp_path) -> None:
    server.most_photographs = 1
    write_photographs(tmp_path / "in", *["anonymised"] * 3)
    assert run(tmp_path / "in", "--in-flight", "3", servers=[server]).code == 0
    assert len(server.runs) == 3


def test_photographs_are_read_only_when_a_slot_is_free(run, server: FakeServer, tmp_path) -> None:
    write_photographs(tmp_path / "in", *["slow 0.05"] * 6)
    most = 0
    forget = server.photographs

    class Watching(dict):
        def __setitem__(self, key, value):
            nonlocal most
            super().__setitem__(key, value)
            most = max(most, len(self))

    server.photographs = Watching(forget)
    assert run(tmp_path / "in", servers=[server]).code == 0
    assert most == 2


def test_a_file_that_vanishes_fails_and_is_tried_again(run, server, manifest, tmp_path) -> None:
    paths = write_photographs(tmp_path / "in", "anonymised", "anonymised")
    paths[1].unlink()
    paths[1].symlink_to(tmp_path / "nowhere.png")
    assert run(tmp_path / "in", servers=[server]).code == 3
    assert [line["code"] for line in manifest()] == ["anonymised", "unreadable_photograph"]
    (tmp_path / "nowhere.png").write_bytes(photograph(shade=9))
    assert run(tmp_path / "in", servers=[server]).code == 0
