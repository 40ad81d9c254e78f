"""Second Pass in the host's executor: who goes through the graph again, with what, and what runs for it.

The first search is made to miss the smaller of two people by its threshold. In the place of the sampler stands a node
that changes a face's left half, so that a recogniser sees somebody else and the detector still sees a face.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from harness.in_process import part
from harness.workflow import Workflow
from reverse_personalization.assurance.verdict import pixels_digest
from tests.checking import DET_SIZE, HEIGHT, PLACE, WIDTH, scene
from tests.executor import Executor
from tests.face_embedding import images

SMALL_PLACE = (150, 60, 40)
BOTH, ONE = scene(cyan=PLACE, yellow=SMALL_PLACE), scene(cyan=PLACE)
SIDE = 128

MISSED = "1 face that only the check found is not sent through again, and left to Cover Faces: "


class Pictures:
    """Outputs pictures: as one batch, or each for itself."""

    CATEGORY, FUNCTION, RETURN_TYPES, OUTPUT_IS_LIST = "tests", "run", ("IMAGE", "FLOAT"), (True, True)
    known: dict[str, list[Tensor]] = {}

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802 - the host's name
        return {"required": {"name": ("STRING", {})}}

    def run(self, name: str) -> tuple[list[Tensor], list[float]]:
        return self.known[name], [1.0] * len(self.known[name])


class ChangeFaces:
    """Greys the left half of each crop, as far as the detector still sees its colours. Tells its runs by the scale."""

    CATEGORY, FUNCTION, RETURN_TYPES = "tests", "run", ("IMAGE", "REVERSE_IDENTITY_RETRIES")
    seen: list[int] = []
    interrupted_at: int | None = None

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802 - the host's name
        return {
            "required": {"crops": ("IMAGE", {}), "faces": ("REVERSE_IDENTITY_FACES", {}), "strength": ("FLOAT", {})},
            "optional": {"id": ("STRING", {})},
        }

    def run(self, crops: Tensor, faces: Any, strength: float, id: str = "") -> tuple[Tensor, Any]:
        self.seen.append(sum(not face.nobody for face in faces))
        if len(self.seen) == self.interrupted_at:
            import comfy.model_management

            comfy.model_management.interrupt_current_processing()
            comfy.model_management.throw_exception_if_processing_interrupted()
        changed = crops.clone()
        left = changed[:, :, : crops.shape[2] // 2]
        left.copy_(torch.where(left > 0.5, 0.55, 0.45))
        retry = part("reverse_personalization.assurance.retry")
        tried = ((retry.RetryStep(-float(len(self.seen)), True, 0.1, True),),) * self.seen[-1]
        return torch.lerp(crops, changed, strength), retry.Retries(faces.embeddings()[: len(tried)], tried)


@pytest.fixture
def executor(pack: ModuleType, judge_pack: Path, output: Path, monkeypatch: pytest.MonkeyPatch) -> Executor:
    import nodes

    for name, node in pack.node_classes.items():
        node.GET_SCHEMA()
        monkeypatch.setitem(nodes.NODE_CLASS_MAPPINGS, name, node)
    for node in (Pictures, ChangeFaces):
        monkeypatch.setitem(nodes.NODE_CLASS_MAPPINGS, f"Tests{node.__name__}", node)
    ChangeFaces.seen.clear()
    monkeypatch.setattr(ChangeFaces, "interrupted_at", None)
    Pictures.known = {"batch": [images(BOTH)]}
    return Executor()


def graph(strength: Any = 1.0, threshold: float = 0.75) -> Workflow:
    """From photographs to files; the second pass is "second"."""
    faces = {"model_pack": "fake", "provider": "CPU", "det_size": DET_SIZE, "threshold": threshold}
    photographs, found, pasted = ["source", 0], ["faces", 0], ["paste", 0]
    parts: dict[str, tuple[str, dict[str, Any]]] = {
        "source": ("TestsPictures", {"name": "batch"}),
        "faces": ("FaceEmbed", {"image": photographs, "select": "all", "no_face": "empty list", **faces}),
        "crop": ("ReverseIdentityFaceCrop", {"image": photographs, "faces": found, "side": SIDE}),
        "change": (
            "TestsChangeFaces",
            {"crops": ["crop", 0], "faces": ["crop", 1], "strength": strength, "id": "an input may be called that"},
        ),
        "paste": (
            "ReverseIdentityFacePaste",
            {
                "image": photographs,
                "placements": ["crop", 2],
                "crops": ["change", 0],
                "colour_match": False,
                "match_grain": False,
            },
        ),
        "check": (
            "ReverseIdentityCheck",
            {
                "original": photographs,
                "faces": found,
                "result": pasted,
                "checker": "judge",
                "provider": "CPU",
                "threshold": 0.9,
                "det_size": DET_SIZE,
                "retries": ["change", 1],
            },
        ),
        "second": (
            "ReverseIdentitySecondPass",
            {
                "image": pasted,
                "verdict": ["check", 0],
                "faces": found,
                "original": photographs,
                "report": ["check", 1],
            },
        ),
        "cover": ("ReverseIdentityFaceCover", {"image": ["second", 0], "verdict": ["second", 1]}),
        "save": ("ReverseIdentitySaveImage", {"images": ["cover", 0], "verdict": ["cover", 1]}),
    }
    return {key: {"class_type": kind, "inputs": inputs} for key, (kind, inputs) in parts.items()}


def without(workflow: Workflow) -> Workflow:
    """The graph as it is without a second pass."""
    left = {key: node for key, node in workflow.items() if key != "second"}
    left["cover"] = {**left["cover"], "inputs": {"image": ["paste", 0], "verdict": ["check", 0]}}
    return left


def statuses(executor: Executor, node: str, slot: int) -> list[list[list[str]]]:
    return [[[face.status for face in one] for one in verdict.images] for verdict in executor.output(node, slot)]


def inside(picture: Tensor | np.ndarray, place: tuple[int, int, int]) -> np.ndarray:
    x, y, side = place
    return np.asarray(picture)[y : y + side, x : x + side]


def test_who_was_missed_goes_through_the_graph_and_is_not_covered(executor: Executor, output: Path):
    assert executor.run(graph(), "save") == ""
    assert statuses(executor, "check", 0) == [[["anonymised", "unhandled"]]]
    assert statuses(executor, "cover", 1) == [[["anonymised", "anonymised"]]]
    [image], [pasted], [mask] = executor.output("cover", 0), executor.output("paste", 0), executor.output("cover", 2)
    assert not mask.any()
    assert ChangeFaces.seen == [1, 1]
    # The other person and everything around them are as the first pass left them.
    changed = (image[0] != pasted[0]).any(-1).numpy()
    assert inside(changed, SMALL_PLACE).mean() > 0.3
    assert not inside(changed, PLACE).any()
    [report] = executor.output("second", 2)
    first, second = report.splitlines()[1:]
    assert first.startswith("image 1 face 1: anonymised, similarity")
    assert second.startswith("image 1 face 2: anonymised, found by the check, sent through once, similarity")
    assert executor.output("second", 3) == [True]
    [file] = output.glob("*.png")
    saved = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
    assert [face["status"] for face in saved["faces"]] == ["anonymised", "anonymised"]
    assert saved["pixels"]["output_sha256"] == pixels_digest(image[0])
    assert [[step["scale"] for step in face["retries"]] for face in saved["faces"]] == [[-1.0], [-2.0]]
    assert [node["node"] for node in saved["settings"]].count("ReverseIdentityFaceCrop") == 1


def test_each_node_between_faces_and_picture_runs_once_more_and_no_other(executor: Executor):
    assert executor.run(graph(), "save") == ""
    # The host names a copy after the node that made it.
    copies = [shown for node, shown in executor.ran if node.startswith("second.")]
    assert sorted(copies) == ["change", "check", "crop", "paste"]
    assert sorted(node for node, _ in executor.ran if not node.startswith("second.")) == sorted(graph())
    assert executor.run({**graph(), "cover": {**graph()["cover"]}}, "save") == ""
    assert executor.ran == []
    blurred = graph()
    blurred["cover"]["inputs"]["method"] = "blur"
    assert executor.run(blurred, "save") == ""
    assert [node for node, _ in executor.ran] == ["cover", "save"]


def test_an_interrupted_second_pass_saves_nothing_and_is_made_up_for(
    executor: Executor, output: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(ChangeFaces, "interrupted_at", 2)
    executor.run(graph(), "save")
    assert any(event == "execution_interrupted" for event, _ in executor.server.events)
    assert ChangeFaces.seen == [1, 1]
    assert not [file for file in output.rglob("*") if file.is_file()]
    monkeypatch.setattr(ChangeFaces, "interrupted_at", None)
    assert executor.run(graph(), "save") == ""
    assert statuses(executor, "cover", 1) == [[["anonymised", "anonymised"]]]
    # The first pass is in the host's cache; the second one runs from its beginning.
    assert "change" not in [node for node, _ in executor.ran]
    assert sorted(shown for node, shown in executor.ran if node.startswith("second.")) == [
        "change",
        "check",
        "crop",
        "paste",
    ]


def test_who_stays_recognisable_is_covered(executor: Executor):
    assert executor.run(graph(strength=0.0), "save") == ""
    assert statuses(executor, "second", 1) == [[["recognisable", "recognisable"]]]
    assert statuses(executor, "cover", 1) == [[["covered", "covered"]]]
    [mask] = executor.output("cover", 2)
    assert inside(mask[0], SMALL_PLACE).all()
    assert ChangeFaces.seen == [1, 1]
    assert executor.output("second", 3) == [False]


def test_nothing_new_costs_nothing_and_changes_nothing(executor: Executor, monkeypatch: pytest.MonkeyPatch):
    def refuse(*arguments: Any) -> None:
        raise AssertionError("something was done")

    monkeypatch.setattr(part("nodes.second_pass"), "pixels_digest", refuse)
    workflow = graph(threshold=0.3)
    assert executor.run(without(workflow), "save") == ""
    [expected] = executor.output("cover", 0)
    assert executor.run(workflow, "save") == ""
    assert [node for node, _ in executor.ran] == ["second", "cover", "save"]
    [image] = executor.output("cover", 0)
    assert torch.equal(image, expected)
    assert statuses(executor, "cover", 1) == [[["anonymised", "anonymised"]]]
    assert executor.output("second", 2) == executor.output("check", 1)
    assert ChangeFaces.seen == [2]


@pytest.mark.parametrize("listed", [False, True])
def test_of_two_pictures_only_that_with_somebody_new_changes(executor: Executor, listed: bool):
    Pictures.known = {"batch": [images(ONE), images(BOTH)] if listed else [images(ONE, BOTH)]}
    assert executor.run(graph(), "save") == ""
    became = [one for verdict in statuses(executor, "cover", 1) for one in verdict]
    assert became == [["anonymised"], ["anonymised", "anonymised"]]
    before, after = (torch.cat(executor.output(node, 0)) for node in ("paste", "cover"))
    assert torch.equal(before[0], after[0])
    changed = (before[1] != after[1]).any(-1).numpy()
    assert inside(changed, SMALL_PLACE).mean() > 0.3
    assert not inside(changed, PLACE).any()
    assert after.shape == (2, HEIGHT, WIDTH, 3)


def covered_as_before(executor: Executor, workflow: Workflow, reason: str) -> None:
    assert executor.run(workflow, "cover") == ""
    assert not [node for node, _ in executor.ran if node.startswith("second.")]
    assert statuses(executor, "second", 1) == statuses(executor, "check", 0)
    assert statuses(executor, "cover", 1)[-1][-1] == ["anonymised", "covered"]
    report = executor.output("second", 2)[-1]
    assert report.splitlines()[-1] == MISSED + reason
    [*_, mask] = executor.output("cover", 2)
    assert inside(mask[-1], SMALL_PLACE).all()


def test_a_setting_for_each_picture_of_a_list_is_not_mixed_up(executor: Executor):
    Pictures.known = {"batch": [images(ONE), images(BOTH)]}
    reason = 'the input strength of "TestsChangeFaces" comes from a list, whose item for this picture is not known'
    covered_as_before(executor, graph(strength=["source", 1]), reason)


def test_a_picture_that_does_not_come_from_the_faces_is_not_made_again(executor: Executor):
    workflow = graph()
    assert executor.run(workflow, "paste") == ""
    Pictures.known["finished"] = executor.output("paste", 0)
    workflow["finished"] = {"class_type": "TestsPictures", "inputs": {"name": "finished"}}
    workflow["check"]["inputs"]["result"] = workflow["second"]["inputs"]["image"] = ["finished", 0]
    covered_as_before(executor, workflow, "the image does not come from these faces")


def test_other_faces_than_the_checks_are_not_followed(executor: Executor):
    workflow = graph()
    workflow["again"] = {**workflow["faces"]}
    workflow["second"]["inputs"]["faces"] = ["again", 0]
    covered_as_before(executor, workflow, "Identity Check got another faces than this node")


def test_a_verdict_on_other_pictures_is_refused(executor: Executor):
    workflow = graph()
    workflow["second"]["inputs"]["image"] = ["source", 0]
    assert "its pixels were changed after the check" in executor.run(workflow, "cover")


def test_a_second_pass_is_not_run_twice(executor: Executor):
    """Who is still new to a check of the first second pass's result is covered."""
    workflow = graph()
    workflow["check 2"] = {**workflow["check"], "inputs": {**workflow["check"]["inputs"], "result": ["second", 0]}}
    given = {"image": ["second", 0], "verdict": ["check 2", 0], "report": ["check 2", 1]}
    workflow["second 2"] = {**workflow["second"], "inputs": {**workflow["second"]["inputs"], **given}}
    assert executor.run(workflow, "second 2") == ""
    assert not [node for node, _ in executor.ran if node.startswith("second 2.")]
    [report] = executor.output("second 2", 2)
    assert report.splitlines()[-1] == MISSED + "they went through a second pass before"
    assert statuses(executor, "second 2", 1) == [[["anonymised", "unhandled"]]]
