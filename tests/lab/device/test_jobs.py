"""Jobs with a host of their own, and the job at full size on files of small size."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest
import torch

from harness.in_process import start_host_with
from lab.device.edits import EditJob, Inputs
from lab.device.findings import BFLOAT16, at_most, full_size_rows, largest, mean, mode_row
from lab.device.full_size import FullSizeJob
from lab.device.jobs import JobError, run_apart
from miniature.layout import ADAPTER, CHECKPOINT, FULL_SIZE_ADAPTER, FULL_SIZE_CHECKPOINT


def test_a_host_of_its_own_computes_as_its_options_say(nodes: ModuleType, models: Path) -> None:
    inputs, reference = EditJob((), models, 2).run()
    again, edited = run_apart(EditJob(("--cpu", BFLOAT16.option), models, 2, inputs, BFLOAT16.name))
    assert isinstance(again, Inputs)
    assert torch.equal(again.samples, inputs.samples)
    assert 0 < mean(edited, reference) <= BFLOAT16.mean
    assert largest(edited, reference) <= BFLOAT16.largest


def test_a_network_of_another_precision_is_not_measured(nodes: ModuleType, models: Path) -> None:
    with pytest.raises(RuntimeError, match="the host gave the network float32 weights; expected bfloat16"):
        EditJob((), models, 2, dtype="bfloat16").run()


def test_a_failing_host_is_an_error_with_its_words(models: Path) -> None:
    with pytest.raises(JobError, match=r"ComfyUI with --no-such-option failed, exit code 2:\n(.*\n)*.*unrecognized"):
        run_apart(EditJob(("--no-such-option",), models, 2))


def test_the_options_of_a_running_host_are_final(pack: ModuleType) -> None:
    with pytest.raises(RuntimeError, match="process of its own"):
        start_host_with(["--novram"])


def test_cost_of_a_call(nodes: ModuleType, models: Path, tmp_path: Path) -> None:
    for small, large in ((CHECKPOINT, FULL_SIZE_CHECKPOINT), (ADAPTER, FULL_SIZE_ADAPTER)):
        (tmp_path / large).parent.mkdir()
        (tmp_path / large).symlink_to(models / small)
    alone, together = FullSizeJob((), tmp_path, 64, steps=3).run()
    assert (alone.batch, alone.rows, together.batch, together.rows) == (1, 3, 3, 9)
    rows = {row.check: row for row in full_size_rows("CPU", [alone, together])}
    assert rows["full size, CPU, batch 3: a call of 9 evaluations"].figure == together.seconds > 0
    assert rows["full size, CPU, batch 1: one evaluation"].figure == alone.seconds / 3
    assert rows["full size, CPU, batch 1: peak memory"].figure == alone.peak / 2**30 > 0.1


@pytest.mark.parametrize("figure", [float("nan"), float("inf"), 1.1])
def test_what_is_not_at_most_the_limit_is_not_kept(figure: float) -> None:
    row = at_most("difference", figure, 1.0)
    assert not row.kept
    assert row.cells()[2:] == ("at most 1", "NO")


@pytest.mark.parametrize(("change", "kept"), [(0.0, True), (1e-3, False), (float("nan"), False)])
def test_a_memory_mode_must_not_change_the_latent(change: float, kept: bool) -> None:
    expected = torch.zeros(3, 4, 2, 2)
    row = mode_row(["--novram"], expected + change, expected)
    assert row.kept is kept
    assert row.check == "--novram: largest difference to the host's default"
