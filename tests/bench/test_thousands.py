"""The batch command beside a server's own queue, in turns: the figures are what the turns say, and turns are fair."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench.thousands import DIRECT, ONE, TWO, main, measure
from bench.thousands_page import as_page, figures_of


def mark(way: str, block: int, seconds: float, session: int = 1, **memory: int) -> dict[str, Any]:
    return {
        "way": way,
        "block": block,
        "photographs": 10,
        "session": session,
        "seconds": seconds,
        "last": block == 4,
        "memory": {name: size * 2**20 for name, size in memory.items()},
    }


def turns(*ways: str) -> list[dict[str, Any]]:
    """Five turns of 10 photographs, which take 10 s, or 10.5 s through the command, whose start takes 2 s."""
    seconds = {DIRECT: [10.0] * 5, ONE: [12.5, 10.5, 10.4, 10.6, 11.0], TWO: [8.0, 5.5, 5.6, 5.4, 6.0]}
    client = [38, 40, 40, 41, 41]
    return [
        mark(way, block, seconds[way][block], **({} if way == DIRECT else {"client": client[block], "server": 1000}))
        for block in range(5)
        for way in ways
    ]


def test_ratios_are_of_the_same_turns() -> None:
    found = figures_of(turns(DIRECT, ONE, TWO), 0.05)
    assert found.photographs == 50
    assert found.batch_ratio == pytest.approx(55.0 / 50, abs=1e-3)
    # Neither the start nor the end of the command.
    assert (found.block_ratio.median, found.block_ratio.least, found.block_ratio.most) == (1.05, 1.04, 1.06)
    assert found.overhead == 50.0
    assert found.two_servers is not None
    assert found.two_servers.median == pytest.approx(10.5 / 5.5)
    assert figures_of(turns(DIRECT, ONE), 0.05).two_servers is None


def test_memory_grows_from_the_twentieth_photograph_of_one_session() -> None:
    found = figures_of(turns(DIRECT, ONE), 0.05)
    # 40 megabytes after 20 photographs, 41 at the end; what the first ten took does not count.
    assert found.growth == {"client": 2.5, "server": 0.0}
    again = [*turns(DIRECT, ONE), mark(ONE, 5, 10.5, session=2, client=90, server=900)]
    assert figures_of(again, 0.05).growth == found.growth


def test_a_turn_that_one_way_lacks_counts_for_none() -> None:
    lacking = [one for one in turns(DIRECT, ONE) if (one["way"], one["block"]) != (DIRECT, 2)]
    assert figures_of(lacking, 0.05).photographs == 40
    with pytest.raises(ValueError, match="expected 3 or more"):
        figures_of(lacking[:4], 0.05)


def test_the_page_says_what_was_measured() -> None:
    page = as_page(figures_of(turns(DIRECT, ONE, TWO), 0.05), "python -m bench.thousands --example")
    for words in (
        "    python -m bench.thousands --example\n",
        "lasts 50 ms",
        "| 1.100 ",
        "1.05 (1.04 to 1.06)",
        "2.50 %",
    ):
        assert words in page
    assert "Two servers are 1.91 (1.86 to 1.96) times as fast" in page
    assert "Two servers" not in as_page(figures_of(turns(DIRECT, ONE), 0.05), "")


@pytest.mark.parametrize("arguments", [["--photos", "25"], ["--block", "2"], ["--block", "100", "--photos", "100"]])
def test_turns_that_cannot_be_fair_are_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(arguments)
    assert "multiple" in capsys.readouterr().err


@pytest.mark.server
def test_the_command_and_the_queue_take_turns_on_a_server(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--photos", "12", "--block", "4", "--no-second", "--evaluation", "0", "--folder", str(tmp_path)]
    assert main([*arguments, "--json", "--document", str(tmp_path / "page.md")]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["photographs"] == 12
    assert found["batch_ratio"] > 0.5
    assert {"client", "server", "client with its last pages"} <= found["megabytes"].keys()
    lines = (tmp_path / ONE / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    assert {json.loads(line)["status"] for line in lines} <= {"anonymised", "covered"}
    assert len(list(tmp_path.glob("server 0/output/*.png"))) == len(lines) + 1 == 13
    order = [(one["way"], one["block"]) for one in measure(tmp_path, 12, 4, 0.0, (DIRECT, ONE))]
    assert order == [(DIRECT, 0), (ONE, 0), (ONE, 1), (DIRECT, 1), (DIRECT, 2), (ONE, 2)]
    with pytest.raises(ValueError, match="another run"):
        measure(tmp_path, 16, 4, 0.0, (DIRECT, ONE))
