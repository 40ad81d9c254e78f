"""The scene into which the tests of this folder inject their faults."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.hostile.pipeline import graph
from tests.fault_scene import OPTIONS, Scene, opened_scene


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with opened_scene(tmp_path_factory.mktemp("models")) as scene:
        yield scene


@pytest.fixture(autouse=True)
def nothing_else_runs(scene: Scene) -> None:
    """Before every test the host's cache holds the clean run: a fault meets no node before the one that it is for."""
    assert scene.pipeline.run_graph(graph(scene.name, 0, OPTIONS)).error == ""
