"""Means and paired differences by hand, and a run on the trained miniature."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.environment import ROOT
from lab.measure.__main__ import main
from lab.measure.comparison import figures_of, mean_with_error, tables
from lab.measure.ways import way_of

WAYS = "untouched,capped:3,free:2,source-free"


def test_a_mean_leaves_out_what_is_missing_and_says_how_sure_it_is() -> None:
    assert mean_with_error(np.array([1.0, 3.0, np.nan, 8.0])) == pytest.approx((4.0, math.sqrt(13 / 3)))
    assert mean_with_error(np.array([2.0, np.nan])) == (2.0, None)
    assert mean_with_error(np.array([np.nan])) == (None, None)


def test_figures_and_tables_of_two_ways_by_hand() -> None:
    exact, fast = way_of("exact"), way_of("fast")
    rows = {
        exact: [{"similarity": 0.2, "yaw": 1.0}, {"similarity": 0.4, "yaw": 3.0}],
        fast: [{"similarity": 0.3, "yaw": 1.0}, {"similarity": None, "yaw": 2.0}],
    }
    figures = figures_of(rows)
    assert figures["ways"]["exact"] == {"evaluations": 299, "similarity": pytest.approx(0.3), "yaw": 2.0}
    assert figures["ways"]["fast"] == {"evaluations": 23, "similarity": 0.3, "yaw": 1.5}
    assert figures["errors"]["exact"] == {"similarity": pytest.approx(0.1), "yaw": 1.0}
    # By person, so the similarity has no error: one of the two pairs is incomplete.
    assert figures["paired"] == {"fast": {"similarity": (pytest.approx(0.1), None), "yaw": (-0.5, 0.5)}}
    text = tables(figures)
    assert "| similarity            | 0.300 ± 0.100 | 0.300 " in text
    assert "| yaw        | -0.50 ± 0.50 |" in text


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """Three ways on two people: the figures, and the journal."""
    journal = tmp_path_factory.mktemp("measure") / "journal"
    options = ["--seed", "5", "--faces", "2", "--ways", WAYS, "--attributes", "--json", "--journal", str(journal)]
    # A process of its own: the host is started only once in each, and this one may have another.
    command = [sys.executable, "-m", "lab.measure", *options]
    finished = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(finished.stdout.splitlines()[-1]), journal


def test_an_untouched_face_is_as_plausible_as_the_original_and_recognised(run: tuple[dict[str, Any], Path]) -> None:
    untouched = run[0]["ways"]["untouched"]
    assert untouched["plausibility"] == pytest.approx(1, abs=1e-4)
    assert untouched["reid"] == untouched["reid_purified"] == 1
    assert untouched["quality"] == pytest.approx(1, abs=0.05)
    assert untouched["purified"] >= untouched["purified_noise_high"]


def test_a_changed_face_is_less_similar_and_no_measure_is_missing(run: tuple[dict[str, Any], Path]) -> None:
    ways = run[0]["ways"]
    assert list(ways) == WAYS.split(",")
    assert [way["evaluations"] for way in ways.values()] == [3, 8, 5, 8]
    assert all(isinstance(value, float | int) for way in ways.values() for value in way.values())
    for name in ("capped:3", "free:2"):
        assert ways[name]["similarity"] < ways["untouched"]["similarity"] - 0.3
        assert ways[name]["purified"] < ways["untouched"]["purified"] - 0.3
        assert abs(ways[name]["plausibility"] - 1) > 1e-3
    assert set(run[0]["paired"]) == {"capped:3", "free:2", "source-free"}


def test_the_control_fools_the_judge_until_the_noise_comes(run: tuple[dict[str, Any], Path]) -> None:
    nodes, control = run[0]["ways"]["capped:3"], run[0]["ways"]["source-free"]
    assert control["similarity"] < run[0]["ways"]["untouched"]["similarity"] - 0.3
    assert control["regained"] == pytest.approx(control["purified_noise_high"] - control["similarity"])
    assert control["regained"] > nodes["regained"] + 0.05


def test_attributes_are_asked_for_and_kept(run: tuple[dict[str, Any], Path]) -> None:
    # Two people: one is asked to be young, the other to be old.
    untouched, changed = run[0]["ways"]["untouched"], run[0]["ways"]["capped:3"]
    assert untouched["sex_kept"] == 1
    # At scale 0 the text alone changes the face; both are asked for by words that the miniature knows.
    assert 0 <= untouched["age_change"] < 10
    assert changed["asked"] > 0


def test_a_journal_with_everything_gives_the_same_figures_and_opens_no_model(
    run: tuple[dict[str, Any], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    figures, journal = run

    def no_meter(models: Path) -> Any:
        raise AssertionError("a model was opened")

    arguments = ["--seed", "5", "--faces", "2", "--attributes", "--json", "--journal", str(journal), "--ways"]
    main([*arguments, "untouched,free:2"], no_meter)
    again = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert again["ways"]["free:2"] == figures["ways"]["free:2"]
    assert again["paired"]["free:2"] == figures["paired"]["free:2"]
    with pytest.raises(AssertionError, match="a model was opened"):
        main([*arguments, "untouched,capped:4"], no_meter)


@pytest.mark.parametrize(
    ("arguments", "message"), [(["--faces", "1"], "at least 2"), (["--ways", "slow"], 'there is no way "slow"')]
)
def test_what_cannot_be_measured_is_refused_before_the_long_part(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(arguments)
    assert message in capsys.readouterr().err
