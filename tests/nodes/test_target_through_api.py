"""Targets on a real server: the saved report names them, the queue refuses what cannot work, and a key stays secret."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from harness.comfyui import comfyui_folder
from harness.server import ComfyServer, WorkflowRejected
from harness.workflow import Workflow, node_of, with_inputs
from miniature.layout import WEIGHTS
from tests.shipped_workflows import QUICK, rendered
from tests.workspace import make_workspace, shipped

pytestmark = pytest.mark.server

KEY = "c0ffee" * 12
EDIT = "ReverseIdentityEditRetry"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComfyServer]:
    folder = make_workspace(tmp_path_factory.mktemp("base"), WEIGHTS)
    rendered(5, 320, 256).save(folder / "input" / "photograph.png")
    keys = folder / "user" / "__reverse_personalization"
    keys.mkdir(parents=True)
    (keys / "family.key").write_text(KEY)
    with ComfyServer(folder, comfyui=comfyui_folder()) as running:
        yield running


def drawn(kind: str, inputs: dict[str, Any], **changes: dict[str, Any]) -> Workflow:
    """The shipped workflow for photographs, with a target; settings that take seconds."""
    quick = {name: {**QUICK.get(name, {}), **changes.get(name, {})} for name in {*QUICK, *changes}}
    workflow = with_inputs(shipped("group-photo"), **quick)
    edit = workflow[node_of(workflow, EDIT)]["inputs"]
    workflow["90"] = {"class_type": kind, "inputs": {"faces": edit["faces"], **inputs}}
    edit.update(target=["90", 0], towards=1.5)
    return workflow


def report_of(server: ComfyServer, workflow: Workflow) -> tuple[dict[str, Any], dict[str, Any]]:
    """The history of a run, and the report that it saved."""
    before = set((server.base_directory / "output").glob("*.json"))
    history = server.run(workflow)
    [path] = set((server.base_directory / "output").glob("*.json")) - before
    return history, json.loads(path.read_text(encoding="utf-8"))


def test_a_pseudonym_stands_in_the_report_and_its_key_nowhere(server: ComfyServer) -> None:
    workflow = drawn("ReverseIdentityPseudonym", {"key": "family"}, ReverseIdentitySaveImage={"keep_workflow": True})
    history, report = report_of(server, workflow)
    changed = [face for face in report["faces"] if face["retries"]]
    assert changed
    assert [face["target"] for face in changed] == [{"kind": "pseudonym", "towards": 1.5}] * len(changed)
    assert {"node": "ReverseIdentityPseudonym", "inputs": {}} in report["settings"]
    kept = [json.dumps(history).encode(), server.log_tail(10_000).encode()]
    base = server.base_directory
    files = [
        path
        for folder in ("output", "temp", "user")
        for path in (base / folder).rglob("*")
        if path.is_file() and path.suffix != ".key"
    ]
    assert any(path.suffix == ".png" and b"family" in path.read_bytes() for path in files), "no graph was stored"
    kept += [path.read_bytes() for path in files]
    assert not any(KEY.encode() in content for content in kept)
    # Nor does the server hand it out.
    for path in ("__reverse_personalization/family.key", "../__reverse_personalization/family.key"):
        with pytest.raises(Exception, match=r"40[034]"):
            server._get(f"/userdata/{path.replace('/', '%2F')}")


def test_a_made_up_target_stands_in_the_report_without_its_seed(server: ComfyServer) -> None:
    _, report = report_of(server, drawn("ReverseIdentityTarget", {"kind": "synthetic", "seed": 887766}))
    assert {face["target"]["kind"] for face in report["faces"] if face["retries"]} == {"synthetic"}
    assert "887766" not in json.dumps(report)


@pytest.mark.parametrize(
    ("kind", "inputs", "changes", "message"),
    [
        ("ReverseIdentityPseudonym", {"key": "nobody"}, {}, "does not exist"),
        ("ReverseIdentityPseudonym", {"key": KEY[:32]}, {}, "never the key itself"),
        ("ReverseIdentityTarget", {"kind": "stranger"}, {}, "others is not connected"),
        ("ReverseIdentityTarget", {"kind": "mix", "weights": "one"}, {}, "others is not connected"),
        ("ReverseIdentityTarget", {"kind": "synthetic"}, {EDIT: {"identity_scale": 0.0}}, "nobody is drawn towards it"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_runs(
    server: ComfyServer, kind: str, inputs: dict[str, Any], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(WorkflowRejected) as refused:
        server.queue(drawn(kind, inputs, **changes))
    assert message in json.dumps(refused.value.args) + str(refused.value)
