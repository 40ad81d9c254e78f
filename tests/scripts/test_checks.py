"""The command that runs every check."""

from __future__ import annotations

import pytest

from scripts import test as checks


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], ["tests"]),
        (["-k", "solver"], ["tests", "-k", "solver"]),
        (["tests/scripts/test_checks.py::test_x", "-x"], ["tests/scripts/test_checks.py::test_x", "-x"]),
    ],
)
def test_pytest_runs_all_tests_unless_told_which(arguments, expected):
    assert checks.pytest_arguments(arguments) == expected
