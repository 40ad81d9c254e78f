"""The search of hostile photographs by itself: it finds who is there, and says who was missed."""

import json

import pytest

from lab.hostile.judging import FaceRecord
from lab.hostile.search import Row, Searcher, figures, main, wanted


def face(found: str, size: float = 60.0, yaw: float = 0.0, seen: float = 1.0) -> FaceRecord:
    return FaceRecord(size=size, yaw=yaw, roll=0.0, seen=seen, found=found)


def test_the_command_finds_everybody(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seed", "5", "--photos", "3", "--kind", "group", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["faces_promised"] > 0
    assert (found["missed"], found["missed_small"]) == (0, 0)
    assert found["photos"] == len(wanted(3, ["group"]))


def test_the_command_says_who_was_missed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Searcher, "search", lambda self, photograph: ((face("first"), face("", yaw=20.0)), 1))
    assert main(["--photos", "1", "--kind", "group", "--json"]) == 1
    printed = capsys.readouterr()
    assert json.loads(printed.out)["listed_misses"] == [[0, "group", 60, 20, 0, 100]]
    assert "missed in case 0, group" in printed.err


def test_nothing_is_begun_after_the_deadline(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Searcher, "records", lambda *_: pytest.fail("begun"))
    assert main(["--photos", "2", "--kind", "group", "--minutes", "-1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["photos"] == 0


def test_only_who_is_promised_counts() -> None:
    row = Row(
        case=7,
        kind="group",
        faces=(face("first"), face("second"), face("", yaw=60.0), face("", seen=0.3), face("", size=30.0)),
        false_finds=3,
    )
    counted = figures([row])
    assert (counted["faces"], counted["faces_promised"], counted["found_second_only"], counted["missed"]) == (
        5,
        2,
        1,
        0,
    )
    assert (counted["faces_promised_small"], counted["missed_small"]) == (1, 1)
    assert counted["false_finds_a_photo"] == 3
    assert counted["listed_misses"] == [[7, "group", 30, 0, 0, 100]]
