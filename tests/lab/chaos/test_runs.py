"""Small batches on a real server, each broken in one way, end whole."""

from __future__ import annotations

import json

import pytest

from lab.chaos.__main__ import main
from lab.chaos.faults import FAULTS


@pytest.mark.server
def test_broken_batches_lose_double_and_leave_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    kinds = [option for kind in ("client killed", "server killed", "uploads cut short") for option in ("--fault", kind)]
    code = main(["--runs", "3", "--photos", "12", "--servers", "1", "--seed", "5", "--json", *kinds])
    said = capsys.readouterr()
    totals = json.loads(said.out.splitlines()[-1])
    assert (code, totals["runs"]) == (0, 3), said.err
    assert {totals[key] for key in ("lost", "doubled", "truncated", "left_on_servers", "wrong", "changed")} == {0}


def test_every_fault_says_what_it_does() -> None:
    assert all(fault.__doc__ for fault in FAULTS.values())
