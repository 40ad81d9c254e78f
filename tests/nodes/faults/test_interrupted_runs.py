"""Runs that end in the middle, by a fault or because they are cancelled: no file is left."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from harness.in_process import part
from tests.fault_scene import NODES, Scene
from tests.faults import throw


def test_a_fault_in_the_middle_of_the_faces_leaves_nobody_in_a_file(scene: Scene, monkeypatch):
    pack = part("host.insight").FacePack
    whole, calls = pack.embedding, itertools.count()

    def second_time_broken(self: Any, picture: Any, face: Any) -> Any:
        return throw() if next(calls) else whole(self, picture, face)

    monkeypatch.setattr(pack, "embedding", second_time_broken)
    run = scene.run("faces")
    assert run.files == ()
    assert run.error.startswith("FaceEmbed: InjectedError")


@pytest.mark.parametrize("node", ["faces", "check"])
def test_a_fault_in_the_middle_of_a_search_leaves_nobody_in_a_file(scene: Scene, node: str, monkeypatch):
    pack = part("host.insight").FacePack
    whole, calls = pack._detect, itertools.count()

    def fifth_view_broken(self: Any, *given: Any) -> Any:
        return throw() if next(calls) == 5 else whole(self, *given)

    monkeypatch.setattr(pack, "_detect", fifth_view_broken)
    run = scene.run(node)
    assert next(calls) == 6
    assert run.files == ()
    assert run.error.startswith(f"{NODES[node]}: InjectedError")


@pytest.fixture(scope="module")
def checks_of_a_run(scene: Scene) -> int:
    """How often a whole run looks whether it was cancelled."""
    import comfy.model_management

    calls = itertools.count()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(comfy.model_management, "throw_exception_if_processing_interrupted", lambda: next(calls))
        assert scene.run("faces").files
    return next(calls)


@pytest.mark.parametrize("part_done", [0.0, 0.05, 0.2, 0.4, 0.6, 0.8, 0.9, 1.0])
def test_a_run_that_is_cancelled_leaves_no_file(scene: Scene, checks_of_a_run: int, part_done: float, monkeypatch):
    import comfy.model_management

    calls, checks = itertools.count(), round(part_done * (checks_of_a_run - 1))

    def cancelled() -> None:
        if next(calls) == checks:
            raise comfy.model_management.InterruptProcessingException

    monkeypatch.setattr(comfy.model_management, "throw_exception_if_processing_interrupted", cancelled)
    run = scene.run("faces")
    assert next(calls) == checks + 1, "the run had ended before it was cancelled"
    assert run.files == ()
    assert run.error.endswith("interrupted")
