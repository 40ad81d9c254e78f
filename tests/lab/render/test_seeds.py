"""The same seeds give the same pictures, and splits share nobody."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from harness.environment import ROOT
from lab.render.identity import draw_identity
from lab.render.portrait import portrait
from lab.render.seeds import SPLIT_SIZE, SPLITS, identity_seed, split_of
from tests.lab.render.digest import digest


def test_same_seed_gives_same_bytes_in_another_process():
    env = os.environ | {"PYTHONHASHSEED": "7"}
    command = [sys.executable, "-m", "tests.lab.render.digest"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == digest()


@pytest.mark.parametrize("change", ["identity", "nuisance"])
def test_another_seed_gives_another_picture(change):
    one = portrait(2_000_000, 1, 48).image
    other = portrait(2_000_000 + (change == "identity"), 1 + (change == "nuisance"), 48).image
    assert np.abs(one.astype(int) - other).mean() > 5


def test_splits_are_disjoint_and_complete():
    ranges = [{identity_seed(split, i) for i in (0, 1, SPLIT_SIZE - 1, SPLIT_SIZE)} for split in SPLITS]
    assert all(len(r) == 3 for r in ranges)
    assert len(set.union(*ranges)) == 3 * len(SPLITS)
    for split, seeds in zip(SPLITS, ranges, strict=True):
        assert {split_of(seed) for seed in seeds} == {split}
    for bad in (-1, SPLIT_SIZE * len(SPLITS)):
        with pytest.raises(ValueError, match="identity's seed"):
            draw_identity(bad)
