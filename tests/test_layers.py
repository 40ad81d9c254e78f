"""Which folder may import which, how large a file may be, and that nodes stand on their own.

CONTRIBUTING.md explains the order.
"""

from __future__ import annotations

import ast
import graphlib
import subprocess
from pathlib import Path

import pytest

from harness.environment import ROOT
from tests.folder_order import ROWS
from tests.imports import Import, imports_of

PRODUCT = ("reverse_personalization", "batch", "host", "nodes", "js", "__init__.py", "install.py")
"""What users install. It imports nothing of the rest, which is there for development."""

SHARED_BY_NODES = ("__init__.py", "sockets.py", "inputs.py", "checks.py")
MOST_LINES = 400


def tracked(*patterns: str) -> list[Path]:
    """Files of the repository that git knows or would take up, relative to its root."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return sorted(path for name in listed.split("\0") if name and (ROOT / (path := Path(name))).is_file())


def folder_of(path: Path) -> str:
    """The folder of ORDER that a file is in: the longest that leads to it.

    Raises:
        LookupError: the file is in none.
    """
    for folder in (path, *path.parents):
        if folder.as_posix() in ROWS and (folder != Path() or len(path.parts) == 1):
            return folder.as_posix()
    raise LookupError(f"{path} is in no folder of tests/folder_order.py: add its folder where it belongs")


def allowed(one: Import) -> bool:
    """Whether a file may import another."""
    source, target = folder_of(one.source), folder_of(one.target)
    return source == target or ROWS[target] < ROWS[source]


@pytest.fixture(scope="module")
def every_import() -> list[Import]:
    return [one for path in tracked("*.py") for one in imports_of(ROOT, path)]


def test_no_folder_imports_one_above_it(every_import: list[Import]) -> None:
    wrong = [f"{one.source}:{one.line} imports {one.target}" for one in every_import if not allowed(one)]
    assert not wrong, "\n".join(wrong)


def test_no_folders_import_each_other_in_a_circle(every_import: list[Import]) -> None:
    graph: dict[str, set[str]] = {}
    for one in every_import:
        source, target = folder_of(one.source), folder_of(one.target)
        if source != target:
            graph.setdefault(source, set()).add(target)
    # Raises CycleError, which names the circle.
    assert "tests" in graphlib.TopologicalSorter(graph).static_order()


def test_what_is_imported_is_there(every_import: list[Import]) -> None:
    absent = [
        f"{one.source}:{one.line} imports {one.target}" for one in every_import if not (ROOT / one.target).exists()
    ]
    assert not absent, "\n".join(absent)


def test_the_product_imports_nothing_from_development(every_import: list[Import]) -> None:
    wrong = [one for one in every_import if one.source.parts[0] in PRODUCT and one.target.parts[0] not in PRODUCT]
    assert wrong == []


def test_no_node_imports_another(every_import: list[Import]) -> None:
    wrong = [
        f"{one.source}:{one.line} imports {one.target}"
        for one in every_import
        if one.source.parts[0] == one.target.parts[0] == "nodes"
        and one.source != one.target
        and one.target.name not in SHARED_BY_NODES
    ]
    assert not wrong, "\n".join(wrong)


def test_the_core_imports_nothing_of_the_host() -> None:
    host = {
        "comfy",
        "comfy_api",
        "comfy_extras",
        "comfyui_version",
        "folder_paths",
        "latent_preview",
        "nodes",
        "server",
    }
    wrong = []
    for path in tracked("reverse_personalization/*.py"):
        for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                names.append(node.module or "")
            wrong += [f"{path}:{node.lineno} imports {name}" for name in names if name.split(".")[0] in host]
    assert not wrong, "\n".join(wrong)


def test_no_test_module_is_imported(every_import: list[Import]) -> None:
    wrong = [
        f"{one.source}:{one.line} imports {one.target}: move what both need into a helper module"
        for one in every_import
        if one.target.parts[0] == "tests" and one.target.name.startswith("test_")
    ]
    assert not wrong, "\n".join(wrong)


def test_every_module_of_the_core_is_in_one_of_its_folders() -> None:
    loose = {path.name for path in tracked("reverse_personalization/*.py") if len(path.parts) == 2}
    # Errors of every folder have one base.
    assert loose == {"__init__.py", "errors.py"}


def test_no_file_is_too_long() -> None:
    files = tracked("*.py", "js/*.js", "js/*.css")
    lengths = {path: len((ROOT / path).read_text(encoding="utf-8").splitlines()) for path in files}
    long = [f"{path}: {lines}" for path, lines in lengths.items() if lines > MOST_LINES]
    assert not long, "\n".join(long)


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("from harness.server import ComfyServer", "harness/server.py"),
        ("from harness import server", "harness/server.py"),
        ("import harness.server", "harness/server.py"),
        ("from harness import absent", "harness/__init__.py"),
        ("def late():\n    from .. import inner\n", "lab/inner.py"),
        ("from . import sibling", "lab/render/sibling.py"),
        ("from .sibling import name", "lab/render/sibling.py"),
        ("from ...harness.server import name", "harness/server.py"),
        ("importlib.import_module('harness.server')", "harness/server.py"),
        ("part('host.guider')", "host/guider.py"),
        ("import numpy, nodes\nfrom comfy import sd\nimportlib.import_module('nodes')", None),
    ],
)
def test_every_way_to_import_is_read(tmp_path: Path, text: str, target: str | None) -> None:
    source = Path("lab", "render", "source.py")
    for name in ("harness/server.py", "lab/inner.py", "lab/render/sibling.py", "host/guider.py", source.as_posix()):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / source).write_text(text, encoding="utf-8")
    assert [one.target.as_posix() for one in imports_of(tmp_path, source)] == ([target] if target else [])


@pytest.mark.parametrize(
    ("source", "target", "good"),
    [
        ("nodes/face_cover.py", "host/insight.py", True),
        ("host/insight.py", "nodes/face_cover.py", False),
        ("host/insight.py", "reverse_personalization/geometry/faces.py", True),
        ("reverse_personalization/geometry/faces.py", "reverse_personalization/method/solver.py", False),
        ("harness/server.py", "reverse_personalization/method/solver.py", False),
        ("miniature/build.py", "scripts/demo.py", False),
        ("lab/training/loop.py", "lab/hostile/cases.py", False),
        ("lab/hostile/cases.py", "lab/training/loop.py", True),
        ("scripts/workflow_generator/forms.py", "scripts/workflows.py", False),
        ("__init__.py", "nodes/face_cover.py", True),
        ("nodes/face_cover.py", "__init__.py", False),
    ],
)
def test_the_order_is_the_one_that_is_meant(source: str, target: str, good: bool) -> None:
    assert allowed(Import(Path(source), 1, Path(target))) is good


def test_a_folder_outside_the_order_is_refused() -> None:
    with pytest.raises(LookupError, match="add its folder"):
        folder_of(Path("toolbox", "saw.py"))
