"""Which file imports which, read from the source: relative, absolute, lazy, and by a name in a string."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ABSOLUTE = ("reverse_personalization", "batch", "harness", "miniature", "lab", "bench", "scripts", "tests", "install")
"""Packages that are imported by their own name. `host` and `nodes` are only imported relatively: those names are
ComfyUI's outside the pack."""

BY_NAME = ("import_module", "part")
"""Functions that take a module's name: `importlib.import_module`, and `harness.in_process.part` for the pack's own."""


class Import(NamedTuple):
    """One import.

    Attributes:
        source: the importing file, relative to the root.
        line: where it stands.
        target: the imported file, relative to the root; it need not exist.
    """

    source: Path
    line: int
    target: Path


def imports_of(root: Path, source: Path) -> Iterator[Import]:
    """The imports of this repository's own files in one of them.

    Args:
        root: of the repository.
        source: relative to it.
    """
    for node in ast.walk(ast.parse((root / source).read_text(encoding="utf-8"))):
        for name in _names(root, source, node):
            yield Import(source, getattr(node, "lineno", 0), _file(root, name))


def _names(root: Path, source: Path, node: ast.AST) -> Iterator[tuple[str, ...]]:
    """Modules that a node of the syntax tree imports, as the parts of their names from the root."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            if _ours(alias.name):
                yield tuple(alias.name.split("."))
    elif isinstance(node, ast.ImportFrom):
        if not node.level and not _ours(node.module or ""):
            return
        package = source.parts[: len(source.parts) - node.level] if node.level else ()
        base = (*package, *(node.module or "").split(".")) if node.module else package
        for alias in node.names:
            # A name is a module of the package, or something inside the package's own module.
            yield (*base, alias.name) if _exists(root, (*base, alias.name)) else base
    elif isinstance(node, ast.Call):
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        literal = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else None
        if called in BY_NAME and isinstance(literal, str) and (called == "part" or _ours(literal)):
            yield tuple(literal.split("."))


def _ours(name: str) -> bool:
    return name.split(".")[0] in ABSOLUTE


def _exists(root: Path, name: tuple[str, ...]) -> bool:
    return (root / _file(root, name)).is_file() or root.joinpath(*name).is_dir()


def _file(root: Path, name: tuple[str, ...]) -> Path:
    """The file of a module or a package."""
    module = Path(*name).with_suffix(".py") if name else Path("__init__.py")
    return module if (root / module).is_file() or not name else Path(*name, "__init__.py")
