"""What install.py repairs."""

from __future__ import annotations

import pytest

import install

BOTH = {"onnxruntime": "1.32.0", "onnxruntime-gpu": "1.31.1"}


@pytest.mark.parametrize(
    ("installed", "opencv_imports", "expected"),
    [
        ({}, False, []),
        ({"onnxruntime": "1.32.0", "opencv-python": "5.0"}, True, []),
        ({"onnxruntime-gpu": "1.31.1", "opencv-python-headless": "5.0"}, True, []),
        (BOTH, True, [("uninstall", "onnxruntime"), ("install", "onnxruntime-gpu==1.31.1")]),
        (
            {"onnxruntime": "1.32.0", "opencv-python": "5.0.0.93"},
            False,
            [("uninstall", "opencv-python"), ("install", "opencv-python-headless==5.0.0.93")],
        ),
    ],
)
def test_only_what_is_broken_is_mended(installed, opencv_imports, expected):
    commands = install.repairs(installed, opencv_imports)
    assert [(command[3], command[-1]) for command in commands] == expected
    assert all("--force-reinstall" in command and "--no-deps" in command for command in commands[1::2])


def test_a_failed_repair_is_reported(monkeypatch, capsys):
    monkeypatch.setattr(install, "installed_versions", lambda: BOTH)
    monkeypatch.setattr(install, "imports", lambda module: True)
    failed = install.subprocess.CompletedProcess([], 3)
    monkeypatch.setattr(install.subprocess, "run", lambda command, check: failed)
    assert install.main() == 3
    assert "uninstall" in capsys.readouterr().err
