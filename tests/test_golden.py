"""The golden numbers, and that a mistake would show in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.golden import GoldenModel, compare_eps, compare_run

GOLDEN = Path(__file__).parent / "golden_set"


@pytest.fixture(scope="module")
def golden() -> GoldenModel:
    return GoldenModel(GOLDEN)


def test_every_adapter_variant_predicts_the_golden_noise(golden: GoldenModel) -> None:
    comparisons = list(compare_eps(golden, np.load(GOLDEN / "eps.npz")))
    assert len(comparisons) == 1 + 2 * 8 + 3
    assert [str(c) for c in comparisons if not c.passed] == []


@pytest.mark.parametrize("case", ["A1", "A2", "A3"])
def test_full_runs_agree(golden: GoldenModel, case: str) -> None:
    comparisons = list(compare_run(golden, case, np.load(GOLDEN / f"{case}.npz")))
    assert len(comparisons) == 6
    assert [str(c) for c in comparisons if not c.passed] == []
