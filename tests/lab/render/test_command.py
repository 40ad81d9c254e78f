"""The command line, and the kernels that it compiles."""

from __future__ import annotations

import hashlib
import os
import sys

from lab.render.__main__ import main
from lab.render.compiled import forget_stale


def test_kernels_compiled_before_a_change_are_forgotten(tmp_path):
    index = tmp_path / "__pycache__" / "kernel.nbi"
    index.parent.mkdir()
    index.touch()
    source = tmp_path / "called.py"
    source.touch()
    compiled_at = index.stat().st_mtime
    os.utime(source, (compiled_at - 5, compiled_at - 5))
    forget_stale(tmp_path)
    assert index.exists()
    os.utime(source, (compiled_at + 5, compiled_at + 5))
    forget_stale(tmp_path)
    assert not index.exists()


def test_command_line_writes_a_sheet(tmp_path, monkeypatch, capsys):
    out = tmp_path / "sheets" / "one.png"
    monkeypatch.setattr(sys, "argv", ["render", str(out), "--seed", "3", "--grid", "2", "--side", "48", "--scene"])
    main()
    assert "2 pictures" in capsys.readouterr().out
    assert hashlib.sha256(out.read_bytes()).digest()
    assert sorted(p.name for p in out.parent.iterdir()) == ["one.png"]
