"""Photographs that nobody is in, through the whole graph: alone, in a batch, and in a list beside others.

The graph is run by the host's own executor, which decides what is computed and what is blocked.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from harness.in_process import part, run_node
from lab.hostile.cases import Case, Painter
from lab.hostile.files import read_saved
from lab.hostile.judging import levels
from lab.hostile.photographs import Photograph
from lab.hostile.pipeline import Options, Pipeline, Run, known_models, provide_models

SIZE = (200, 240)

numbers = itertools.count()


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    with known_models(provide_models(tmp_path_factory.mktemp("models"))):
        yield Pipeline()


@pytest.fixture(scope="module")
def somebody() -> Photograph:
    return Painter(3, 0).scene([(110, 110, 110)], *SIZE, widest=10.0)


def nobody(height: int, width: int) -> Photograph:
    """Sky and meadow."""
    across, down = np.linspace(0, 1, width), np.linspace(0, 1, height)
    planes = [np.add.outer(0.5 * down, 0.2 * across), np.add.outer(0.8 - 0.3 * down, 0 * across), 1 - across]
    picture = np.stack([np.broadcast_to(plane, (height, width)) for plane in planes], axis=-1)
    return Photograph(picture.astype(np.float32), ())


def run(pipeline: Pipeline, *photographs: Photograph, listed: bool = False, no_face: str = "save") -> Run:
    # The host's cache goes by the name of the file, which has the case's number in it.
    case = Case(next(numbers), "without faces", photographs, form="tensor", listed=listed)
    return pipeline.run(case, Options(steps=2, scales=(-4.0,), first=False, unchanged=False, no_face=no_face))


@pytest.mark.parametrize("first", [True, False])
def test_in_a_list_beside_others_it_comes_out_as_it_was(pipeline: Pipeline, somebody: Photograph, first: bool):
    landscape = nobody(*SIZE)
    photographs = (landscape, somebody) if first else (somebody, landscape)
    done = run(pipeline, *photographs, listed=True)
    assert done.error == ""
    empty, full = done.items if first else reversed(done.items)
    assert len(empty.faces) == 0
    assert len(full.faces) >= 1
    [file], [other] = empty.saved, full.saved
    assert np.array_equal(read_saved(file), levels(torch.from_numpy(landscape.pixels)))
    assert not empty.changed.any()
    assert full.changed.any()
    assert {face.status for face in full.verdict} <= {"anonymised", "covered"}
    assert not np.array_equal(read_saved(other), levels(full.original[0]))
    assert '"result": "no face"' in file.with_suffix(".json").read_text(encoding="utf-8")


def test_in_a_list_the_input_of_save_decides(pipeline: Pipeline, somebody: Photograph):
    done = run(pipeline, nobody(*SIZE), somebody, listed=True, no_face="block")
    assert "no face was found in image 1 of 1" in done.error
    assert done.files == ()


def test_in_a_batch_it_comes_out_as_it_was(pipeline: Pipeline, somebody: Photograph):
    landscape = nobody(*somebody.pixels.shape[:2])
    done = run(pipeline, somebody, landscape)
    assert done.error == ""
    [item] = done.items
    assert [bool(faces) for faces in item.faces.images] == [True, False]
    _, file = item.saved
    assert np.array_equal(read_saved(file), levels(torch.from_numpy(landscape.pixels)))


def test_alone_it_comes_out_and_nothing_is_inverted(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch):
    # Were it asked to, this would stop the run.
    monkeypatch.delattr(part("nodes.dpm_solver_inversion"), "record_trajectory")
    done = run(pipeline, nobody(150, 170))
    assert done.error == ""
    [item] = done.items
    assert len(item.saved) == 1


def test_nobody_has_the_null_identity_and_no_text():
    image = torch.rand(1, 80, 90, 3)
    faces = part("reverse_personalization.geometry.faces").Faces(((),), 80, 90, "fake", "CPUExecutionProvider")
    _, (nobody,), *_ = run_node("ReverseIdentityFaceCrop", image=image, faces=faces)
    attributes = part("reverse_personalization.method.attributes")
    kept = attributes.Attributes(age=attributes.KEEP, sex="male", text="with a hat")
    assert attributes.sentence(kept, nobody) == ""
    assert torch.equal(nobody.embedding[None], part("host.identity_adapter").null_identity())
