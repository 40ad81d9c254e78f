"""Which module imports which."""

from __future__ import annotations

import ast

from tests.in_host import ROOT

SHARED = {"sockets", "inputs", "checks"}
"""Modules of `nodes` that several nodes use."""


def test_no_node_imports_another() -> None:
    files = sorted((ROOT / "nodes").glob("*.py"))
    assert len(files) > len(SHARED) + 5
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level == 1:
                imported = {node.module} if node.module else {alias.name for alias in node.names}
                assert imported <= SHARED, f"{file.name} imports {imported}"
            if isinstance(node, ast.ImportFrom) and node.level == 2:
                assert (node.module or "").split(".")[0] != "nodes", file.name
