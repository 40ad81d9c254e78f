"""A person's word through the server's API: boxes as inputs, a painted photograph, and the host's own boxes."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from harness.comfyui import comfyui_folder
from harness.server import ComfyServer, WorkflowFailed, WorkflowInterrupted, WorkflowRejected
from harness.workflow import Workflow, node_of, with_inputs
from miniature.layout import FACE_PACK, JUDGE_PACK, WEIGHTS
from tests.shipped_workflows import rendered
from tests.workspace import FINISHED, PORTRAIT, make_workspace, shipped

pytestmark = pytest.mark.server

WIDTH, HEIGHT = 320, 256

EMPTY = (8, 150, 60, 216)
"""A box in which the photograph shows nobody."""

QUICK: dict[str, dict[str, Any]] = {
    "FaceEmbed": {"det_size": 256, "threshold": 0.5, "search_turned": False},
    "ReverseIdentityCheck": {"det_size": 256, "det_threshold": 0.5, "second_search": False},
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComfyServer]:
    folder = make_workspace(tmp_path_factory.mktemp("base"), WEIGHTS)
    two = rendered(5, WIDTH, HEIGHT)
    two.save(folder / "input" / PORTRAIT)
    two.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(folder / "input" / FINISHED)
    painted = two.convert("RGBA")
    # The host's mask editor makes transparent what is painted.
    painted.putalpha(255)
    painted.paste((0, 0, 0, 0), EMPTY)
    painted.save(folder / "input" / "painted.png")
    with ComfyServer(folder, comfyui=comfyui_folder()) as running:
        yield running


def checked(**changes: dict[str, Any]) -> Workflow:
    """The shipped workflow that only checks, with quick searches."""
    inputs = {kind: {**QUICK.get(kind, {}), **changes.get(kind, {})} for kind in {*QUICK, *changes}}
    return with_inputs(shipped("check-only"), **inputs)


def shown(history: dict[str, Any], workflow: Workflow, kind: str, key: str) -> dict[str, Any]:
    found: dict[str, Any] = history["outputs"][node_of(workflow, kind)][key][0]
    return found


def text(box: Any) -> str:
    return ",".join(f"{side:g}" for side in box)


def pixels(face: dict[str, Any]) -> list[int]:
    return [round(part * side) for part, side in zip(face["box"], (WIDTH, HEIGHT) * 2, strict=True)]


def reports(server: ComfyServer) -> set[Path]:
    return set((server.base_directory / "output").glob("*.json"))


def test_boxes_go_in_and_stand_in_the_saved_report(server: ComfyServer) -> None:
    workflow = checked()
    before = shown(server.run(workflow), workflow, "FaceEmbed", "found_faces")
    first = pixels(before["faces"][0])
    old = reports(server)
    workflow = checked(
        FaceEmbed={"not_faces": text(first), "drawn_faces": text(EMPTY)},
        ReverseIdentityCheck={"drawn_faces": "100,200,130,240"},
    )
    history = server.run(workflow)
    faces = shown(history, workflow, "FaceEmbed", "found_faces")["faces"]
    assert len(faces) == len(before["faces"]) + 1
    assert [face["struck_by"] for face in faces] == [0, *[None] * (len(faces) - 1)]
    assert (faces[-1]["found"], faces[-1]["drawn_by"]) == (False, 0)
    verdicts = shown(history, workflow, "ReverseIdentityCheck", "comparison")["faces"]
    assert verdicts[-1]["reason"] == "drawn by a person"
    [path] = reports(server) - old
    report = json.loads(path.read_text(encoding="utf-8"))
    assert report["decisions"] == [
        {"decision": "struck out by a person", "box": first},
        {"decision": "drawn by a person", "box": list(EMPTY)},
        {"decision": "drawn by a person", "box": [100, 200, 130, 240]},
    ]
    # Of the decisions, the report holds these boxes and nothing else.
    assert not any("faces" in name for node in report["settings"] for name in node["inputs"])


def test_a_photograph_painted_in_the_hosts_mask_editor(server: ComfyServer) -> None:
    workflow = checked()
    # Of the two loaders the first loads the original.
    loader = workflow[node_of(workflow, "FaceEmbed")]["inputs"]["image"][0]
    workflow[loader]["inputs"]["image"] = "painted.png"
    workflow[node_of(workflow, "FaceEmbed")]["inputs"]["face_mask"] = [loader, 1]
    found = shown(server.run(workflow), workflow, "FaceEmbed", "found_faces")
    assert (found["drawn_faces"], found["painted"]) == ([list(EMPTY)], 1)
    # A photograph without a mask has one of another size, and nothing in it.
    workflow[loader]["inputs"]["image"] = PORTRAIT
    found = shown(server.run(workflow), workflow, "FaceEmbed", "found_faces")
    assert (found["drawn_faces"], found["painted"]) == ([], 0)


@pytest.mark.parametrize("linked", [True, False], ids=["the host's box", "json"])
def test_another_detectors_boxes(server: ComfyServer, linked: bool) -> None:
    workflow = checked()
    count = len(shown(server.run(workflow), workflow, "FaceEmbed", "found_faces")["faces"])
    x0, y0, x1, y1 = EMPTY
    size = {"x": x0, "y": y0, "width": x1 - x0, "height": y1 - y0}
    workflow["90"] = {"class_type": "PrimitiveBoundingBox", "inputs": size}
    given = ["90", 0] if linked else json.dumps([list(EMPTY)])
    workflow[node_of(workflow, "FaceEmbed")]["inputs"]["detections"] = given
    faces = shown(server.run(workflow), workflow, "FaceEmbed", "found_faces")["faces"]
    assert len(faces) == count + 1
    assert list(EMPTY) in [pixels(face) for face in faces]


def test_what_cannot_be_read_is_refused(server: ComfyServer) -> None:
    with pytest.raises(WorkflowFailed, match="drawn_faces has the box 400,10,460,80 outside image 1"):
        server.run(checked(ReverseIdentityCheck={"drawn_faces": "400,10,460,80"}))
    workflow = checked()
    workflow[node_of(workflow, "FaceEmbed")]["inputs"]["detections"] = [node_of(workflow, "FaceEmbed"), 0]
    with pytest.raises(WorkflowRejected):
        server.run(workflow)


def group(**changes: dict[str, Any]) -> Workflow:
    """The shipped workflow for groups, with a photograph whose name tells who is in it."""
    load = {"ReverseIdentityLoadPhotograph": {"image": "Jane Doe.png"}}
    return with_inputs(shipped("group-photo"), **load, **changes)


def test_what_can_be_known_from_the_graph_is_refused_when_it_is_queued(server: ComfyServer) -> None:
    folder = server.base_directory / "input"
    shutil.copy(folder / PORTRAIT, folder / "Jane Doe.png")
    guide = {"checker": FACE_PACK.name}
    mistakes: list[tuple[str, dict[str, Any], str]] = [
        ("ReverseIdentityEditRetry", {"scales": "-2, x"}, "weakest first"),
        ("ReverseIdentityEditRetry", {"scales": "5"}, "weakest first"),
        ("ReverseIdentityEditRetry", guide, "same recogniser as the guide"),
        ("ReverseIdentityCheck", guide, "same recogniser as the guide"),
        ("ReverseIdentityEditRetry", {"checker": "antelopev2"}, "antelopev2. is not installed"),
        ("ReverseIdentityCheck", {"checker": "antelopev2"}, "antelopev2. is not installed"),
        ("ReverseIdentityCheck", {"checker": "nonsense"}, "expected one of antelopev2"),
        ("ReverseIdentitySaveImage", {"filename_prefix": "2026/jane doe"}, "says nothing about the original"),
        ("FaceEmbed", {"select": "first"}, "the choice of faces is .first"),
        ("FaceEmbed", {"not_faces": "the poster"}, "not_faces has the box"),
        ("ReverseIdentityCheck", {"drawn_faces": "9,9,1,1"}, "expected finite sides"),
    ]
    for kind, inputs, message in mistakes:
        workflow = group(**{kind: inputs})
        with pytest.raises(WorkflowRejected) as refused:
            server.queue(workflow)
        faults = refused.value.node_errors[node_of(workflow, kind)]
        assert re.search(message, faults["errors"][0]["details"]), (inputs, faults)
    # Nothing of it speaks against the graph without a mistake, nor against the guide as checker of other faces.
    workflow = group()
    workflow["90"] = {
        "class_type": "FaceEmbed",
        "inputs": {**workflow[node_of(workflow, "FaceEmbed")]["inputs"], "model_pack": JUDGE_PACK.name},
    }
    for accepted in (group(), workflow):
        prompt_id = server.queue(accepted)
        server.interrupt()
        with contextlib.suppress(WorkflowInterrupted):
            server.wait(prompt_id)
