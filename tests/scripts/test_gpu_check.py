"""The command for GPUs, here on the CPU, with the host of this process in place of one for each job."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.in_process import part
from lab.device.edits import Checked, CheckJob
from lab.device.findings import SAME_EDIT
from lab.device.full_size import Cost, FullSizeJob
from lab.device.jobs import JobError
from scripts.gpu_check import MODES, Check, main

STEPS = 3

Output = tuple[int, list[str], dict[str, Any]]


@pytest.fixture(scope="module")
def run() -> Callable[[Any], Any]:
    """Runs each kind of job once, in the float32 that this process's host has."""
    results: dict[type, Any] = {}

    def once(job: Any) -> Any:
        if type(job) not in results:
            results[type(job)] = replace(job, dtype="float32").run()
        return results[type(job)]

    return once


@pytest.fixture
def check(
    models: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[[Callable[[Any], Any]], Output]:
    """Runs the command; its exit code, the table's lines, and the rows by what they check."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)

    def output(run: Callable[[Any], Any]) -> Output:
        code = main(["--steps", str(STEPS), "--models", str(models), "--json"], run)
        *lines, figures = capsys.readouterr().out.strip().splitlines()
        rows = json.loads(figures)["rows"]
        return code, [line for line in lines if line.startswith("| ")], {row["check"]: row for row in rows}

    return output


def test_an_exact_edit_keeps_every_limit(check: Any, run: Any) -> None:
    code, table, rows = check(run)
    assert code == 0
    assert len(table) == 2 + len(rows)
    assert all(row["kept"] for row in rows.values())
    figures = {name: row["figure"] for name, row in rows.items()}
    for precision in ("float32", "bfloat16", "float16"):
        assert figures[f"{precision}: values that differ in a second run"] == 0
        for what in (
            "delta form against inversion and replay",
            "each of 3 latents alone against the batch",
            "scale 0 against the latent itself",
        ):
            assert 0 <= figures[f"{precision}: {what}"] <= SAME_EDIT
    assert figures["float32: largest difference to float32 on the CPU"] == 0
    assert figures["fast: evaluations"] == 23
    assert figures["exact: evaluations"] == 3 * STEPS - 1
    assert figures["fast: time"] > 0
    assert figures["fast against exact: mean difference"] > 1e-3


def test_an_edit_that_is_not_exact_fails(check: Any, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundredth too much of the difference: nothing that one would see in a picture."""
    delta: Any = part("reverse_personalization.method.delta")
    right = delta.alpha
    monkeypatch.setattr(delta, "alpha", lambda sigma: 1.01 * right(sigma))
    broken: list[Any] = []

    def with_fault(job: Any) -> Any:
        if not isinstance(job, CheckJob):
            return run(job)
        if not broken:
            broken.append(replace(job, dtype="float32").run())
        return broken[0]

    code, _, rows = check(with_fault)
    assert code == 1
    wrong = {name.removeprefix("float32: ") for name, row in rows.items() if not row["kept"] and "float32: " in name}
    assert wrong == {
        "largest difference to float32 on the CPU",
        "mean difference to float32 on the CPU",
        "delta form against inversion and replay",
    }


def test_a_device_that_computes_otherwise_fails(check: Any, run: Any) -> None:
    def other_device(job: Any) -> Any:
        made = run(job)
        return replace(made, edited=made.edited + 2e-3) if isinstance(made, Checked) else made

    code, table, rows = check(other_device)
    assert code == 1
    broken = {name.removeprefix("float32: ") for name, row in rows.items() if not row["kept"] and "float32: " in name}
    assert broken >= {
        "largest difference to float32 on the CPU",
        "mean difference to float32 on the CPU",
        "values that differ in a second run",
    }
    assert sum("| NO" in line for line in table) == sum(not row["kept"] for row in rows.values())


def test_a_host_that_fails_costs_its_rows_and_not_the_others(
    check: Any, run: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    def without_bfloat16(job: Any) -> Any:
        if "--bf16-unet" in job.options:
            raise JobError("the device has no bfloat16")
        return run(job)

    code, _, rows = check(without_bfloat16)
    assert code == 1
    assert {name for name, row in rows.items() if not row["kept"]} == {"bfloat16"}
    assert rows["bfloat16"]["figure"] is None
    assert "float16: values that differ in a second run" in rows


def test_a_gpu_has_memory_modes_and_tf32(run: Any, models: Path) -> None:
    """Which hosts are started; what they compute on this machine is the CPU's."""
    started: list[tuple[str, ...]] = []

    def noted(job: Any) -> Any:
        started.append(job.options)
        return [Cost(1, 3, 0.3, 2**30)] if isinstance(job, FullSizeJob) else run(job)

    check = Check(noted, models, STEPS, cuda=True)
    rows = {row.check: row for row in check.rows()}
    assert all(row.kept for row in rows.values())
    for mode in MODES:
        assert rows[f"{' '.join(mode)}: largest difference to the host's default"].figure == 0
        assert (*mode, "--fp32-unet") in started
    assert any("TF32" in name for name in rows)
    assert [options for options in started if "--cpu" in options] == [("--cpu", "--fp32-unet")]
    sizes = {row.check: row.figure for row in check.full_size_rows(models, 1024)}
    assert sizes["full size, --novram, batch 1: one evaluation"] == pytest.approx(0.1)
    assert started[-2:] == [(), ("--novram",)]


@pytest.mark.parametrize(
    ("arguments", "said"), [(["--steps", "1"], "2 steps or more"), (["--side", "100"], "multiple of 64")]
)
def test_what_cannot_be_run_is_refused(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(arguments)
    assert said in capsys.readouterr().err
