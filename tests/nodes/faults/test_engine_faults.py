"""What runs under the nodes made to throw, to return nothing, and to return NaN.

Whatever fails: a file that is there afterwards shows nobody.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from harness.in_process import part
from tests.fault_scene import OPTIONS, Scene, from_there_on, safe
from tests.faults import boxes_nan, give, landmarks_nan, landmarks_together, spoilt, throw, to_nan

ENGINES: dict[str, tuple[str, str, str, dict[str, Callable[[Any], Any]]]] = {
    # name: the node to run from, the module, what is patched in it, how
    "detector of the first search": (
        "faces",
        "host.insight",
        "FacePack.search",
        {
            "throws": lambda function: throw,
            "finds nothing": lambda function: give([]),
            "gives boxes of NaN": lambda function: spoilt(function, boxes_nan),
            "gives landmarks of NaN": lambda function: spoilt(function, landmarks_nan),
            "gives one point for all landmarks": lambda function: spoilt(function, landmarks_together),
        },
    ),
    "detector of the check": (
        "check",
        "host.insight",
        "FacePack.search",
        {
            "throws": lambda function: throw,
            "finds nothing": lambda function: give([]),
            "gives boxes of NaN": lambda function: spoilt(function, boxes_nan),
            "gives landmarks of NaN": lambda function: spoilt(function, landmarks_nan),
        },
    ),
    "recogniser of the first search": (
        "faces",
        "host.insight",
        "FacePack.embedding",
        {
            "throws": lambda function: throw,
            "gives nothing": lambda function: give(None),
            "gives NaN": lambda function: spoilt(function, to_nan),
            "gives zeros": lambda function: spoilt(function, np.zeros_like),
        },
    ),
    "recogniser of the check": (
        "check",
        "host.insight",
        "FacePack.embedding",
        {
            "throws": lambda function: throw,
            "gives NaN": lambda function: spoilt(function, to_nan),
            "gives zeros": lambda function: spoilt(function, np.zeros_like),
        },
    ),
    "comparison": (
        "check",
        "reverse_personalization.assurance.checking",
        "Checker.similarity",
        {
            "throws": lambda function: throw,
            "gives nothing": lambda function: give(None),
            "gives NaN": lambda function: spoilt(function, to_nan),
        },
    ),
    "check of a picture": (
        "check",
        "reverse_personalization.assurance.checking",
        "Checker.check",
        {"throws": lambda function: throw, "gives no faces": lambda function: give(())},
    ),
    "edit": (
        "retry",
        "host.edit",
        "edit",
        {
            "throws": lambda function: throw,
            "gives nothing": lambda function: give(None),
            "gives NaN": lambda function: spoilt(function, to_nan),
            "gives zeros": lambda function: spoilt(function, torch.zeros_like),
        },
    ),
    "look at a crop in its photograph": (
        "retry",
        "host.retry",
        "close_up",
        {"throws": lambda function: throw, "gives nothing": lambda function: give(None)},
    ),
    "sampler": (
        "replay",
        "host.edit",
        "replay_trajectory",
        {
            "throws": lambda function: throw,
            "gives nothing": lambda function: give(None),
            "gives NaN": lambda function: spoilt(function, to_nan),
            "gives zeros": lambda function: spoilt(function, torch.zeros_like),
        },
    ),
    "inversion": (
        "inversion",
        "nodes.dpm_solver_inversion",
        "record_trajectory",
        {
            "throws": lambda function: throw,
            "gives nothing": lambda function: give(None),
            "gives NaN": lambda function: spoilt(function, to_nan),
        },
    ),
    "cropping": (
        "crops",
        "nodes.face_crop",
        "take_crops",
        {
            "throws": lambda function: throw,
            "gives nothing": lambda function: give([]),
            "gives NaN": lambda function: spoilt(function, to_nan),
        },
    ),
    "paste": (
        "paste",
        "nodes.face_paste",
        "paste_",
        {
            "throws": lambda function: throw,
            "changes nothing": lambda function: give(None),
            "writes NaN": lambda function: (
                lambda photo, changed, *args, **kwargs: (
                    photo.fill_(torch.nan),
                    changed.fill_(torch.nan),
                )
            ),
        },
    ),
    "cover": (
        "cover",
        "reverse_personalization.assurance.covering",
        "cover_",
        {
            "throws": lambda function: throw,
            "does nothing": lambda function: give(None),
            "writes NaN": lambda function: lambda picture, *args, **kwargs: picture.fill_(torch.nan),
        },
    ),
    "place of the cover": (
        "cover",
        "reverse_personalization.assurance.covering",
        "place_cover",
        {"throws": lambda function: throw, "gives nothing": lambda function: give(None)},
    ),
    "writing": (
        "save",
        "reverse_personalization.assurance.image_files",
        "write_new",
        {"throws": lambda function: throw, "does nothing": lambda function: give(None)},
    ),
    "encoding": (
        "save",
        "nodes.save_anonymized_image",
        "encode",
        {"throws": lambda function: throw, "gives nothing": lambda function: give(None)},
    ),
}

ENGINE_FAULTS = [(engine, fault) for engine, (_, _, _, faults) in ENGINES.items() for fault in faults]


@pytest.mark.parametrize(("engine", "fault"), ENGINE_FAULTS)
def test_an_engine_that_fails_leaves_nobody_in_a_file(scene: Scene, engine: str, fault: str, monkeypatch):
    node, module, name, faults = ENGINES[engine]
    owner: Any = part(module)
    *holder, leaf = name.split(".")
    for one in holder:
        owner = getattr(owner, one)
    monkeypatch.setattr(owner, leaf, faults[fault](getattr(owner, leaf)))
    run = scene.run(node)
    safe(scene, run)
    assert from_there_on(run, node), run.error
    assert run.files or run.error or (engine, fault) == ("writing", "does nothing")


@pytest.fixture(scope="module")
def recognised(scene: Scene) -> Scene:
    """The scene with a scale so weak that everybody stays recognisable and has to be covered."""
    weak = dataclasses.replace(scene, options=dataclasses.replace(OPTIONS, scales=(-0.01,)))
    return dataclasses.replace(weak, clean=weak.run("retry"))


def test_recognisable_faces_are_covered(recognised: Scene):
    """Without a fault: what the faults above would have let through."""
    [item] = recognised.clean.items
    assert [face.status for face in item.verdict][:2] == ["covered", "covered"]
    assert len(item.saved) == 1
    safe(recognised, recognised.clean)


COVER_FAULTS = [(engine, fault) for engine, fault in ENGINE_FAULTS if engine in ("cover", "place of the cover")]


@pytest.mark.parametrize("method", ["solid", "mosaic", "blur"])
@pytest.mark.parametrize(("engine", "fault"), COVER_FAULTS)
def test_a_cover_that_fails_over_recognisable_faces_stops_the_run(
    recognised: Scene, engine: str, fault: str, method: str, monkeypatch
):
    node, module, name, faults = ENGINES[engine]
    owner: Any = part(module)
    monkeypatch.setattr(owner, name, faults[fault](getattr(owner, name)))
    run = recognised.run(node, method=method)
    assert run.files == ()
    assert run.error.startswith("ReverseIdentityFaceCover: ")
